"""Sources through the client: what changed comes anew, what stands is left, duplicates are named, kills survived."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.client.bring.test_sources import OTHER, POINTS, SEVEN, zipped
from tests.client.real_server import ENVIRONMENT, ROOT
from unseen.errors import BudgetExceeded, InvalidInput, InvalidVector, LimitExceeded
from unseen_client import AsyncClient, Client, Describing, Vocabulary


@pytest.fixture(scope="module")
def shared(server, tmp_path_factory):
    """One client for the module: models load once."""
    with Client(server.address, home=tmp_path_factory.mktemp("module") / "device") as one:
        yield one


def picture(path, seed):
    blocks = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), np.uint8).repeat(32, 0).repeat(32, 1)
    Image.fromarray(blocks).save(path)


@pytest.fixture
def shop(tmp_path):
    """Three pictures, two of them the same, and their manifest as a function of its rows."""
    for at, seed in enumerate((1, 2, 1)):
        picture(tmp_path / f"{at}.png", seed)

    def manifest(**changed):
        rows = [{"path": f"{at}.png", "label": "thing", "price": at} for at in range(3)] + [
            {"id": "t", "text": "a shoe"}
        ]
        rows[0] |= changed
        (tmp_path / "shop.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return tmp_path / "shop.jsonl"

    return manifest


def test_running_it_again_enrols_only_what_changed(shared, name, shop, tmp_path):
    shared.create_collection(name)
    first = shared.enrol_from(name, shop(), tags=["spring"])
    assert first.ids == ("0.png", "1.png", "2.png", "t")
    assert [(str(one.source), one.of) for one in first.duplicates] == [(str(tmp_path / "2.png"), "0.png")]
    assert shared.get(name, "1.png").extra == {"label": "thing", "price": "1"}

    again = shared.enrol_from(name, shop(), tags=["spring"])
    assert (again.ids, again.already, again.replaced) == ((), first.ids, ())

    described = shared.enrol_from(name, shop(price=9), tags=["spring"])
    assert (described.ids, described.replaced) == (("0.png",), ("0.png",))
    assert shared.get(name, "0.png").extra["price"] == "9"

    before = shared.get(name, "1.png").vector
    picture(tmp_path / "1.png", 5)
    seen = shared.enrol_from(name, shop(price=9), tags=["spring"])
    assert (seen.ids, seen.replaced) == (("1.png",), ("1.png",))
    assert float(before @ shared.get(name, "1.png").vector) < 0.99
    assert shared.count(name) == 4


def test_what_was_found_for_a_picture_is_no_change_of_what_was_given(shared, name, tmp_path):
    shared.create_collection(name)
    (tmp_path / "m.csv").write_text("path,label\ncitrus-slices.jpg,fruit\n")
    wish = Describing(Vocabulary(("orange", "dog", "mountain"), ("{}",)))
    photos = ROOT / "examples/demo/photos"
    first = shared.enrol_from(name, tmp_path / "m.csv", root=photos, describing=wish)
    assert shared.get(name, *first.ids).tags == ("orange",)
    again = shared.enrol_from(name, tmp_path / "m.csv", root=photos, describing=wish)
    assert (again.ids, again.already) == ((), ("citrus-slices.jpg",))


def test_what_is_refused_stays_out_and_the_rest_goes_on(shared, name, tmp_path):
    shared.create_collection(name)
    picture(tmp_path / "0.png", 1)
    path = zipped(
        tmp_path / "p.zip", ("ok.png", (tmp_path / "0.png").read_bytes()), ("../out.png", b"x"), ("no.png", b"x")
    )
    report = shared.enrol_from(name, [path, tmp_path / "0.png"])
    assert report.enrolled == 1
    assert [one.source for one in report.refused] == ["p.zip:../out.png", "p.zip:no.png"]
    assert [(one.source, one.of) for one in report.duplicates] == [(str(tmp_path / "0.png"), report.ids[0])]
    assert shared.list(name)[0].name == "ok.png"


def test_points_are_enrolled_as_they_are_and_replaced_where_they_changed(shared, name, tmp_path, protection):
    shared.create_collection(name, dimension=8, protection=protection)
    (tmp_path / "p.json").write_text(json.dumps(POINTS))
    assert shared.enrol_from(name, tmp_path / "p.json").enrolled == 2
    assert shared.search_vector(name, SEVEN, top_k=1)[0].id == "7"
    (tmp_path / "p.json").write_text(json.dumps([POINTS[0] | {"vector": [-1, *SEVEN[1:]]}, POINTS[1]]))
    report = shared.enrol_from(name, tmp_path / "p.json")
    assert (report.ids, report.replaced, report.already) == (("7",), ("7",), (POINTS[1]["id"],))
    assert shared.search_vector(name, [-1, *SEVEN[1:]], top_k=1)[0].score > 0.98
    (tmp_path / "q.json").write_text(json.dumps([POINTS[0], {"id": 9, "vector": [1, 2, 3]}]))
    with pytest.raises(InvalidInput, match="2 lengths"):
        shared.enrol_from(name, tmp_path / "q.json")
    (tmp_path / "q.json").write_text(json.dumps([{"id": 9, "vector": [1, 2, 3]}]))
    with pytest.raises(InvalidVector, match="3 coordinates"):
        shared.enrol_from(name, tmp_path / "q.json")


def test_with_noise_nothing_in_a_record_tells_the_true_vector(shared, name, tmp_path):
    shared.create_collection(name, dimension=8)
    (tmp_path / "p.json").write_text(json.dumps(POINTS))
    shared.enrol_from(name, tmp_path / "p.json", noise="privunit:8")
    assert {record.content for record in shared.list(name)} == {b""}
    again = shared.enrol_from(name, tmp_path / "p.json", noise="privunit:8")
    assert (again.ids, again.replaced) == ((), ())


def test_a_row_is_not_erased_for_one_that_cannot_be_sent(client, name, tmp_path):
    client.create_collection(name, dimension=8)
    (tmp_path / "p.json").write_text(json.dumps(POINTS))
    client.enrol_from(name, tmp_path / "p.json")
    (tmp_path / "q.json").write_text(json.dumps([POINTS[0] | {"vector": OTHER, "payload": {"long": "x" * 100_000}}]))
    with pytest.raises(LimitExceeded, match="shorten"):
        client.enrol_from(name, tmp_path / "q.json")
    (tmp_path / "q.json").write_text(json.dumps([POINTS[0] | {"vector": OTHER, "payload": {"caption": "blue"}}]))
    client.set_budget(per_subject=1)
    with pytest.raises(BudgetExceeded):
        client.enrol_from(name, tmp_path / "q.json", noise="privunit:8")
    assert (client.get(name, "7").caption, client.count(name)) == ("red", 2)
    client.set_budget(per_subject=8)
    assert client.enrol_from(name, tmp_path / "q.json", noise="privunit:8").replaced == ("7",)
    assert client.get(name, "7").caption == "blue"


def test_two_pictures_under_one_id_are_not_one_of_them_in_silence(shared, name, shop, tmp_path):
    shared.create_collection(name)
    report = shared.enrol_from(name, shop(id="1.png"))
    assert [(one.source, one.code) for one in report.refused] == [(str(tmp_path / "1.png"), "INVALID_INPUT")]
    assert report.ids == ("1.png", "2.png", "t")
    (tmp_path / "m.csv").write_text("id,text\na,a red shoe\na,a blue hat\na,a red shoe\n")
    texts = shared.enrol_from(name, tmp_path / "m.csv")
    assert (texts.ids, len(texts.refused), len(texts.duplicates)) == (("a",), 1, 1)


def test_half_a_character_refuses_its_row_and_no_other(shared, name, tmp_path):
    shared.create_collection(name)
    rows = [
        {"text": "a shoe"},
        {"text": "a \ud800 shoe"},
        {"text": "a hat", "label": "\udfff"},
        {"text": "b", "id": "\ud800"},
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    report = shared.enrol_from(name, tmp_path / "m.jsonl")
    assert (report.enrolled, [one.code for one in report.refused]) == (1, ["INVALID_INPUT"] * 3)


def test_a_file_named_in_another_encoding_is_enrolled(shared, name, tmp_path):
    shared.create_collection(name)
    folder = tmp_path / "photos"
    folder.mkdir()
    picture(tmp_path / "0.png", 1)
    (tmp_path / "0.png").rename(folder / os.fsdecode(b"stra\xdfe.png"))
    assert shared.enrol_from(name, folder).enrolled == 1
    assert shared.list(name)[0].name == "stra?e.png"


def test_a_pipe_that_a_manifest_names_is_not_waited_for(shared, name, tmp_path):
    shared.create_collection(name)
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "m.csv").write_text("path,text\npipe.png,\n,a shoe\n")
    report = shared.enrol_from(name, tmp_path / "m.csv")
    assert (report.enrolled, [one.code for one in report.refused]) == (1, ["INVALID_INPUT"])


KILLED = """
import os, signal, sys
from unseen_client import Client
calls, true_exchange = [], Client._exchange
def exchange(self, step):
    true_exchange(self, step)
    calls.append(step.rpc.path.rsplit("/", 1)[1])
    if calls.count(sys.argv[5]) == int(sys.argv[6]):
        os.kill(os.getpid(), signal.SIGKILL)
Client._exchange = exchange
with Client(sys.argv[1], home=sys.argv[2]) as client:
    client.enrol_from(sys.argv[3], sys.argv[4])
"""


@pytest.mark.parametrize(("call", "count"), [("EnrolRows", 1), ("EraseRows", 1)])
def test_after_a_kill_the_same_call_goes_on(server, home, name, tmp_path, call, count):
    vectors = np.random.default_rng(3).standard_normal((1200, 8))

    def points(sign):
        rows = [{"id": at, "vector": (sign * vector).tolist()} for at, vector in enumerate(vectors)]
        (tmp_path / "p.json").write_text(json.dumps(rows))

    with Client(server.address, home=home) as client:
        client.create_collection(name, dimension=8)
        points(1)
        if call == "EraseRows":
            client.enrol_from(name, tmp_path / "p.json")
            points(-1)
    command = [
        sys.executable,
        "-c",
        KILLED,
        server.address,
        str(home),
        name,
        str(tmp_path / "p.json"),
        call,
        str(count),
    ]
    assert subprocess.run(command, env=ENVIRONMENT, timeout=120, check=False).returncode == -signal.SIGKILL
    with Client(server.address, home=home) as client:
        report = client.enrol_from(name, tmp_path / "p.json")
        assert len(report.already) == (1000 if call == "EnrolRows" else 0)
        assert (report.enrolled + len(report.already), client.count(name)) == (1200, 1200)
        assert client.enrol_from(name, tmp_path / "p.json").enrolled == 0


async def test_sources_enrol_awaited(server, home, name, tmp_path):
    (tmp_path / "p.json").write_text(json.dumps(POINTS))
    async with AsyncClient(server.address, home=home) as client:
        await client.create_collection(name, dimension=8)
        assert (await client.enrol_from(name, tmp_path / "p.json", tags=["x"])).enrolled == 2
        assert (await client.get(name, "7")).tags == ("x",)


def test_the_command_line_brings_manifests_in_and_lists_duplicates(shared, unseen, name, tmp_path):
    assert unseen("create", name).returncode == 0
    manifest = tmp_path / "shop.csv"
    manifest.write_text("id,text,price\na,a red shoe,1\nb,a blue hat,2\nc,a red shoe,3\n")
    done = unseen("enrol", name, manifest, "--tag", "spring")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "3 enrolled, 0 already there, 0 refused, 0 faces covered, 1 duplicates",
        "duplicate c: the content of a",
    ]
    manifest.write_text(manifest.read_text().replace("hat,2", "hat,4"))
    again = json.loads(unseen("enrol", name, manifest, "--tag", "spring", "--json").stdout)
    assert (again["replaced"], len(again["already"])) == (["b"], 2)
    wrong = unseen("enrol", name, "absent.csv")
    assert (wrong.returncode, "absent.csv" in wrong.stderr) == (2, True)
