"""Tags, captions and questions through the client and a real server, with the bundled model and demo photographs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.client.describing.language_server import language_server
from tests.client.real_server import ROOT
from unseen.errors import InvalidInput, MalformedMessage, RowNotFound
from unseen_client import AsyncClient, Client, Describing, Query, Record, Vocabulary, open_language_model
from unseen_client.cli.query_options import QueryOptions
from unseen_client.cli.search import _rewritten
from unseen_client.retrieval.query import Words

PHOTOS = ROOT / "examples/demo/photos"
FITTING = {
    "dahlia.jpg": "flower",
    "tiger-in-snow.jpg": "tiger",
    "espresso.jpg": "cup of coffee",
    "suspension-bridge.jpg": "bridge",
    "honey-bee.jpg": "insect",
}
FILES = [PHOTOS / name for name in FITTING]
VOCABULARY = Vocabulary(tuple(FITTING.values()), ("{}",))


@pytest.fixture
def model():
    with language_server() as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("describing") / "device"


@pytest.fixture(scope="module")
def client(server, home):
    with Client(server.address, home=home) as one:
        yield one


@pytest.fixture(scope="module")
def album(client):
    """Five photographs, tagged while they were enrolled; one of them by its owner as well, another with an own id."""
    client.create_collection("described-album")
    records = [Record(extra={"path": str(file)}) for file in FILES]
    records[2] = replace(records[2], tags=("holiday",))
    records[4] = Record("my bee", extra={"path": 5000 * "b"})
    report = client.enrol_images("described-album", FILES, records=records, describing=Describing(VOCABULARY))
    assert report.complete
    return dict(zip(FITTING, report.ids, strict=True))


def test_the_tag_that_fits_comes_first_and_pictures_and_rows_agree(client, album):
    of_pictures = client.tag("described-album", [*FILES, PHOTOS / "absent.jpg"], VOCABULARY)
    assert [one.tags[0].text for one in of_pictures[:-1]] == list(FITTING.values())
    assert max(one.tags[0].chance for one in of_pictures[:-1]) <= 0.02
    assert (of_pictures[-1].tags, of_pictures[-1].refusal is None) == ((), False)
    of_rows = client.tag_rows("described-album", VOCABULARY)
    assert [(one.source, one.tags[0].text) for one in of_rows] == [(album[n], tag) for n, tag in FITTING.items()]
    (one,) = client.tag_rows("described-album", VOCABULARY, ids=album["suspension-bridge.jpg"])
    assert one.tags[0].text == "bridge"
    with pytest.raises(RowNotFound):
        client.tag_rows("described-album", VOCABULARY, ids="absent")


def test_tags_enter_the_record_and_the_row(client, album):
    records = {record.id: record for record in client.list("described-album")}
    for name, tag in FITTING.items():
        assert tag in records[album[name]].tags
    assert records[album["espresso.jpg"]].tags[0] == "holiday"
    client.create_collection("plain-album")
    plain = client.enrol_images("plain-album", FILES[2]).ids[0]

    def scores(collection, row):
        hits = client.search(collection, Query.tag("holiday"), where=f"id = {row}", rerank=True)
        return hits[0].score

    assert scores("described-album", album["espresso.jpg"]) > scores("plain-album", plain) + 0.1


def test_tags_wanted_and_not_wanted_are_one_encrypted_query(client, album):
    query = Query.tag("an animal") + Query.tag("not insect")
    assert [(part.content, part.weight) for part in query.parts] == [(Words("an animal"), 1.0), (Words("insect"), -0.5)]
    wanted = client.search("described-album", query, top_k=5)
    either = client.search("described-album", Query.tag("an animal"), top_k=5)
    assert [wanted[0].record.name, either[0].record.name] == ["tiger-in-snow.jpg"] * 2
    bee = album["honey-bee.jpg"]
    assert [hit.id for hit in wanted].index(bee) > [hit.id for hit in either].index(bee)


def test_a_caption_is_of_the_covered_picture_and_a_picture_without_one_is_refused_with_the_reason(client, model):
    model.says = lambda asked: "a mug on a saucer"
    wish = Describing(captioner=open_language_model(model.address))
    client.create_collection("captioned-album")
    astronaut = PHOTOS / "astronaut.jpg"
    own = [Record(), Record(caption="my own words")]
    report = client.enrol_images("captioned-album", [astronaut, FILES[0]], records=own, describing=wish)
    assert [one.caption for one in client.list("captioned-album")] == ["a mug on a saucer", "my own words"]
    assert report.faces_covered >= 1
    (seen,) = model.pictures()
    with Client("127.0.0.1:1", home=client._session.home) as other:
        covered = other._session.preparer(client.collection("captioned-album").model_id).image(astronaut)
    assert np.abs(seen.astype(int) - covered.covered).mean() < 5
    assert client.search("captioned-album", Query.words("a mug on a saucer"), top_k=1)[0].record.name == astronaut.name
    model.says = lambda asked: ""
    refused = client.enrol_images("captioned-album", FILES[1:3], describing=wish)
    assert (refused.enrolled, [one.code for one in refused.refused]) == (0, ["MALFORMED_MESSAGE"] * 2)


async def test_a_question_is_answered_from_the_file_on_the_device(client, album, model, home, tmp_path):
    model.says = lambda asked: (
        "Black, in a white cup." if "colour" in asked["messages"][0]["content"][0]["text"] else ""
    )
    asked = open_language_model(model.address)
    row = album["espresso.jpg"]
    assert client.ask("described-album", row, "What colour is it?", asked) == "Black, in a white cup."
    async with AsyncClient(client._server, home=tmp_path / "other") as other:
        query = await other.rewrite("x", Says('{"parts": [{"words": "a cup", "weight": 2}]}'))
    assert query.parts == Query.words("a cup").parts
    with pytest.raises(InvalidInput, match="not the one"):
        client.ask("described-album", row, "What?", asked, picture=FILES[0])
    with pytest.raises(InvalidInput, match="not the one"):
        client.ask("described-album", "my bee", "What?", asked, picture=FILES[0])
    with pytest.raises(InvalidInput, match="give its file"):
        client.ask("described-album", "my bee", "What?", asked)
    moved = tmp_path / "moved.jpg"
    moved.write_bytes(FILES[2].read_bytes())
    assert client.ask("described-album", row, "What colour is it?", asked, picture=moved) == "Black, in a white cup."
    with pytest.raises(MalformedMessage):
        client.ask("described-album", row, "Anything?", asked)


class Says:
    """A model that says one thing."""

    def __init__(self, said):
        self.said = said

    def reply(self, request, picture, most_tokens):
        return self.said

    def close(self):
        pass


def test_a_rewriting_that_cannot_be_used_is_said_and_the_words_are_searched_as_they_are(client, capsys):
    wanted = QueryOptions(words=["0.5:a flower"], not_like=["r1"])
    assert _rewritten(client, wanted, Says("I am a helpful assistant")).parts == wanted.query().parts
    assert "searched with the words as they are" in capsys.readouterr().err


def test_the_command_line_does_the_same(unseen, name, client, model, tmp_path):
    (tmp_path / "tags.txt").write_text("\n".join(FITTING.values()))
    client.create_collection(name)
    model.says = lambda asked: (
        '{"parts": [{"words": "a flower", "weight": 1}, {"words": "an insect", "weight": -0.5}]}'
        if isinstance(asked["messages"][0]["content"], str)
        else "a bright thing"
    )
    language = ("--language-model", model.address)
    prompt = ("--prompt", "{}")
    tags = ("--tags-from", tmp_path / "tags.txt", *prompt)
    done = unseen("enrol", name, FILES[0], *tags, "--captions", *language, "--json")
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout)["ids"][0]
    done = unseen("search", name, "--words", "the one with the flower, no insects", "--rewrite", *language, "--json")
    assert done.returncode == 0, done.stderr
    hits = json.loads(done.stdout)["hits"]
    assert (hits[0]["id"], hits[0]["caption"], hits[0]["tags"][0]) == (first, "a bright thing", "flower")
    assert "note: 1.00 a flower" in done.stderr
    assert "note: -0.50 an insect" in done.stderr
    model.says = lambda asked: "I am \x1b[2Ja helpful assistant"
    done = unseen("ask", name, first, "What is it?", "--picture", FILES[0], *language)
    assert (done.returncode, done.stdout.strip()) == (0, "I am [2Ja helpful assistant")
    done = unseen("tag", name, FILES[1], "--try", "tiger", "--try", "zebra", *prompt, "--json")
    assert json.loads(done.stdout)["tagged"][0]["tags"][0]["tag"] == "tiger"
    assert unseen("tag", name).returncode == 2
