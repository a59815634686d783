"""Agreements from a device: signed, shown, accepted, never swapped in silence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.client.real_server import RealServer
from tests.core.governance.written import terms
from unseen.errors import (
    ControllerChanged,
    InvalidDocument,
    KeyMissing,
    PolicyNotAccepted,
    PolicyNotFound,
    PolicyRefused,
    PurposeNotAllowed,
)
from unseen_client import Client
from unseen_client.keys.controller_keys import ControllerKeys
from unseen_client.keys.keystore import KeyStore

Governed = Callable[..., str]
IDS = [f"row {at}" for at in range(12)]


def another_device(server: RealServer, home: Path, folder: Path) -> Client:
    """A device that holds the same record keys and nothing else."""
    for key in KeyStore(home).all():
        KeyStore(folder).put(key)
    return Client(server.address, home=folder)


def test_a_steward_sets_a_policy_and_a_member_sees_and_accepts_it(
    client: Client, governed: Governed, server: RealServer, home: Path, tmp_path: Path
) -> None:
    name = governed()
    own = client.policy(name)
    assert (own.accepted, own.known_controller, own.policy.version) == (True, True, 1)
    with another_device(server, home, tmp_path / "other") as member:
        seen = member.policy(name)
        assert (seen.accepted, seen.known_controller) == (False, None)
        assert (seen.policy, seen.fingerprint) == (own.policy, own.fingerprint)
        assert member.accept_policy(name).accepted
        assert member.policy(name).known_controller
        versions, acceptances = member.policy_history(name)
    assert [one.policy.version for one in versions] == [1]
    assert [one.version for one in acceptances] == [1]  # by one caller, on two devices


def test_a_new_version_has_to_be_accepted_before_rows_go_in(
    client: Client, governed: Governed, server: RealServer, home: Path, tmp_path: Path, vectors: np.ndarray
) -> None:
    name = governed(lawful_basis="eu-gdpr:A6-1-e")
    with another_device(server, home, tmp_path / "other") as member:
        with pytest.raises(PolicyNotAccepted):
            member.enrol_vectors(name, IDS[:1], vectors[:1], purpose="care")
        member.accept_policy(name)
        assert member.enrol_vectors(name, IDS[:1], vectors[:1], purpose="care").enrolled == 1
        client.set_policy(name, terms(lawful_basis="eu-gdpr:A6-1-e", retention_days=30))
        with pytest.raises(PolicyNotAccepted, match="version 2"):
            member.enrol_vectors(name, IDS[1:2], vectors[1:2], purpose="care")
        member.accept_policy(name)
        assert member.enrol_vectors(name, IDS[1:2], vectors[1:2], purpose="care").enrolled == 1


def test_a_policy_signed_by_another_key_is_refused_until_its_fingerprint_is_given(
    client: Client, governed: Governed, server: RealServer, home: Path, tmp_path: Path, vectors: np.ndarray
) -> None:
    name = governed(lawful_basis="eu-gdpr:A6-1-e")
    with another_device(server, home, tmp_path / "other") as other:
        other.accept_policy(name)
        ControllerKeys(tmp_path / "other").make("mine")
        swapped = other.set_policy(name, terms(lawful_basis="eu-gdpr:A6-1-e"), key="mine")
    assert swapped.policy.version == 2
    assert client.policy(name).known_controller is False
    for call in (
        lambda: client.accept_policy(name),
        lambda: client.accept_policy(name, new_key="0000 0000"),
        lambda: client.enrol_vectors(name, IDS[:1], vectors[:1], purpose="care"),
        lambda: client.record_consent(name, "anna"),
    ):
        with pytest.raises(ControllerChanged, match=swapped.fingerprint):
            call()
    assert client.accept_policy(name, new_key=swapped.fingerprint).accepted


def test_another_controllers_versions_are_not_compared_with_the_ones_before(
    tmp_path: Path, name: str, vectors: np.ndarray
) -> None:
    """A backup from before versions 2 and 3 was put back, another controller took over, and people said it is right."""
    server, home, folder = RealServer(tmp_path), tmp_path / "home", tmp_path / "other"
    basis = {"lawful_basis": "eu-gdpr:A6-1-e"}
    ControllerKeys(home).make("controller")
    ControllerKeys(folder).make("theirs")
    try:
        with Client(server.address, home=home) as client:
            client.create_collection(name, dimension=16)
            client.set_policy(name, terms(**basis))
        server.stop()
        shutil.copytree(server.data, tmp_path / "backup")
        server.start()
        with Client(server.address, home=home) as client:
            for days in (30, 40):
                client.set_policy(name, terms(**basis, retention_days=days))
        server.stop()
        shutil.rmtree(server.data)
        shutil.copytree(tmp_path / "backup", server.data)
        server.start()
        with Client(server.address, home=folder) as other:
            theirs = other.set_policy(name, terms(**basis, retention_days=9), key="theirs")
        with Client(server.address, home=home) as client:
            client.audit_accept()
            with pytest.raises(ControllerChanged):
                client.accept_policy(name)
            assert client.accept_policy(name, new_key=theirs.fingerprint).policy.version == 2
            assert client.enrol_vectors(name, IDS[:1], vectors[:1], purpose="care").enrolled == 1
    finally:
        server.stop()


def test_a_policy_comes_before_the_rows(client: Client, name: str, home: Path, vectors: np.ndarray) -> None:
    client.create_collection(name, dimension=16)
    ControllerKeys(home).make("controller")
    client.enrol_vectors(name, IDS, vectors)
    with pytest.raises(PolicyRefused, match="12 rows"):
        client.set_policy(name, terms())
    with pytest.raises(PolicyNotFound):
        client.policy(name)


def test_what_cannot_be_a_policy_reaches_no_server(client: Client, governed: Governed, name: str, home: Path) -> None:
    client.create_collection(name, dimension=16)
    with pytest.raises(KeyMissing, match="keygen"):
        client.set_policy(name, terms())
    ControllerKeys(home).make("controller")
    with pytest.raises(InvalidDocument):
        client.set_policy(name, terms(purposes=[]))
    with pytest.raises(PolicyNotFound):
        client.policy(name)


def test_collections_without_an_agreement_work_as_ever(client: Client, name: str, vectors: np.ndarray) -> None:
    client.create_collection(name, dimension=16)
    client.enrol_vectors(name, IDS, vectors)
    assert client.search_vector(name, vectors[3], top_k=1)[0].id == "row 3"
    with pytest.raises(PurposeNotAllowed, match="no agreement"):
        client.search_vector(name, vectors[3], purpose="care")
    with pytest.raises(PolicyNotFound):
        client.enrol_vectors(name, ["one more"], vectors[:1], purpose="care")
    client.erase(name, "row 3")
    assert client.count(name) == 11


def test_that_there_is_no_agreement_is_an_answer_and_no_refusal(
    client: Client, server: RealServer, name: str, vectors: np.ndarray
) -> None:
    client.create_collection(name, dimension=16)
    logged, before = len(server.log), client.status().traffic
    client.enrol_vectors(name, IDS, vectors)
    after = client.status().traffic
    assert before is not None
    assert after is not None
    assert after.refused == before.refused
    assert after.calls > before.calls
    assert "refused" not in server.log[logged:]
