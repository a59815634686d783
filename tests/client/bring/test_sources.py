"""Sources read on the device: every kind gives the rows that it describes, and what is hostile or broken is told."""

from __future__ import annotations

import json
import re
import struct
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.errors import ImageRefused, InvalidInput
from unseen_client.bring import qdrant
from unseen_client.bring.fields import described
from unseen_client.bring.sources import Choices, read_sources
from unseen_client.bring.zipped import read_zip
from unseen_client.decode_child import LARGEST_FILE_BYTES
from unseen_client.records import Record

ROWS = [
    {"path": "a.jpg", "description": "a red shoe", "label": "shoe", "price": 12.5, "tags": "new, sale"},
    {"path": "deep/b.jpg", "id": "own", "name": "B", "label": "bag", "made": date(2024, 3, 5)},
]


def brought(path, **choices):
    return read_sources([path], Choices(**choices))


def test_fields_become_a_record_and_what_is_unknown_is_kept_for_conditions():
    line = described(ROWS[0] | {"none": None, "empty": "", "sizes": [41, 42], "gone": float("nan")}, ("holiday",))
    assert line.path == "a.jpg"
    assert line.record == Record(
        caption="a red shoe",
        tags=("new", "sale", "holiday"),
        extra={"label": "shoe", "price": "12.5", "sizes": "[41, 42]"},
    )
    assert described(ROWS[1]).record.extra == {"label": "bag", "made": "2024-03-05"}


@given(st.dictionaries(st.text(min_size=1), st.none() | st.text() | st.integers() | st.floats() | st.lists(st.text())))
def test_any_fields_are_a_record_or_refused_with_a_reason(fields):
    try:
        line = described(fields)
    except InvalidInput as error:
        assert str(error)
    else:
        assert all(isinstance(value, str) for value in line.record.extra.values())


def as_csv(path: Path) -> None:
    path.write_text('\ufeffpath,description,label,tags\na.jpg,"red, shoe",shoe,"new, sale"\ndeep/b.jpg,,bag,\n')


def as_jsonl(path: Path) -> None:
    lines = [{"path": "a.jpg", "caption": "red, shoe", "label": "shoe", "tags": ["new", "sale"]}]
    path.write_text("\n".join(map(json.dumps, [*lines, {"path": "deep/b.jpg", "label": "bag"}])))


def as_parquet(path: Path) -> None:
    columns = {"path": ["a.jpg", "deep/b.jpg"], "caption": ["red, shoe", None], "label": ["shoe", "bag"]}
    pq.write_table(pa.table(columns | {"tags": [["new", "sale"], None]}), path)


@pytest.mark.parametrize(("suffix", "write"), [("csv", as_csv), ("jsonl", as_jsonl), ("parquet", as_parquet)])
def test_every_kind_of_manifest_gives_the_same_rows(tmp_path, suffix, write):
    write(tmp_path / f"m.{suffix}")
    found = brought(tmp_path / f"m.{suffix}")
    assert list(found.pictures) == [
        (tmp_path / "a.jpg", Record("a.jpg", "", "red, shoe", ("new", "sale"), extra={"label": "shoe"})),
        (tmp_path / "deep/b.jpg", Record("deep/b.jpg", extra={"label": "bag"})),
    ]


def test_a_manifest_may_hold_texts_and_name_another_folder(tmp_path):
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"text": "words", "id": "t"}\n\n{"path": "p/a.jpg"}\n')
    found = brought(manifest, root=tmp_path / "elsewhere")
    assert list(found.texts) == [("words", Record("t"))]
    assert found.pictures[0][0] == tmp_path / "elsewhere/p/a.jpg"


@pytest.mark.parametrize("path", ["../a.jpg", "/etc/passwd", "deep/../../a.jpg", "link/a.jpg", "a\0b"])
def test_a_manifest_cannot_reach_pictures_outside_its_folder(tmp_path, path):
    folder = tmp_path / "manifest"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    (folder / "m.jsonl").write_text(json.dumps({"path": "fine.jpg"}) + "\n" + json.dumps({"path": path}))
    with pytest.raises(InvalidInput, match="row 2"):
        brought(folder / "m.jsonl")


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("m.csv", b"path\na.jpg,b\n", "more cells"),
        ("m.csv", b'path\n"a', "CSV"),
        ("m.csv", b"label\nx\n", "'path' of a picture or a 'text'"),
        ("m.csv", b"path,text\na,b\n", "'path' of a picture or a 'text'"),
        ("m.csv", b"path\n\xff\n", "UTF-8"),
        ("m.csv", b"path\n", "nothing to enrol"),
        ("m.jsonl", b'{"path": "a"}\n[1]', "line 2"),
        ("m.jsonl", b"[" * 100_000, "line 1"),
        ("m.jsonl", b'{"path": "a", "tags": 3}', "tags"),
        ("m.parquet", b"PAR1 no", "Parquet"),
        ("m.zip", b"PK no", "zip"),
        ("m.json", b"{", "JSON"),
        ("m.snapshot", b"", "RocksDB"),
        ("m.mp4", b"", "no video of a known kind"),
        ("m.npy", b"", "--ids"),
        ("m.txt", b"\xff", "UTF-8"),
    ],
)
def test_what_cannot_be_read_is_told_before_anything_is_enrolled(tmp_path, name, data, told):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInput, match=re.escape(told)):
        brought(tmp_path / name)


def test_what_cannot_be_enrolled_together_is_refused_before_anything_is(tmp_path):
    (tmp_path / "p.json").write_text(json.dumps(POINTS))
    (tmp_path / "t.txt").write_text("words")
    with pytest.raises(InvalidInput, match="apart"):
        read_sources([tmp_path / "t.txt", tmp_path / "p.json"], Choices())
    (tmp_path / "m.jsonl").write_text('{"path": "a.jpg", "id": "x"}\n{"text": "words", "id": "x"}')
    with pytest.raises(InvalidInput, match="1 ids"):
        brought(tmp_path / "m.jsonl")


@pytest.mark.parametrize("field", ["points", "result"])
def test_a_manifest_may_have_a_column_that_qdrant_has_too(tmp_path, field):
    (tmp_path / "m.jsonl").write_text(json.dumps({"path": "a.jpg", field: 3}))
    assert brought(tmp_path / "m.jsonl").pictures[0][1].extra == {field: "3"}


# ---- zip files ------------------------------------------------------------------------------------------------------


def zipped(path, *members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def test_the_pictures_of_a_zip_file_are_read_from_it(tmp_path):
    path = zipped(tmp_path / "p.zip", ("b/2.png", b"two"), ("notes.doc", b"x"), ("1.JPG", b"one"))
    members = [member for member, _ in brought(path).pictures]
    assert [(member.name, member.read()) for member in members] == [("1.JPG", b"one"), ("2.png", b"two")]
    assert str(members[1]) == "p.zip:b/2.png"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "C:/a.png", "x/../../a.png", "..\\a.png"])
def test_a_name_that_leads_out_of_a_zip_file_is_refused(tmp_path, name):
    (member, _), *_ = brought(zipped(tmp_path / "p.zip", (name, b"x"))).pictures
    with pytest.raises(ImageRefused, match="leads out"):
        member.read()


def test_bombs_are_refused_by_what_they_say_and_by_what_they_do(tmp_path):
    path = zipped(tmp_path / "p.zip", ("bomb.png", bytes(8 << 20)), ("large.png", bytes(LARGEST_FILE_BYTES + 1)))
    bomb, large = (member for member, _ in brought(path).pictures)
    with pytest.raises(ImageRefused, match="unfolds"):
        bomb.read()
    with pytest.raises(ImageRefused, match="at most"):
        large.read()
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 100)  # the directory lies: the bomb has a hundred bytes
    path.write_bytes(data)
    lying = brought(path).pictures[0][0]
    with pytest.raises(ImageRefused):
        lying.read()


def test_links_locks_and_rare_methods_are_refused(tmp_path):
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    path = zipped(tmp_path / "p.zip", (link, b"/etc/passwd"))
    rare = zipped(tmp_path / "r.zip", ("a.png", b"x"), method=zipfile.ZIP_LZMA)
    locked = zipped(tmp_path / "l.zip", ("a.png", b"x"))
    data = bytearray(locked.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    locked.write_bytes(data)
    for archive, told in ((path, "link"), (rare, "deflate"), (locked, "encrypted")):
        with pytest.raises(ImageRefused, match=told):
            brought(archive).pictures[0][0].read()


@given(st.data())
def test_a_damaged_zip_file_is_refused_or_read_and_never_more(tmp_path_factory, data):
    path = zipped(tmp_path_factory.mktemp("zip") / "p.zip", ("a.png", b"picture" * 40), ("b.png", b"other"))
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    try:
        found = read_zip(path, frozenset({".png"}))
        assert all(len(member.read()) <= 280 for member, _ in found.pictures)
    except (InvalidInput, ImageRefused) as error:
        assert str(error)


# ---- exports of other programs --------------------------------------------------------------------------------------


def clip_retrieval_export(folder, parts=2):
    for part in ("img_emb", "text_emb", "metadata"):
        (folder / part).mkdir(parents=True)
    random, made = np.random.default_rng(1), []
    for number in range(parts):
        array = random.standard_normal((3, 8)).astype(np.float16)
        made.append(array)
        np.save(folder / f"img_emb/img_emb_{number}.npy", array)
        np.save(folder / f"text_emb/text_emb_{number}.npy", -array)
        columns = {
            "image_path": [f"{number}/{at}.jpg" for at in range(3)],
            "caption": [f"caption {at}" for at in range(3)],
            "width": [640, 640, 320],
        }
        pq.write_table(pa.table(columns), folder / f"metadata/metadata_{number}.parquet")
    return np.concatenate(made).astype(np.float32)


def test_an_export_of_clip_retrieval_is_taken_as_it_is(tmp_path):
    arrays = clip_retrieval_export(tmp_path / "out")
    found = brought(tmp_path / "out")
    np.testing.assert_array_equal(np.stack([vector for vector, _ in found.vectors]), arrays)
    record = found.vectors[4][1]
    assert record == Record("1/1.jpg", "", "caption 1", (), "1/1.jpg", extra={"width": "640"})
    texts = brought(tmp_path / "out", vector="text").vectors
    np.testing.assert_array_equal(np.stack([vector for vector, _ in texts]), -arrays)


def test_an_export_whose_parts_do_not_fit_is_refused(tmp_path):
    clip_retrieval_export(tmp_path / "out")
    np.save(tmp_path / "out/img_emb/img_emb_1.npy", np.zeros((4, 8), np.float32))
    with pytest.raises(InvalidInput, match="4 vectors"):
        brought(tmp_path / "out")
    np.save(tmp_path / "out/img_emb/img_emb_1.npy", np.zeros(4, np.int64))
    with pytest.raises(InvalidInput, match="floats of shape"):
        brought(tmp_path / "out")
    with pytest.raises(InvalidInput, match="image, text"):
        brought(tmp_path / "out", vector="sound")


SEVEN, OTHER = [1.0, 2.0, *[0] * 6], [0.5, -1, *[0] * 6]
POINTS = [
    {"id": 7, "payload": {"caption": "red", "id": "theirs", "size": 3}, "vector": SEVEN},
    {"id": "5c56c793-69f3-4fbf-87e6-c4bf54c28c26", "payload": None, "vector": OTHER},
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.json", json.dumps({"result": {"points": POINTS, "next_page_offset": 9}, "status": "ok", "time": 0.1})),
        ("p.json", json.dumps(POINTS)),
        ("p.jsonl", "\n".join(map(json.dumps, POINTS))),
        ("p.jsonl", "\n".join(json.dumps({"result": {"points": [one]}}) for one in POINTS)),
    ],
)
def test_points_of_qdrant_are_taken_as_its_scroll_call_gives_them(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (first, seven), (second, other) = brought(tmp_path / name).vectors
    assert (first.tolist(), second.tolist()) == (SEVEN, OTHER)
    assert seven == Record("7", caption="red", extra={"size": "3"})
    assert other == Record(POINTS[1]["id"])


@pytest.mark.parametrize("name", ["p.json", "p.jsonl"])
def test_json_that_is_too_long_is_not_read_whole(tmp_path, monkeypatch, name):
    monkeypatch.setattr(qdrant, "LARGEST_CHARACTERS", 100)
    (tmp_path / name).write_text(json.dumps(POINTS[:1]) + " " * 100)
    with pytest.raises(InvalidInput, match="more than 100 characters"):
        qdrant.read_points(tmp_path / name, "image")


def test_one_of_several_named_vectors_is_chosen(tmp_path):
    point = {"id": 1, "vector": {"image": [1, 2], "text": [3, 4]}}
    (tmp_path / "p.json").write_text(json.dumps([point]))
    assert brought(tmp_path / "p.json", vector="text").vectors[0][0].tolist() == [3, 4]
    with pytest.raises(InvalidInput, match=r"image, text.*--vector"):
        brought(tmp_path / "p.json", vector="sound")


@pytest.mark.parametrize(
    "point",
    [
        3,
        {"id": None, "vector": [1]},
        {"id": 1},
        {"id": 1, "vector": [[1, 2], [3, 4]]},
        {"id": 1, "vector": {"image": {"indices": [1], "values": [2]}}},
        {"id": 1, "vector": ["a"]},
        {"id": 1, "vector": [1e999]},
        {"id": 1, "vector": [1], "payload": []},
    ],
)
def test_what_is_no_point_is_told_by_its_number(tmp_path, point):
    (tmp_path / "p.json").write_text(json.dumps([POINTS[0], point]))
    with pytest.raises(InvalidInput, match="point 2"):
        brought(tmp_path / "p.json")
