"""Noise on the way in: what the server and the members get, what is charged when, and what a crash may cost.

By hand against the paper server; with the real server, the command line and processes that are killed: test_noise_real.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from unseen import params
from unseen.dp.event import Event
from unseen.dp.gaussian import Gaussian
from unseen.dp.metric import MetricVonMisesFisher
from unseen.dp.privunit import PrivUnit
from unseen.errors import BudgetExceeded, InvalidConfiguration, InvalidInput, ServerUnavailable
from unseen.he.quantise import quantise_rows
from unseen_client import Record
from unseen_client.flows.consents import Given

IDS = ["a", "b", "c"]
NOISE = PrivUnit(32.0)


@pytest.fixture
def plants(device):
    """A device with a collection of sixteen numbers a row."""
    device(device.protocol.create_collection("plants", None, 16, None, True))
    return device


def enrol(device, ids, vectors, noise="privunit:32", subject=None, records=None):
    return device(device.protocol.enrol_vectors("plants", ids, vectors, records, noise, Given(subject, None, None)))


def stored(device) -> np.ndarray:
    """The rows as the server has them, in the order of enrolment."""
    return np.stack([vector for _, vector in device.server.collections["plants"].rows.values()])


def releases(device) -> dict[str, int]:
    return {name: one.spent.releases for name, one in device(device.protocol.budget()).subjects.items()}


def enrolments(device) -> list[list[bytes]]:
    sent = [exchange for exchange in device.exchanges if exchange.rpc.path.endswith("EnrolRows")]
    return [[request.SerializeToString() for request in exchange.requests] for exchange in sent]


@pytest.mark.parametrize("mechanism", [NOISE, Gaussian(32.0), MetricVonMisesFisher(16.0)], ids=str)
def test_the_server_gets_the_noised_vector_quantised(plants, unit_vectors, begin_noise_anew, mechanism):
    begin_noise_anew()
    enrol(plants, IDS, unit_vectors(3), mechanism)
    begin_noise_anew()
    expected = mechanism.release_batch(unit_vectors(3))[0]
    assert np.array_equal(stored(plants), quantise_rows(params.DEFAULT, expected))
    assert not np.array_equal(stored(plants), quantise_rows(params.DEFAULT, unit_vectors(3)))


def test_members_see_the_noise_and_never_the_vector_without_it(plants, unit_vectors, begin_noise_anew):
    begin_noise_anew()
    enrol(plants, IDS, unit_vectors(3), "privunit:8")
    for record, vector, row in zip(
        plants(plants.protocol.list("plants", None, 0)), unit_vectors(3), stored(plants), strict=True
    ):
        assert record.noise == PrivUnit(8.0).event(16)
        assert (record.noise.mechanism, record.noise.epsilon, record.noise.unit) == (
            "privunit",
            8,
            "one image embedding",
        )
        assert float(record.vector @ vector) < 0.95
        assert np.allclose(record.vector, row / np.linalg.norm(row), atol=0.01)
    hit = plants(plants.protocol.search_vector("plants", unit_vectors(3)[0], 1))[0]
    assert isinstance(hit.record.noise, Event)


def test_without_noise_a_record_says_so_whatever_the_caller_wrote(plants, unit_vectors):
    enrol(plants, ["a"], unit_vectors(1), None, records=[Record(noise=NOISE.event(16))])
    assert plants(plants.protocol.get("plants", "a")).noise is None
    assert not (plants.session.home / "privacy").exists()


def test_a_collection_without_kept_vectors_keeps_none_with_noise_either(device, unit_vectors):
    device(device.protocol.create_collection("plants", None, 16, None, False))
    enrol(device, IDS, unit_vectors(3))
    record = device(device.protocol.get("plants", "a"))
    assert (record.vector, record.noise) == (None, NOISE.event(16))


def test_each_release_is_charged_to_its_subject(plants, unit_vectors):
    plants(plants.protocol.set_budget(100, None, None))
    enrol(plants, ["a", "b"], unit_vectors(2), subject="anna")
    enrol(plants, ["c", "d"], unit_vectors(2, seed=2), subject=["anna", "ben"])
    long = "x" * 400
    enrol(plants, ["e", long], unit_vectors(2, seed=3))
    assert releases(plants) == {"anna": 3, "ben": 1, "e": 1, hashlib.sha256(long.encode()).hexdigest(): 1}
    assert plants(plants.protocol.budget()).device.spent.releases == 6


def test_rows_that_are_there_cost_nothing(plants, unit_vectors):
    enrol(plants, IDS, unit_vectors(3))
    again = enrol(plants, [*IDS, "d"], unit_vectors(4))
    assert (again.ids, again.already) == (("d",), tuple(IDS))
    assert sum(releases(plants).values()) == 4


def test_a_retry_sends_the_same_bytes_and_charges_once(plants, unit_vectors):
    plants.faults = lambda exchange: (-1, 0, None)[min(len(enrolments(plants)) - 1, 2)]
    assert enrol(plants, IDS, unit_vectors(3)).enrolled == 3
    first, *others = enrolments(plants)
    assert len(others) >= 2 and all(other == first for other in others)  # noqa: PT018
    assert releases(plants) == dict.fromkeys(IDS, 1)


def test_an_enrolment_given_up_is_taken_up_with_the_same_noise_at_no_charge(plants, unit_vectors, new_device):
    plants.faults = lambda exchange: -1 if exchange.rpc.path.endswith("EnrolRows") else None
    with pytest.raises(ServerUnavailable):
        enrol(plants, IDS, unit_vectors(3))
    lost = plants.exchanges[-1].requests
    later = new_device(plants.server, plants.session.home)
    assert enrol(later, IDS, unit_vectors(3)).enrolled == 3
    sent = next(exchange.requests for exchange in later.exchanges if exchange.rpc.path.endswith("EnrolRows"))
    assert sent[0].header.request_id != lost[0].header.request_id
    assert sent[1].batch.vectors == lost[1].batch.vectors
    assert releases(later) == dict.fromkeys(IDS, 1)


def test_an_enrolment_whose_answer_was_lost_is_not_charged_again(plants, unit_vectors, new_device):
    plants.faults = lambda exchange: 0 if exchange.rpc.path.endswith("EnrolRows") else None
    with pytest.raises(ServerUnavailable):
        enrol(plants, IDS, unit_vectors(3))
    later = new_device(plants.server, plants.session.home)
    assert enrol(later, IDS, unit_vectors(3)).already == tuple(IDS)
    assert releases(later) == dict.fromkeys(IDS, 1)


def test_another_device_that_was_faster_makes_nothing_to_be_drawn_twice(plants, unit_vectors, new_device):
    other = new_device(plants.server)
    other.session.keys.put(plants.session.keys.all()[0])
    enrolled = []

    def let_the_other_in(exchange):
        if exchange.rpc.path.endswith("EnrolRows") and not enrolled:
            enrolled.append(enrol(other, ["b"], unit_vectors(1)))

    plants.faults = let_the_other_in
    report = enrol(plants, IDS, unit_vectors(3))
    assert (report.ids, report.already) == (("a", "c"), ("b",))
    first, second = (exchange.requests[1].batch for exchange in plants.exchanges if "EnrolRows" in exchange.rpc.path)
    row_bytes = 2 * 16
    assert second.vectors == first.vectors[:row_bytes] + first.vectors[2 * row_bytes :]
    assert releases(plants) == dict.fromkeys(IDS, 1)


def test_above_the_budget_nothing_leaves(plants, unit_vectors):
    before = len(plants.server.log)
    with pytest.raises(BudgetExceeded) as refused:
        enrol(plants, IDS, unit_vectors(3), "privunit:65")
    assert "EnrolRows" not in plants.server.log[before:]
    assert refused.value.__notes__ == ["0 of 3 are enrolled; run it again to go on, those will be skipped"]
    enrol(plants, IDS, unit_vectors(3), "privunit:64")
    with pytest.raises(BudgetExceeded):
        enrol(plants, ["d"], unit_vectors(1), "privunit:1", subject="a")


def test_a_second_release_of_a_row_erased_meanwhile_is_charged(plants, unit_vectors):
    enrol(plants, IDS, unit_vectors(3))
    first = stored(plants)[0]
    plants(plants.protocol.erase("plants", "a"))
    enrol(plants, ["a"], unit_vectors(1))
    assert releases(plants) == {"a": 2, "b": 1, "c": 1}
    assert not np.array_equal(stored(plants)[-1], first)


@pytest.mark.parametrize(
    ("noise", "subject", "error"),
    [
        ("laplace:1", None, InvalidConfiguration),
        ("privunit:0", None, InvalidConfiguration),
        (NOISE, ["a", "b"], InvalidInput),
        (NOISE, "", InvalidInput),
        (NOISE, "x" * 257, InvalidInput),
        (NOISE, ["a", "b", 3], InvalidInput),
    ],
)
def test_noise_or_subjects_that_are_none_are_refused_before_anything_is_sent(
    plants, unit_vectors, noise, subject, error
):
    before = len(plants.server.log)
    with pytest.raises(error):
        enrol(plants, IDS, unit_vectors(3), noise, subject)
    assert plants.server.log[before:] == []


def test_deleting_a_collection_leaves_what_was_spent(plants, unit_vectors):
    enrol(plants, IDS, unit_vectors(3))
    plants(plants.protocol.delete_collection("plants"))
    assert releases(plants) == dict.fromkeys(IDS, 1)
