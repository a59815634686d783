"""How much the bundled models lose against float32: the figures of docs/models.md.

Run in the environment of scripts/README.md, on folders of pictures whose names are their labels:

    python scripts/measure_models.py FOLDER_OF_FOLDERS [--most 600]          losses, as a table
    python scripts/measure_models.py --answers tests/core/embed/float32_answers.npz PICTURE...

Pictures are opened without the protection of the decoder: use your own only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import export_models
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from PIL import Image
from shrink_onnx import in_fewer_bits

from unseen.deid.boxes import overlap
from unseen.deid.deidentify import deidentify
from unseen.deid.faces import Face, FaceFinder
from unseen.embed.bundled import FOLDER, BundledEmbedder
from unseen.embed.preprocess import network_input
from unseen.errors import ImageRefused
from unseen.weights import open_session, read_manifest

Array = npt.NDArray[np.float32]
VARIANTS = {"16 bits": (16, 16), "12 bits, classes 8 (shipped)": (12, 8), "8 bits": (8, 8)}
LONGEST_SIDE_PX = 1280


def pixels_of(path: Path) -> npt.NDArray[np.uint8]:
    picture = Image.open(path).convert("RGBA")
    picture.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX))
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return np.asarray(white)


def outputs(session: ort.InferenceSession, pictures: list[npt.NDArray[np.uint8]]) -> tuple[Array, Array]:
    """Return middle features (n, 192), which the visual part is made of, and class scores (n, 1000)."""
    recipe = export_models.EMBED_RECIPE
    inputs = [network_input(pixels, recipe["input_side_px"], recipe["largest_stretch"]) for pixels in pictures]
    results = [session.run(["middle_features", "class_scores"], {"pixels": pixels}) for pixels in inputs]
    return np.concatenate([features for features, _ in results]), np.concatenate([scores for _, scores in results])


def rows(session: ort.InferenceSession, pictures: list[npt.NDArray[np.uint8]]) -> Array:
    """Return the (n, 512) vectors that the bundled recipe makes with this network."""
    embedder = BundledEmbedder(read_manifest(FOLDER))
    embedder.__dict__["_classifier"] = session
    return np.stack([embedder.image(pixels) for pixels in pictures])


def directions(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def neighbours(vectors: Array, count: int) -> npt.NDArray[np.int64]:
    similarity = directions(vectors) @ directions(vectors).T
    np.fill_diagonal(similarity, -2)
    return np.argsort(-similarity, axis=1, kind="stable")[:, :count]


def same_label(vectors: Array, labels: list[str]) -> float:
    """Share of pictures whose nearest other picture lies in the same folder."""
    nearest = neighbours(vectors, 1)[:, 0]
    return float(np.mean([labels[i] == labels[j] for i, j in enumerate(nearest)]))


def shared(first: Array, second: Array, count: int = 10) -> float:
    """Share of the ten nearest that two sets of vectors agree on."""
    pairs = zip(neighbours(first, count), neighbours(second, count), strict=True)
    return float(np.mean([len(set(a) & set(b)) / count for a, b in pairs]))


def networks() -> dict[str, ort.InferenceSession]:
    sessions = {"float32": open_session(export_models.serialised(export_models.classifier()))}
    for name, (convolutions, matrices) in VARIANTS.items():
        model = export_models.classifier()
        small = in_fewer_bits(model, export_models.matrix_bits(model, convolutions, matrices))
        sessions[name] = open_session(export_models.serialised(small))
    return sessions


def compare_networks(pictures: list[npt.NDArray[np.uint8]]) -> None:
    sessions = networks()
    features, scores = outputs(sessions["float32"], pictures)
    vectors = rows(sessions["float32"], pictures)
    say(f"{'weights':<30} same class  features cos (mean, least)  row cos (mean, least)  same ten nearest")
    for name in VARIANTS:
        other_features, other_scores = outputs(sessions[name], pictures)
        other_vectors = rows(sessions[name], pictures)
        agreement = float((scores.argmax(1) == other_scores.argmax(1)).mean())
        cosines = (directions(features) * directions(other_features)).sum(1)
        row_cosines = (vectors * other_vectors).sum(1)
        say(
            f"{name:<30} {agreement:.4f}      {cosines.mean():.6f} {cosines.min():.6f}"
            f"         {row_cosines.mean():.6f} {row_cosines.min():.6f}   {shared(vectors, other_vectors):.4f}"
        )


def compare_projection(pictures: list[npt.NDArray[np.uint8]], labels: list[str]) -> None:
    session = open_session(export_models.serialised(export_models.classifier()))
    features, _ = outputs(session, pictures)
    vectors = rows(session, pictures)
    projection = np.load(FOLDER / "visual_projection.npy")
    visual = features @ projection[:-1] + projection[-1]
    say("vectors                        nearest has same label   same ten nearest as all 192 features")
    for name, some in (
        ("all 192 features", features),
        ("projected to 128", visual),
        ("semantic part, 384", vectors[:, 128:]),
        ("the row, 512", vectors),
    ):
        say(f"{name:<30} {same_label(some, labels):.3f}                    {shared(features, some):.3f}")


def compare_faces(pictures: list[npt.NDArray[np.uint8]]) -> None:
    shipped, plain = FaceFinder(), FaceFinder()
    plain.__dict__["_network"] = open_session(export_models.serialised(export_models.face_finder()))
    found = missing = extra = 0
    difference = 0.0
    for pixels in pictures:
        ours, theirs = shipped.find(pixels), plain.find(pixels)
        pairs = [(face, partner(face, ours)) for face in theirs]
        found += len(theirs)
        missing += sum(other is None for _, other in pairs)
        extra += max(0, len(ours) - len(theirs))
        difference = max([difference, *(abs(face.score - other.score) for face, other in pairs if other)])
    say(f"faces in float32: {found}; lost in 16 bits: {missing}; only in 16 bits: {extra}")
    say(f"scores differ by at most {difference:.1e}")


def count_leaks(pictures: list[npt.NDArray[np.uint8]]) -> None:
    """Cover every picture, then look again with a detector that remembers nothing."""
    finder, second = FaceFinder(), FaceFinder()
    with_faces = faces = refused = leaks = 0
    for pixels in pictures:
        try:
            painted, report = deidentify(pixels, finder)
        except ImageRefused:
            refused += 1
            continue
        with_faces += report.faces_covered > 0
        faces += report.faces_covered
        leaks += bool(second.find(painted))
    say(f"covered: {faces} faces in {with_faces} pictures; refused: {refused}; face found after covering: {leaks}")


def compare_words(paths: list[Path], pictures: list[npt.NDArray[np.uint8]]) -> None:
    """Search every caption (first line of the .txt beside a picture) and say where its picture comes."""
    embedder = BundledEmbedder(read_manifest(FOLDER))
    pairs = [(path.with_suffix(".txt"), pixels) for path, pixels in zip(paths, pictures, strict=True)]
    pairs = [(caption, pixels) for caption, pixels in pairs if caption.exists()]
    if not pairs:
        return
    images = np.stack([embedder.image(pixels) for _, pixels in pairs])
    words = [caption.read_text(errors="replace").splitlines()[0].strip() for caption, _ in pairs]
    scores = np.stack([embedder.text(text) for text in words]) @ images.T
    ranks = 1 + (scores > np.diag(scores)[:, None]).sum(axis=1)
    shares = ", ".join(f"R@{top} {np.mean(ranks <= top):.3f}" for top in (1, 5, 10))
    say(f"captions as queries over {len(pairs)} pictures: {shares}, median rank {np.median(ranks):g}")


def partner(face: Face, others: list[Face]) -> Face | None:
    """Return the face among others that overlaps by more than nine tenths."""
    return next((other for other in others if overlap(np.array(face.box), np.array([other.box]))[0] > 0.9), None)


def write_answers(target: Path, pictures: list[Path]) -> None:
    """Keep what float32 says about a few pictures, for a test that needs no torch."""
    session = open_session(export_models.serialised(export_models.classifier()))
    pixels = [pixels_of(path) for path in pictures]
    _, scores = outputs(session, pixels)
    names = np.array([path.name for path in pictures])
    np.savez(target, names=names, classes=scores.argmax(1), rows=rows(session, pixels).astype(np.float16))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--answers", type=Path, help="write what float32 says about these pictures")
    parser.add_argument("--most", type=int, default=600, help="pictures to look at, chosen at random with seed 0")
    parser.add_argument("--only", choices=("networks", "projection", "faces", "leaks", "words"))
    arguments = parser.parse_args()
    if arguments.answers:
        write_answers(arguments.answers, arguments.paths)
        return
    root = arguments.paths[0]
    every = sorted(path for path in root.rglob("*") if path.suffix.lower() in {".png", ".jpg", ".jpeg"})
    chosen = [every[index] for index in np.random.default_rng(0).permutation(len(every))[: arguments.most]]
    labels = [path.relative_to(root).parts[0] for path in chosen]
    pictures = [pixels_of(path) for path in chosen]
    say(f"{len(pictures)} pictures, {len(set(labels))} labels")
    if arguments.only in (None, "networks"):
        compare_networks(pictures)
    if arguments.only in (None, "projection"):
        compare_projection(pictures, labels)
    if arguments.only in (None, "faces"):
        compare_faces(pictures)
    if arguments.only in (None, "leaks"):
        count_leaks(pictures)
    if arguments.only in (None, "words"):
        compare_words(chosen, pictures)


if __name__ == "__main__":
    main()
