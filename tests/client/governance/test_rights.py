"""Consents, withdrawal, erasure, export, holds and emergencies from a device, against the real server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.client.real_server import RealServer
from tests.core.governance.written import terms
from unseen.errors import (
    ConsentNotFound,
    ConsentNotValid,
    InvalidConfiguration,
    InvalidInput,
    KeyMissing,
    NotFound,
    OnLegalHold,
    PurposeNotAllowed,
    StoreFailed,
)
from unseen.governance.certificate import Asked, ErasureCertificate
from unseen.governance.terms import ConsentState
from unseen_client import AsyncClient, Client, Record
from unseen_client.keys.controller_keys import ControllerKeys

Governed = Callable[..., str]
IDS = [f"row {at}" for at in range(12)]


def found(client: Client, name: str, vector: np.ndarray, purpose: str) -> set[str]:
    return {hit.id for hit in client.search_vector(name, vector, top_k=100, purpose=purpose)}


def test_each_row_rests_on_its_own_subject_and_is_found_for_its_purposes_alone(
    client: Client, governed: Governed, vectors: np.ndarray
) -> None:
    name = governed()
    client.record_consent(name, "anna", purposes="research")
    client.record_consent(name, "ben", purposes=["research", "care"], method="paper form", language="de")
    subjects = ["anna", "ben"] * 6
    client.enrol_vectors(name, IDS, vectors, subject=subjects)
    assert found(client, name, vectors[0], "research") == set(IDS)
    assert found(client, name, vectors[0], "care") == set(IDS[1::2])
    with pytest.raises(PurposeNotAllowed):
        client.search_vector(name, vectors[0], purpose="marketing")
    with pytest.raises(PurposeNotAllowed):
        client.search_vector(name, vectors[0])
    with pytest.raises(ConsentNotValid):
        client.enrol_vectors(name, ["more"], vectors[:1], subject="anna", purpose="care")


def test_withdrawn_rows_are_found_no_more_and_gone_from_every_mirror(
    client: Client, governed: Governed, vectors: np.ndarray, server: RealServer, home: Path
) -> None:
    name = governed()
    client.record_consent(name, "anna", purposes="research")
    other = client.record_consent(name, "anna", purposes="care", valid_for=timedelta(hours=1))
    client.enrol_vectors(name, IDS[:4], vectors[:4], subject="anna", purpose="research")
    client.enrol_vectors(name, IDS[4:6], vectors[4:6], consent=other)
    client.enrol_vectors(name, IDS[6:7], vectors[6:7], consent=other.record_id.hex(), subject="anna", purpose="care")
    with Client(server.address, home=home) as second:
        assert len(second.list(name)) == 7
        assert client.withdraw_consent(name, consent=other.record_id) == 3
        assert {record.id for record in second.list(name)} == set(IDS[:4])
    assert found(client, name, vectors[5], "care") == set()
    assert {one.consent.record_id: one.state for one in client.consents(name)}[other.record_id] is (
        ConsentState.WITHDRAWN
    )
    with pytest.raises(ConsentNotValid):
        client.enrol_vectors(name, ["more"], vectors[:1], consent=other)
    assert client.withdraw_consent(name, subject="anna") == 4
    assert client.list(name) == []
    with pytest.raises(ConsentNotValid):
        client.withdraw_consent(name, subject="anna")
    with pytest.raises(ConsentNotFound):
        client.withdraw_consent(name, consent=bytes(16))
    for wrong in ({}, {"subject": "anna", "consent": bytes(16)}, {"consent": "12"}):
        with pytest.raises(InvalidInput):
            client.withdraw_consent(name, **wrong)


def test_an_erased_subject_leaves_a_certificate_and_nothing_else(
    client: Client, governed: Governed, vectors: np.ndarray, home: Path, tmp_path: Path
) -> None:
    name = governed()
    for subject in ("anna", "ben"):
        client.record_consent(name, subject)
    client.enrol_vectors(name, IDS, vectors, subject=["anna", "ben"] * 6)
    file = tmp_path / "erased.json"
    erasure = client.erase_subject(name, "anna", certificate=file)
    assert (erasure.rows, erasure.certificate.asked) == (6, Asked.SUBJECT)
    assert file.read_bytes().rstrip(b"\n") == erasure.signed
    kept = home / "certificates" / erasure.certificate.collection_uid.hex()
    assert [path.read_bytes() for path in kept.iterdir()] == [erasure.signed]
    assert {record.id for record in client.list(name)} == set(IDS[1::2])
    empty = client.export_subject(name, "anna")
    assert (empty.rows, empty.consents) == ((), ())
    assert client.erase(name, IDS[1:3:2], certificate=tmp_path / "one.json") == 1
    assert ErasureCertificate.from_signed((tmp_path / "one.json").read_bytes().splitlines()[0])[0].rows == 1
    assert [one.rows for one in client.certificates(name)] == [6, 1]
    with pytest.raises(StoreFailed, match="this device keeps a copy"):
        client.erase_subject(name, "ben", certificate=tmp_path / "nowhere" / "file")
    assert client.count(name) == 0


def test_every_request_of_a_large_erasure_has_its_certificate_in_the_file(
    client: Client, governed: Governed, vectors: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unseen_client.flows.rows.ROWS_PER_ERASURE", 5)
    name = governed()
    client.record_consent(name, "anna")
    client.enrol_vectors(name, IDS, vectors, subject="anna")
    file = tmp_path / "erased.json"
    assert client.erase(name, IDS, certificate=file) == len(IDS) == 12
    assert [ErasureCertificate.from_signed(line)[0].rows for line in file.read_bytes().splitlines()] == [5, 5, 2]


def test_certificate_that_is_there_is_never_overwritten(
    client: Client, governed: Governed, vectors: np.ndarray, tmp_path: Path
) -> None:
    name = governed()
    client.record_consent(name, "anna")
    client.enrol_vectors(name, IDS, vectors, subject="anna")
    file = tmp_path / "erased.json"
    client.erase(name, IDS[0], certificate=file)
    first = file.read_bytes()
    with pytest.raises(InvalidInput, match="is there already, nothing was erased"):
        client.erase(name, IDS[1], certificate=file)
    with pytest.raises(InvalidInput, match="is there already, nothing was erased"):
        client.erase_subject(name, "anna", certificate=file)
    assert (client.count(name), file.read_bytes()) == (len(IDS) - 1, first)


def test_an_export_opens_the_records_of_its_subject_alone(
    client: Client, governed: Governed, vectors: np.ndarray
) -> None:
    name = governed()
    given = client.record_consent(name, "anna", purposes="care")
    client.record_consent(name, "ben")
    records = [Record(caption=f"caption {at}", tags=("x",)) for at in range(2)]
    client.enrol_vectors(name, IDS[:2], vectors[:2], records=records, subject=["anna", "ben"])
    client.set_hold(name, "CASE-1", subject="anna")
    export = client.export_subject(name, "anna")
    assert [(row.record.id, row.record.caption, row.purposes) for row in export.rows] == [
        (IDS[0], "caption 0", frozenset({"care"}))
    ]
    vector = export.rows[0].record.vector
    assert vector is not None
    assert float(np.dot(vector, vectors[0])) == pytest.approx(1, abs=1e-3)
    assert [one.consent for one in export.consents] == [given]
    assert [hold.reason_code for hold in export.holds] == ["CASE-1"]
    assert [policy.version for policy in export.policies] == [1]


def test_a_hold_keeps_rows_until_it_is_lifted(client: Client, governed: Governed, vectors: np.ndarray) -> None:
    name = governed()
    client.record_consent(name, "anna")
    client.enrol_vectors(name, IDS, vectors, subject="anna")
    client.set_hold(name, "CASE-1", subject="anna")
    for erase in (
        lambda: client.erase(name, IDS[:2]),
        lambda: client.erase_subject(name, "anna"),
        lambda: client.delete_collection(name),
    ):
        with pytest.raises(OnLegalHold, match="CASE-1"):
            erase()
    assert client.count(name) == 12
    assert client.lift_hold(name, "CASE-1").lifted_at is not None
    assert client.erase_subject(name, "anna").rows == 12
    with pytest.raises(NotFound):
        client.lift_hold(name, "CASE-1")
    assert [hold.reason_code for hold in client.holds(name)] == ["CASE-1"]


def test_an_emergency_finds_every_row_for_its_time(client: Client, governed: Governed, vectors: np.ndarray) -> None:
    name = governed()
    client.record_consent(name, "anna", purposes="care")
    client.enrol_vectors(name, IDS, vectors, subject="anna")
    with pytest.raises(PurposeNotAllowed):
        found(client, name, vectors[0], "emergency")
    assert client.open_emergency(name, "ER-1", hours=0.5).active
    assert found(client, name, vectors[0], "emergency") == set(IDS)
    ended = client.end_emergency(name)
    assert (ended.active, ended.searches) == (False, 1)
    assert client.emergencies(name) == [ended]
    for hours in (0.0, -1.0, float("nan"), 1e12):
        with pytest.raises(InvalidInput):
            client.open_emergency(name, "ER-2", hours=hours)


def test_rows_on_another_basis_than_consent_are_recorded_by_themselves(
    client: Client, governed: Governed, vectors: np.ndarray
) -> None:
    name = governed(lawful_basis="eu-gdpr:A6-1-e", special_category_basis="eu-gdpr:A9-2-h")
    client.enrol_vectors(name, IDS[:6], vectors[:6], subject="anna")
    client.enrol_vectors(name, IDS[6:], vectors[6:])
    assert [one.state for one in client.consents(name, subject="anna")] == [ConsentState.RECORDED]
    assert found(client, name, vectors[0], "care") == set(IDS)
    assert client.erase_subject(name, "anna").rows == 6


def test_noise_that_the_agreement_asks_for_is_not_left_out(
    client: Client, governed: Governed, vectors: np.ndarray
) -> None:
    name = governed(noise={"mechanism": "privunit", "max_epsilon": "64"})
    client.record_consent(name, "anna")
    client.record_consent(name, "ben")
    for noise in (None, "privunit:64.5"):
        with pytest.raises((InvalidInput, InvalidConfiguration), match="privunit"):
            client.enrol_vectors(name, IDS, vectors, subject="anna", noise=noise)
    assert client.count(name) == 0
    noised = client.enrol_vectors(name, IDS[:2], vectors[:2], subject=["anna", "ben"], noise="privunit:32")
    assert noised.enrolled == 2


def test_what_does_not_fit_the_rows_is_refused_before_any_leaves(
    client: Client, governed: Governed, vectors: np.ndarray
) -> None:
    name = governed()
    client.record_consent(name, "anna")
    with pytest.raises(InvalidInput, match="2 subjects for 12 rows"):
        client.enrol_vectors(name, IDS, vectors, subject=["anna", "anna"])
    with pytest.raises(InvalidInput, match="purpose"):
        client.enrol_vectors(name, IDS, vectors, consent=bytes(16))
    with pytest.raises(ConsentNotValid):
        client.enrol_vectors(name, IDS, vectors)
    with pytest.raises(PurposeNotAllowed):
        client.enrol_vectors(name, IDS, vectors, subject="anna", purpose=["research", "marketing"])
    with pytest.raises(InvalidInput):
        client.record_consent(name, "anna", valid_for=timedelta(0))
    assert client.count(name) == 0


async def test_the_same_awaited(server: RealServer, home: Path, name: str, vectors: np.ndarray) -> None:
    ControllerKeys(home).make("controller")
    async with AsyncClient(server.address, home=home) as client:
        await client.create_collection(name, dimension=16)
        put = await client.set_policy(name, terms())
        assert (await client.accept_policy(name)).policy == (await client.policy(name)).policy == put.policy
        assert len((await client.policy_history(name))[0]) == 1
        given = await client.record_consent(name, "anna")
        await client.enrol_vectors(name, IDS, vectors, subject="anna", consent=given, purpose="care")
        assert len(await client.search_vector(name, vectors[0], purpose="care")) == 10
        assert [one.consent for one in await client.consents(name, subject="anna")] == [given]
        assert (await client.set_hold(name, "CASE-1")).lifted_at is None
        with pytest.raises(OnLegalHold):
            await client.erase(name, IDS[0])
        await client.lift_hold(name, "CASE-1")
        assert len(await client.holds(name)) == 1
        assert (await client.open_emergency(name, "ER-1")).active
        assert not (await client.end_emergency(name)).active
        assert len(await client.emergencies(name)) == 1
        assert len((await client.export_subject(name, "anna")).rows) == 12
        assert await client.erase(name, IDS[0]) == 1
        assert await client.withdraw_consent(name, subject="anna") == 11
        assert (await client.erase_subject(name, "anna")).rows in (0, 11)
        assert sum(one.rows for one in await client.certificates(name)) == 12
        assert name in {one.collection for one in await client.processing_activities()}
        with pytest.raises(KeyMissing):
            async with AsyncClient(server.address, home=home / "other") as stranger:
                await stranger.export_subject(name, "anna")
        await client.delete_collection(name)
