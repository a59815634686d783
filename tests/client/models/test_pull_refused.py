"""What is not what it was said to be is not taken in, and leaves nothing."""

from __future__ import annotations

import hashlib
import json
import os
from urllib.error import URLError

import pytest

from tests.client.models.small_hub import COMMIT, REPOSITORY, left
from tests.core.embed.pulled.tiny_onnx import FILES, UPSTREAM, tiny_model
from unseen.errors import (
    IntegrityError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    ServerUnavailable,
    StoreFailed,
    UnseenError,
)
from unseen_client.models import fetching
from unseen_client.models.hub import HubSource
from unseen_client.models.inspect import check_model
from unseen_client.models.shelf import BrokenModel, HeldModel, ModelShelf

VISION = "onnx/vision_model.onnx"


def refused(take, shelf: ModelShelf, kind: type[UnseenError], match: str, *what: object, **wish: object) -> None:
    with pytest.raises(kind, match=match):
        take(*what, **wish)
    assert left(shelf) == []


@pytest.mark.parametrize("name", [VISION, "tokenizer.json", "config.json"])
def test_bytes_other_than_the_listing_says_are_refused(take, shelf, hub, name: str) -> None:
    data = bytearray(UPSTREAM[name])
    data[-2] ^= 1
    hub.listed_as[name] = bytes(data)
    refused(take, shelf, IntegrityError, "not what the hub's listing says")


def test_a_file_cut_short_or_longer_than_listed_is_refused(take, shelf, hub) -> None:
    hub.listed_as[VISION] = UPSTREAM[VISION] + b"x"
    refused(take, shelf, IntegrityError, "not what the hub's listing says")
    hub.listed_as[VISION] = UPSTREAM[VISION][:-1]
    refused(take, shelf, LimitExceeded, "bytes")
    hub.listed_as.clear()
    path = f"/storage/{REPOSITORY}/{VISION}"
    hub.answers[path] = (200, {"Content-Length": str(len(UPSTREAM[VISION]))}, UPSTREAM[VISION][:-5])
    refused(take, shelf, ServerUnavailable, "try again")


def test_a_file_beyond_the_limit_is_refused_before_it_comes(take, shelf, hub, monkeypatch) -> None:
    monkeypatch.setattr(HubSource.lay_down, "__defaults__", (100,))
    refused(take, shelf, LimitExceeded, "expected at most 100")
    assert not any(path.startswith("/storage") for path in hub.asked)


def test_a_model_that_could_not_be_opened_is_refused_before_its_weights_come(take, shelf, hub) -> None:
    told = json.loads(UPSTREAM["config.json"])
    for change in ({"projection_dim": 4097}, {"text_config": {"num_hidden_layers": 100_000}}):
        hub.repositories[REPOSITORY]["config.json"] = json.dumps(told | change).encode()
        refused(take, shelf, InvalidInput, "4097|100000 layers")
    hub.repositories |= {
        "some/half": {
            "open_clip_config.json": b'{"model_cfg": {"embed_dim": 24, "text_cfg": {"hf_model_name": "a/gpt"}}}',
            "open_clip_model.safetensors": b"weights" * 1000,
            "tokenizer.json": b"{}",
        },
        "a/gpt": {"config.json": b'{"model_type": "gpt2"}'},
    }
    refused(take, shelf, InvalidInput, "gpt2", "some/half")
    assert not any(VISION in path or "safetensors" in path for path in hub.asked)


def test_an_endless_answer_is_left(take, shelf, hub, monkeypatch) -> None:
    monkeypatch.setattr("unseen_client.models.hub.LARGEST_LISTING_BYTES", 10)
    with pytest.raises(LimitExceeded, match="at most 10"):
        take()
    assert not shelf.folder.exists()


@pytest.mark.parametrize(
    ("answer", "kind", "match"),
    [
        ((404, {}, b""), NotFound, "check name"),
        ((401, {}, b""), NotFound, "licence"),
        ((500, {}, b""), ServerUnavailable, "500"),
        ((200, {}, b"<html>"), IntegrityError, "no listing"),
        ((200, {}, b'{"sha": "main", "siblings": []}'), IntegrityError, "commit"),
        ((200, {}, b'{"sha": "' + b"f" * 40 + b'", "siblings": [{"rfilename": "a"}]}'), IntegrityError, "no listing"),
        ((302, {"Location": "http://example.invalid/x"}, b""), InvalidInput, "https"),
        ((302, {"Location": "file:///etc/passwd"}, b""), ServerUnavailable, "302"),
    ],
)
def test_a_hub_that_answers_otherwise_is_told_of(take, shelf, hub, home, answer, kind, match) -> None:
    hub.answers[f"/api/models/{REPOSITORY}/revision/main"] = answer
    with pytest.raises(kind, match=match):
        take()
    assert not shelf.folder.exists()


def test_a_commit_that_was_asked_for_is_the_one_that_comes(take) -> None:
    assert take(revision=COMMIT).entry.model_id == take().entry.model_id
    with pytest.raises(IntegrityError, match="another commit"):
        take(revision="f" * 40)


@pytest.mark.parametrize("revision", ["../../other", "a b", "-x", "a" * 101])
def test_a_revision_is_a_revision(take, revision: str) -> None:
    with pytest.raises(InvalidInput, match="a revision"):
        take(revision=revision)


@pytest.mark.parametrize("address", ["http://example.invalid/m", "http://10.0.0.1/m", "ftp://localhost/m"])
def test_no_address_without_tls_is_asked(take, address: str) -> None:
    with pytest.raises(InvalidInput, match=r"https|expected a name"):
        take(address)


def test_an_address_tells_no_password(take, shelf, hub) -> None:
    for address in ("https://me:secret@localhost/m", "http://me:secret@127.0.0.1/m"):
        with pytest.raises(InvalidInput, match="a user's name") as refusal:
            take(address)
        assert "secret" not in str(refusal.value)
    hub.answers[f"/api/models/{REPOSITORY}/revision/main"] = (302, {"Location": "http://a:b@127.0.0.1/x"}, b"")
    with pytest.raises(InvalidInput, match="a user's name"):
        take()


def test_nothing_but_http_is_spoken(tmp_path) -> None:
    (tmp_path / "secret").write_text("secret")
    for address in ((tmp_path / "secret").as_uri(), "ftp://127.0.0.1/x", "data:text/plain,secret"):
        with pytest.raises(URLError, match="unknown url type"):
            fetching.opener_for(address).open(address, timeout=5)


def test_a_pickle_needs_somebody_who_vouches_for_it(take, shelf, hub) -> None:
    files = dict(hub.repositories[REPOSITORY])
    del files[VISION], files["onnx/text_model.onnx"]
    files["preprocessor_config.json"] = UPSTREAM["preprocessor_config.json"]
    files["pytorch_model.bin"] = b"weights"
    hub.repositories[REPOSITORY] = files
    refused(take, shelf, InvalidInput, "a pickle")
    refused(take, shelf, IntegrityError, "not the one you gave", vouched={"pytorch_model.bin": "0" * 64})
    digest = hashlib.sha256(b"weights").hexdigest()
    held = take(vouched={"pytorch_model.bin": digest.upper()})
    assert held.manifest.recipe["weights"] == "pytorch_model.bin"


def test_a_hash_for_a_file_that_is_not_used_is_told_of(take, shelf) -> None:
    refused(take, shelf, InvalidInput, r"README\.md", vouched={"README.md": "0" * 64})


@pytest.mark.parametrize("name", ["bundled-2", "Upper", "../up", "a/b", ".hidden", "x" * 49])
def test_a_name_is_a_name(take, shelf, name: str) -> None:
    refused(take, shelf, InvalidInput, "name", name=name)


def test_a_manifest_beside_other_files_is_not_believed(take, shelf, tmp_path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    (folder / "tokenizer.json").write_bytes(FILES["tokenizer.json"] + b" ")
    refused(take, shelf, LimitExceeded, "not taken", folder)
    (folder / "tokenizer.json").write_bytes(FILES["tokenizer.json"][:-1] + b" ")
    refused(take, shelf, IntegrityError, "do not trust this copy", folder)
    (folder / "tokenizer.json").unlink()
    refused(take, shelf, InvalidInput, "cannot read", folder)


def test_a_manifest_writes_nowhere_else(take, shelf, tmp_path, home) -> None:
    for name in ("../../escaped", "/tmp/escaped", "manifest.toml", "a/../../../escaped"):
        folder = tiny_model(tmp_path / str(len(name)))
        with (folder / "manifest.toml").open("a") as manifest:
            manifest.write(f'\n[files."{name}"]\nsha256 = "{"0" * 64}"\nsize_bytes = 7\n')
        refused(take, shelf, InvalidInput, "file", folder)
    assert not list(tmp_path.rglob("escaped"))


def test_a_manifest_that_would_fill_the_disk_is_refused_before_its_files_come(take, shelf, hub, tmp_path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    text = (folder / "manifest.toml").read_text()
    text += "".join(f'\n[files."{at}"]\nsha256 = "{"0" * 64}"\nsize_bytes = {8 << 30}\n' for at in range(3))
    hub.answers["/models/manifest.toml"] = (200, {}, text.encode())
    refused(take, shelf, LimitExceeded, "not taken", f"{hub.address}/models")
    assert hub.asked == ["/models/manifest.toml"]


def test_a_vouched_manifest_is_the_one_or_none(take, shelf, tmp_path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    refused(take, shelf, IntegrityError, "not the one you gave", folder, vouched={"manifest.toml": "0" * 64})
    digest = hashlib.sha256((folder / "manifest.toml").read_bytes()).hexdigest()
    assert take(folder, vouched={"manifest.toml": digest}).entry.name == "tiny"


def test_a_full_disk_leaves_nothing(take, shelf, monkeypatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("unseen_client.models.arriving.os.fsync", full)
    refused(take, shelf, StoreFailed, "No space left")


def test_what_a_killed_pull_left_is_no_model_and_goes_after_a_day(take, shelf) -> None:
    shelf.folder.mkdir(parents=True)
    shelf.folder.parent.chmod(0o700)
    shelf.folder.chmod(0o700)
    for name in (".pull-old", ".pull-new"):
        tiny_model(shelf.folder / name)
    os.utime(shelf.folder / ".pull-old", (0, 0))
    assert shelf.every() == []
    held = take()
    assert left(shelf) == [".pull-new", held.entry.model_id.replace(":", "@")]


def test_a_changed_manifest_breaks_the_model_and_no_other(take, shelf) -> None:
    held, other = take(), take(name="other")
    manifest = held.manifest.folder / "manifest.toml"
    manifest.write_text(manifest.read_text().replace("picture_side_px = 8", "picture_side_px = 9"))
    found = shelf.every()
    assert [one.name for one in found if isinstance(one, BrokenModel)] == [manifest.parent.name]
    assert [one.entry.name for one in found if isinstance(one, HeldModel)] == ["other"]
    with pytest.raises(IntegrityError, match="pull it again"):
        shelf.held(manifest.parent.name)
    check_model(other)
    (other.manifest.folder / VISION).write_bytes(b"other")
    with pytest.raises(IntegrityError, match="SHA-256"):
        check_model(other)


@pytest.mark.parametrize("said", ["revision", "licence"])
def test_what_no_manifest_can_say_is_refused(take, shelf, tmp_path, said: str) -> None:
    """A command line in another encoding; a folder's own name is written down in another way."""
    folder = tmp_path / os.fsdecode(b"\xe9t\xe9")
    for name, data in UPSTREAM.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    refused(take, shelf, InvalidInput, "no Unicode", folder, name="tiny", **{said: os.fsdecode(b"\xe9")})
    assert take(folder, name="tiny").manifest.about["origin"] == r"a folder named \udce9t\udce9"


def test_nothing_of_the_device_travels_to_a_hub(take, hub) -> None:
    take()
    assert hub.asked[0] == f"/api/models/{REPOSITORY}/revision/main"
    assert all(path.startswith((f"/{REPOSITORY}/resolve/{COMMIT}/", "/storage/")) for path in hub.asked[1:])
    assert fetching.TIMEOUT_S < 120
