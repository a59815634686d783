from __future__ import annotations

import base64
import hmac
import json
import threading
from pathlib import Path

import pytest

from unseen.errors import IntegrityError, InvalidConfiguration
from unseen_client.deid.site_key import FILE_NAME, mark_of, site_key
from unseen_client.keys.vault import LOCK_NAME


def test_the_key_is_made_once_and_is_the_same_ever_after(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = site_key(home)
    assert len(first) == 32
    assert site_key(home) == first
    assert site_key(tmp_path / "another") != first
    assert {path.name for path in home.iterdir()} == {FILE_NAME, LOCK_NAME}


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    site_key(home)
    path = home / FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(InvalidConfiguration, match="others can reach"):
        site_key(home)


def test_many_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(site_key(tmp_path / "home"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json",
        b"{}",
        json.dumps({"format": "unseen-site-key-1", "site_key": base64.b64encode(b"short").decode()}).encode(),
        json.dumps({"format": "unseen-site-key-9", "site_key": base64.b64encode(bytes(32)).decode()}).encode(),
    ],
)
def test_a_damaged_key_is_named_and_never_replaced(tmp_path: Path, content: bytes) -> None:
    site_key(tmp_path / "home")
    path = tmp_path / "home" / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="damaged"):
        site_key(tmp_path / "home")
    assert path.read_bytes() == content


def test_the_mark_tells_keys_apart_and_is_not_part_of_them() -> None:
    one, two = bytes(range(32)), bytes(range(1, 33))
    assert mark_of(one) == hmac.new(one, b"unseen site key mark", "sha256").hexdigest()[:16]
    assert mark_of(one) != mark_of(two)
    assert bytes.fromhex(mark_of(one)) not in one
