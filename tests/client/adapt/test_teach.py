"""From image files to an adapter that a collection is made with: command line, SDK, and what is refused."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.client.real_server import ENVIRONMENT
from unseen.deid.settings import DeidSettings, Turned
from unseen.embed.adapter import read_adapter
from unseen.embed.registry import default_registry
from unseen.errors import IntegrityError, InvalidConfiguration, InvalidInput, ModelMismatch, NothingGained
from unseen_client import Client
from unseen_client.adapt import course as course_module
from unseen_client.adapt import plan as plan_module
from unseen_client.adapt import teach as teach_module
from unseen_client.adapt.card import card_page, read_card
from unseen_client.adapt.course import Course
from unseen_client.adapt.gather import Example, gather, labelled_by_folder
from unseen_client.adapt.looked_at import LookedAt
from unseen_client.adapt.run_folder import STEP, Limit, RunFolder
from unseen_client.adapt.task import Lesson
from unseen_client.adapt.teach import Wish, teach
from unseen_client.adapters import AdapterShelf
from unseen_client.home import private_folder
from unseen_client.prepare import Preparer
from unseen_client.session import Session

QUICK = DeidSettings(long_sides_px=(64,), turned=Turned.NEVER)
"""There are no faces in made-up pictures: a short look is enough."""
LABELS = ("sea-level", "hot bread", "good_luck")
"""They say nothing of what is drawn: what the model knows already could not be taught."""
OF_EACH = 100
WISH = Wish("made-up pictures", epsilon=8.0)


def paint(kind: int, random: np.random.Generator) -> np.ndarray:
    """Red discs, green stripes or blue noise, never twice the same."""
    picture = np.full((48, 48, 3), 255, np.uint8)
    y, x = np.mgrid[:48, :48]
    if kind == 0:
        middle = random.integers(16, 32, 2)
        picture[(y - middle[0]) ** 2 + (x - middle[1]) ** 2 < random.integers(80, 200)] = (220, 30, 30)
    elif kind == 1:
        picture[(x + random.integers(0, 8)) % 8 < random.integers(2, 6)] = (20, 160, 40)
    else:
        picture[..., :2] = random.integers(0, 255, (48, 48, 2))
    picture[0] = random.integers(0, 255, 3)
    return picture


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(8)
    for kind, label in enumerate(LABELS):
        (folder / label).mkdir()
        for at in range(OF_EACH):
            Image.fromarray(paint(kind, random)).save(folder / label / f"{kind}-{at}.png")
    return folder


class Remembering(Preparer):
    """The real one; what it has prepared before it gives again."""

    def __init__(self) -> None:
        super().__init__(deid=QUICK, workers=2)
        self._known: dict[Path, object] = {}

    def images(self, sources):
        asked = list(sources)
        self._known |= dict(super().images([one for one in asked if one not in self._known]))
        return iter([(one, self._known[one]) for one in asked])


@pytest.fixture(scope="module")
def preparer():
    with Remembering() as one:
        yield one


@pytest.fixture(scope="module")
def examples(pictures) -> list[Example]:
    return labelled_by_folder(sorted(pictures.rglob("*.png")))


@pytest.fixture(scope="module")
def taught(pictures, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """An adapter that the command line has taught."""
    out = tmp_path_factory.mktemp("taught") / "kinds.safetensors"
    (pictures / "good_luck" / "broken.png").write_bytes(b"no picture")
    command = [sys.executable, "-c", "from unseen_client.cli import main; main()", "adapt", out, pictures]
    command += ["--about", "made-up pictures of three kinds", "--epsilon", "8", "--look", "64", "--turned", "never"]
    known = ENVIRONMENT | {"UNSEEN_HOME": str(out.parent / "device")}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=known, timeout=600, check=False)
    (pictures / "good_luck" / "broken.png").unlink()
    return out, done


def test_the_command_line_teaches_and_says_what_it_cost(taught) -> None:
    out, done = taught
    assert done.returncode == 4, done.stderr  # one picture was refused
    assert "refused" in done.stdout
    assert "broken.png" in done.stdout
    assert re.search(r"kinds.safetensors is bundled\+adapter:[0-9a-f]{12}: epsilon 8 at delta 1e-05", done.stdout)
    after, before = map(float, re.findall(r"score (\S+), before ([0-9.]+)", done.stdout)[0])
    assert after > before + 0.1
    assert not out.with_name(out.name + ".run").exists()


def test_the_card_says_everything_that_it_must(taught) -> None:
    out, _ = taught
    card = read_card(read_adapter(out.read_bytes()).card)
    privacy = card["privacy"]
    assert card["about"] == "made-up pictures of three kinds"
    assert card["labels"] == ["good luck", "hot bread", "sea level"]
    assert card["images"]["learned_from"] + card["images"]["held_out"] == 3 * OF_EACH
    assert (privacy["unit"], privacy["neighbouring"]) == ("one image with its label or caption", "add or remove one")
    assert (privacy["epsilon"], privacy["delta"]) == (8, 1e-5)
    assert "operating system" in privacy["noise_source"]
    assert "secure mode is not used" in privacy["noise_source"]
    assert card["utility"]["after"] > card["utility"]["before"]
    page = out.with_name(out.name + ".md").read_text()
    for word in ("made-up pictures of three kinds", "(8, 1e-05)", "add or remove one", "good luck", "before", "after"):
        assert word in page


def test_a_collection_made_with_an_adapter_takes_that_one_alone(taught, server, home, name, pictures, tmp_path) -> None:
    out, _ = taught
    some = [min((pictures / label).iterdir()) for label in LABELS]
    with Client(server.address, home=home) as client:
        with pytest.raises(InvalidInput, match="unseen adapters"):
            client.create_collection(name, model="bundled+adapter:000000000000")
        held = AdapterShelf(home).add(out)
        made = client.create_collection(name, model=held.entry.name)
        assert made.model_id == held.entry.model_id
        assert client.enrol_images(name, some).enrolled == 3
        found = client.search_text(name, "good luck", top_k=3)
        assert found[0].record.name == some[LABELS.index("good_luck")].name
        assert client.search_image(name, some[1], top_k=1)[0].score > 0.97
        key = client._session.keys.all()
        client.create_collection(name + "-plain")
        assert client.enrol_images(name + "-plain", some[:1]).enrolled == 1
    with Client(server.address, home=tmp_path / "another") as other:
        for one in key:
            other._session.keys.put(one)
        for use in (
            lambda: other.search_text(name, "good luck"),
            lambda: other.enrol_images(name, some),
            lambda: other.search_image(name, some[0]),
        ):
            with pytest.raises(ModelMismatch, match="unseen adapters add"):
                use()


def test_the_shelf_keeps_files_under_their_hash(taught, home, tmp_path) -> None:
    out, _ = taught
    shelf = AdapterShelf(home)
    assert shelf.all() == []
    first, again = shelf.add(out), shelf.add(out)
    assert first.entry.name == again.entry.name == shelf.all()[0].entry.name
    assert shelf.registry().names() == ("bundled", first.entry.name)
    (kept,) = (home / "adapters").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="remove it"):
        shelf.all()
    session = Session("nowhere:1", 1.0, home)
    with session.preparer(default_registry().entry("bundled").model_id) as bundled:  # which does not need the shelf
        assert bundled.dimension == 512
    with pytest.raises(IntegrityError):
        session.preparer(first.entry.model_id)
    with pytest.raises(InvalidInput, match="cannot read"):
        shelf.add(tmp_path / "absent")


def test_adapters_are_added_listed_and_shown_on_the_command_line(taught, unseen) -> None:
    out, _ = taught
    assert "no adapters here" in unseen("adapters", "list").stdout
    model = json.loads(unseen("adapters", "add", out, "--json").stdout)["model"]
    assert unseen("adapters", "list").stdout == f"{model}\tmade-up pictures of three kinds\n"
    assert json.loads(unseen("adapters", "list", "--json").stdout)["adapters"][0]["card"]["privacy"]["epsilon"] == 8
    assert "## Privacy" in unseen("adapters", "show", model).stdout
    assert unseen("adapters", "show", "bundled").returncode == 2
    assert unseen("adapters", "add", __file__).returncode == 1


# ---- a run that is cut short, and runs that are refused --------------------------------------------------------------


@pytest.fixture
def quick_plan(monkeypatch) -> None:
    """Plans of few steps: what they guarantee is looked at elsewhere."""
    monkeypatch.setattr(plan_module, "noise_multiplier", lambda *_: 1.5)

    def few_steps(*numbers):
        return replace(plan_module.make_plan(*numbers), steps=24, evaluation_deviation=0.5)

    monkeypatch.setattr(teach_module, "make_plan", few_steps)


@pytest.mark.usefixtures("quick_plan")
def test_a_run_that_was_cut_short_goes_on_and_embeds_nothing_again(tmp_path, examples, preparer, monkeypatch) -> None:
    out = tmp_path / "a.safetensors"
    true_run = Course.run

    def interrupted(self):
        self._folder.begin_one(Limit(STEP, 24))
        raise KeyboardInterrupt

    monkeypatch.setattr(Course, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        teach(out, examples, WISH, preparer=preparer)
    monkeypatch.setattr(Course, "run", true_run)
    monkeypatch.setattr(Remembering, "images", None)
    for other in (replace(WISH, epsilon=4.0), replace(WISH, about="other pictures"), replace(WISH, delta=1e-6)):
        with pytest.raises(InvalidInput, match="began with"):
            teach(out, examples, other, preparer=preparer)
    folder = RunFolder(out.with_name(out.name + ".run"))
    assert folder.count(STEP) == 1
    report = teach(out, examples, WISH, preparer=preparer)
    assert report.outcome.steps_counted <= 24
    assert report.outcome.after > report.outcome.before
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with pytest.raises(InvalidInput, match="adds to"):
        teach(out, examples, WISH, preparer=preparer)


@pytest.mark.usefixtures("quick_plan")
def test_captions_are_learned_and_no_caption_is_on_the_card(tmp_path, examples, preparer) -> None:
    captioned = [Example(one.path, f"{one.text} number {at}") for at, one in enumerate(examples)]
    report = teach(tmp_path / "a", captioned, replace(WISH, lesson=Lesson.CAPTIONS), preparer=preparer)
    adapter = read_adapter(report.path.read_bytes())
    assert "number 7" not in adapter.card
    assert "stripes" not in adapter.card
    assert len(adapter.up) > 3


@pytest.mark.usefixtures("quick_plan")
def test_an_adapter_that_is_no_use_is_not_written(tmp_path, examples, preparer, monkeypatch) -> None:
    scores = iter([0.5, 0.51, 0.52, 0.51, 0.5, 0.51])  # of noise 0.015: no more than chance makes of it
    monkeypatch.setattr(course_module, "released_mean", lambda *_: next(scores))
    with pytest.raises(NothingGained, match="more images"):
        teach(tmp_path / "a", examples, WISH, preparer=preparer)
    assert list(tmp_path.iterdir()) == []


def test_the_same_file_twice_is_one_image(tmp_path, examples, preparer) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(examples[0].path.read_bytes())
    twice = [*examples[:5], Example(copy, examples[0].text)]
    material, refused = gather(
        twice, Lesson.LABELS, preparer, LookedAt(RunFolder(private_folder(tmp_path / "a.run")), ""), lambda step: None
    )
    assert (len(material.rows), refused) == (5, ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda some: some[::4], "more images"),
        (lambda some: [replace(one, text="one label") for one in some], "two or more"),
        (lambda some: [*some[:-1], replace(some[-1], text=" ")], "no label"),
    ],
)
def test_images_that_cannot_be_learned_from_are_refused(tmp_path, examples, preparer, change, message) -> None:
    with pytest.raises(InvalidInput, match=message):
        teach(tmp_path / "a", change(examples), WISH, preparer=preparer)


def test_without_torch_it_says_what_to_install_before_it_looks_at_an_image(tmp_path, examples, monkeypatch) -> None:
    monkeypatch.setattr(teach_module, "find_spec", lambda name: None)
    with pytest.raises(InvalidConfiguration, match="unseen\\[train\\]"):
        teach(tmp_path / "a", examples, WISH, preparer=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--learn", "captions"],
        ["--learn", "nothing"],
        ["--records", "absent.json"],
        ["--learn", "tags", "--records", "absent.json"],
    ],
)
def test_wrong_options_are_refused(unseen, pictures, tmp_path, arguments) -> None:
    done = unseen("adapt", tmp_path / "a", pictures, "--about", "x", "--epsilon", "8", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")


# ---- cards of others -------------------------------------------------------------------------------------------------


def test_a_card_that_could_steer_a_terminal_is_refused(taught) -> None:
    out, _ = taught
    text = read_adapter(out.read_bytes()).card
    assert "## Privacy" in card_page("m", text)
    for about in ("\\u001b[2J", "two\\nlines", "\\u202e"):
        with pytest.raises(IntegrityError, match="card"):
            read_card(text.replace("made-up pictures", about))
    for damaged in ("", "[]", "{}", text.replace('"epsilon":8.0', '"epsilon":"8"'), text.replace("card-1", "card-2")):
        with pytest.raises(IntegrityError, match="card"):
            read_card(damaged)
