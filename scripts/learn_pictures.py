"""Teach the bundled model what drawings show: emoji and clip art of packages, with their names.

    python scripts/learn_pictures.py gather --packages FOLDER teaching.zip     pictures made small, names, their vectors
    python scripts/learn_pictures.py learn teaching.zip                        writes the three files, then the manifest

FOLDER holds what `npm pack` gave of the packages in ``PACKAGES``, each unpacked into a folder of its name; Debian's
`openclipart-png` (public domain) and `wordnet-base` must be there. Needs no torch; ten minutes of one core. What the
numbers below were chosen on, and what was tried instead: docs/decisions/0022-the-bundled-model-is-taught-drawings.md.
"""

from __future__ import annotations

import argparse
import json
import re
import warnings
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from export_models import EMBED, EMBED_RECIPE, npy, write_embed_manifest
from PIL import Image

from unseen.embed.preprocess import network_input
from unseen.weights import open_session

PACKAGES = {
    "fluent-emoji-3d": "@lobehub/fluent-emoji-3d 1.1.0: Microsoft's Fluent emoji, MIT",
    "emoji-datasource-twitter": "emoji-datasource-twitter 16.0.0: Twemoji, CC BY 4.0; list of emoji, MIT",
    "cldr-annotations-full": "48.2.0: names of emoji, Unicode licence v3",
    "cldr-annotations-derived-full": "48.2.0, the same",
}
CLIP_ART, WORDNET = Path("/usr/share/openclipart/png"), Path("/usr/share/wordnet")
FOLDERS = ["animals", "food", "people", "transportation", "recreation", "tools", "office", "plants", "buildings"]
SIGNS = """
alphanum arrow av-symbol country-flag currency emotion flag gender geometric keycap math other-symbol
punctuation skin-tone subdivision-flag time transport-sign warning zodiac family hand-fingers-closed
hand-fingers-open hand-fingers-partial hand-single-finger hands religion person-symbol
"""
"""Kinds of emoji that show no thing; faces are left out too."""
NO_THINGS = re.compile("/cards/|aiga|roadsigns|stickmen|smilies")
ALSO_STAMPS = """
recreation/sports/badminton_racket_brice_b_01 recreation/sports/football_pitch__andy_bur_01
food/pumpkin2_yemu_01 people/clothing/hats/sombrero_dave_pena_01 recreation/holiday/pumpkin2_yemu_01
people/clothing/hats/propeller people/clothing/hats/green_fedora_01 people/clothing/hats/blue_fedora
food/desserts/candy_10 food/fruit/pear_simple_bw plants/trees/evergreen/tree recreation/holiday/christmas/tree
"""
"""Clip art whose features lie within a cosine of 0.85 of one of Tux Paint's stamps, on which the model is measured."""
NAMES_OF_ARTISTS = """
ganson architetto nicu buculei jarno vasamaa benji juliane krug gerald linda kim franc fra fr francesc francesco
frances rollandin peterm enrique meza jonathan jon sergio matthew mateya lumen luiz ger geral gera mauro pena
stefan leif olivo dave brice phillips aj jk jonadab capsize mimooh gates mo jean victor bravo borja erwan jaime
dan anonymous archi archite architet architett arc bucu bal balin vasama strai ge di johnny automatic liftarn
park
"""
CLIP_ART_PX, EMOJI_PX, QUALITY = 240, 200, 75
MOST_PIXELS = 20_000_000

CLASS_WEIGHT = 2.5
"""How much of a name's vector the classes say; what is missing is learned."""
RIDGE = 7000.0
RANK = 96
"""Of the matrix that is learned: as many directions of the features as are kept, each with its text."""
VISUAL_DIMENSION, VISUAL_POWER = 128, 0.5

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Drawing:
    """A picture of a package, its file made small, and its name."""

    key: str
    name: str
    file: bytes


def gather(packages: Path, to: Path) -> None:
    """Write the drawings, their names and the names' vectors into one file."""
    from unseen.embed.words import SentenceEncoder

    drawings = [*emoji(packages), *clip_art()]
    encoder = SentenceEncoder((EMBED / "tokenizer.json").read_bytes(), 128)
    centre = np.load(EMBED / "text_centre.npy")
    names = list(dict.fromkeys(drawing.name for drawing in drawings))
    vectors = unit(np.stack([encoder.encode(name) for name in names]) - centre).astype(np.float16)
    with zipfile.ZipFile(to, "w") as file:
        for drawing in drawings:
            file.writestr(drawing.key, drawing.file)
        file.writestr("names.json", json.dumps({drawing.key: drawing.name for drawing in drawings}))
        file.writestr("vectors.npy", npy(vectors))
    print(f"{len(drawings)} drawings of {len(names)} names")


def emoji(packages: Path) -> Iterator[Drawing]:
    """Emoji that show things, in two styles, with the names that CLDR gives them in English."""
    names: dict[str, dict[str, list[str]]] = {}
    for package, folder in (("derived-full", "annotationsDerived"), ("full", "annotations")):
        told = json.loads((packages / f"cldr-annotations-{package}" / folder / "en" / "annotations.json").read_text())
        names |= told[folder]["annotations"]
    twitter, fluent = packages / "emoji-datasource-twitter", packages / "fluent-emoji-3d" / "assets"
    for one in json.loads((twitter / "emoji.json").read_text()):
        code = one["unified"].lower()
        characters = "".join(chr(int(part, 16)) for part in code.split("-"))
        told = names.get(characters) or names.get(characters.replace("\ufe0f", ""))
        if not told or one["subcategory"] in SIGNS.split() or one["subcategory"].startswith("face-"):
            continue
        for path in (fluent / f"{code}.webp", fluent / f"{code.replace('-fe0f', '')}.webp"):
            if path.exists():
                yield Drawing(f"fluent/{code}", told["tts"][0], small(path, EMOJI_PX))
                break
        path = twitter / "img" / "twitter" / "64" / one["image"]
        if path.exists():
            yield Drawing(f"twitter/{code}", told["tts"][0], path.read_bytes())


def clip_art() -> Iterator[Drawing]:
    """Clip art whose file's name says something."""
    words = set()
    for kind in ("noun", "verb", "adj", "adv"):
        lines = (WORDNET / f"index.{kind}").read_text().splitlines()
        words |= {line.split()[0] for line in lines if not line.startswith(" ")}
    for path in (path for folder in FOLDERS for path in sorted((CLIP_ART / folder).rglob("*.png"))):
        key = path.relative_to(CLIP_ART).as_posix()
        name = name_of(path.stem, words)
        if name and not NO_THINGS.search(key) and key.removesuffix(".png") not in ALSO_STAMPS.split():
            with Image.open(path) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    continue
            yield Drawing(f"clip/{key}", name, small(path, CLIP_ART_PX))


def name_of(stem: str, words: set[str]) -> str:
    """What a file's name says, without the artist, who comes last, and without what WordNet does not know."""
    kept = []
    for at, word in enumerate(re.sub(r"[_\-.0-9]+", " ", stem.lower()).split()):
        if word in NAMES_OF_ARTISTS.split() and at > 0:
            break
        known = word in words or (word.endswith("s") and word[:-1] in words)
        kept += [word] if known and (len(word) > 2 or word == "ox") else []
    return " ".join(kept)


def small(path: Path, side: int) -> bytes:
    picture = Image.open(path).convert("RGBA")
    picture.thumbnail((side, side), Image.Resampling.BOX if max(picture.size) > 600 else Image.Resampling.BICUBIC)
    file = BytesIO()
    on_white(picture).save(file, "WEBP", quality=QUALITY, method=0)
    return file.getvalue()


def on_white(picture: Image.Image) -> Image.Image:
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white


def learn(teaching: Path, folder: Path) -> None:
    """Write what was learned: ``directions.npy``, ``direction_texts.npy``, ``visual_projection.npy``."""
    with zipfile.ZipFile(teaching) as file:
        told = json.loads(file.read("names.json"))
        vectors = np.load(BytesIO(file.read("vectors.npy"))).astype(np.float32)
        keys = list(told)
        files = [file.read(key) for key in keys]
    rows = {name: row for row, name in enumerate(dict.fromkeys(told.values()))}
    names = vectors[[rows[told[key]] for key in keys]]
    with ProcessPoolExecutor(initializer=open_network) as pool:
        seen = list(pool.map(look, files, chunksize=8))
    features, scores, middle = (np.stack([one[part] for one in seen]) for part in range(3))  # (n, 2, ...)
    both = np.concatenate([features[:, 0], features[:, 1]])
    classes = chances(np.concatenate([scores[:, 0], scores[:, 1]]), EMBED_RECIPE["class_temperature"]) @ class_texts()
    directions, texts = in_directions(missing(both, classes, np.tile(names, (2, 1))))
    np.save(folder / "directions.npy", directions.astype(np.float16))
    np.save(folder / "direction_texts.npy", texts.astype(np.float16))
    np.save(folder / "visual_projection.npy", projection(middle[:, 0]).astype(np.float16))


def open_network() -> None:
    globals()["NETWORK"] = open_session((EMBED / "efficientnet-lite0.onnx").read_bytes())


def look(file: bytes) -> tuple[Array, Array, Array]:
    """Features (2, 1280), class scores (2, 1000), middle features (2, 192) of a drawing and of its mirror image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels = np.asarray(on_white(Image.open(BytesIO(file)).convert("RGBA")))
    sides = (pixels, np.ascontiguousarray(pixels[:, ::-1]))
    side, stretch = EMBED_RECIPE["input_side_px"], EMBED_RECIPE["largest_stretch"]
    wanted = ["features", "class_scores", "middle_features"]
    found = [globals()["NETWORK"].run(wanted, {"pixels": network_input(one, side, stretch)}) for one in sides]
    features, scores, middle = (np.concatenate([one[part] for one in found]) for part in range(3))
    return features, scores, middle


def missing(features: Array, classes: Array, names: Array) -> npt.NDArray[np.float64]:
    """(1280, 384): what features add to ``classes`` to say the name. Ridge regression."""
    given = features.astype(np.float64)
    square = given.T @ given + RIDGE * np.eye(given.shape[1])
    return np.asarray(np.linalg.solve(square, given.T @ (names / CLASS_WEIGHT - classes)))


def in_directions(learned: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(1280, RANK) and (RANK, 384), whose product is the nearest to ``learned`` of this rank."""
    features, sizes, texts = np.linalg.svd(learned, full_matrices=False)
    halves = np.sqrt(sizes[:RANK])
    return features[:, :RANK] * halves, halves[:, None] * texts[:RANK]


def projection(middle: Array) -> npt.NDArray[np.float64]:
    """(193, 128): the main directions of what drawings look like, evened out; the last row is added, and centres."""
    centre = middle.mean(axis=0, dtype=np.float64)
    given = middle - centre
    values, directions = np.linalg.eigh(given.T @ given / len(given))
    largest = np.argsort(-values)[:VISUAL_DIMENSION]
    chosen = directions[:, largest]
    chosen *= np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(VISUAL_DIMENSION)])
    chosen *= values[largest] ** (-VISUAL_POWER / 2)
    return np.vstack([chosen, -centre @ chosen])


def chances(scores: Array, temperature: float) -> Array:
    powers = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def class_texts() -> Array:
    return np.load(EMBED / "class_texts.npy")[:1000].astype(np.float32)


def unit(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("gather", "learn"))
    parser.add_argument("teaching", type=Path)
    parser.add_argument("--packages", type=Path)
    given = parser.parse_args()
    if given.what == "gather":
        gather(given.packages, given.teaching)
        return
    learn(given.teaching, EMBED)
    write_embed_manifest(EMBED)


if __name__ == "__main__":
    main()
