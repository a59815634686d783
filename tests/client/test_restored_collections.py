"""A whole life on one server, a collection of each protection: filled, backed up, restored elsewhere, found again."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.client.real_server import ENVIRONMENT
from unseen.audit.leaf import leaf_fields
from unseen_client import Client
from unseen_client.keys.keystore import KeyStore

pytestmark = pytest.mark.usefixtures("locked_keys")

PROTECTIONS = ("sealed", "owner")


def test_a_backup_brings_collections_of_either_protection_back_with_every_row(own_server, home, tmp_path, unit_vectors):
    server, vectors = own_server(), unit_vectors(60, 32)
    ids = [str(at) for at in range(60)]
    with Client(server.address, home=home, timeout_s=60) as client:
        for protection in PROTECTIONS:
            client.create_collection(protection, dimension=32, protection=protection)
            client.enrol_vectors(protection, ids, vectors)
            assert client.enrol_vectors(protection, ids[:2], vectors[:2]).already == ("0", "1")
            assert client.erase(protection, ["7", "8"]) == 2
        acts = [leaf_fields(receipt.leaf)["act"] for receipt in client.audit_receipts()]
        assert acts.count("EnrolRows") == acts.count("EraseRows") == len(PROTECTIONS)
        client.audit_check()
        made = client.backup(tmp_path)
    server.kill()
    shutil.rmtree(server.data)
    command = [sys.executable, "-c", "from unseen_client.cli import main; main()", "restore", str(made.path)]
    options = ["--data", str(server.data), "--master-key", str(server.data.parent / "master.key")]
    done = subprocess.run([*command, *options], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stderr
    server.start()
    for key in KeyStore(home).all():
        KeyStore(tmp_path / "fresh mirrors").put(key)
    with Client(server.address, home=tmp_path / "fresh mirrors", timeout_s=60) as client:
        for protection in PROTECTIONS:
            assert client.count(protection) == len(client.list(protection)) == 58
            found = {hit.id: hit.score for hit in client.search_vector(protection, vectors[9], top_k=60)}
            assert set(found) == set(ids) - {"7", "8"}
            assert max(found, key=lambda row: found[row]) == "9"
            assert client.enrol_vectors(protection, ["7"], vectors[7:8]).enrolled == 1
            assert client.search_vector(protection, vectors[7], top_k=1)[0].id == "7"
