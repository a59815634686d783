"""Old blocks, old catalogues and erased rows of owner-encrypted collections, brought back by a server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.client.hand_driver import Driver
from tests.client.owner_paper import OwnerPaperServer
from unseen.errors import IntegrityError, ReplyRefused
from unseen.types import CatalogueEntry
from unseen_client.keys.keystore import KeyStore
from unseen_client.report import StoreWentBack

pytestmark = pytest.mark.usefixtures("locked_keys")

DIMENSION, QUERIES = 64, 12
Vectors = Callable[..., np.ndarray]


@pytest.fixture
def owner_device(home: Path, unit_vectors: Vectors):
    server = OwnerPaperServer()
    driver = Driver(server, home)
    driver(driver.protocol.create_collection("secret", None, DIMENSION, None, True, protection="owner"))
    enrol(driver, unit_vectors(6, DIMENSION), range(5))
    yield driver
    driver.session.close()
    server.close()


def enrol(driver: Driver, vectors: np.ndarray, rows) -> None:
    driver(driver.protocol.enrol_vectors("secret", [str(at) for at in rows], vectors[list(rows)], None))


def erase(driver: Driver, row: int) -> None:
    driver(driver.protocol.erase("secret", [str(row)], None))


def names(driver: Driver) -> set[str]:
    return {record.id for record in driver(driver.protocol.list("secret", None, 0))}


def entry_of(driver: Driver, at: int = 0) -> tuple[bytes, CatalogueEntry]:
    """A row as its catalogue has it: the one that was enrolled ``at``-th."""
    return [(row, entry) for row, (entry, _) in driver.server.collections["secret"].rows.items()][at]


def put_back(driver: Driver, row: bytes, entry: CatalogueEntry) -> None:
    """The server names a row of before once more, as if it had just been enrolled."""
    collection = driver.server.collections["secret"]
    collection.epoch += 1
    collection.rows[row] = (replace(entry, epoch=collection.epoch), np.zeros(0, np.int16))
    collection.erased = [one for one in collection.erased if one[1] != row]


def refusals(driver: Driver, vectors: np.ndarray) -> int:
    refused = 0
    for vector in vectors:
        try:
            driver(driver.protocol.search_vector("secret", vector, 1))
        except ReplyRefused:
            refused += 1
    return refused


@pytest.mark.parametrize("change", ["a row more", "a row less", "a row in the place of another"])
def test_block_from_before_its_last_change_is_noticed_by_almost_every_query(
    owner_device, unit_vectors: Vectors, change: str
) -> None:
    vectors = unit_vectors(6, DIMENSION)
    if change != "a row more":
        erase(owner_device, 2)
    if change != "a row less":
        enrol(owner_device, vectors, [5])
    queries = unit_vectors(QUERIES, DIMENSION, 9)
    assert refusals(owner_device, queries) == 0
    owner_device.server.served[0] = 0
    assert refusals(owner_device, queries) >= 8


def test_every_older_version_of_a_block_is_noticed(owner_device, unit_vectors: Vectors) -> None:
    vectors = unit_vectors(6, DIMENSION)
    erase(owner_device, 2)
    enrol(owner_device, vectors, [5])
    erase(owner_device, 4)
    versions = owner_device.server.versions[0]
    assert len(versions) == 4
    for at in range(len(versions) - 1):
        owner_device.server.served[0] = at
        assert refusals(owner_device, unit_vectors(5, DIMENSION, at)) >= 2


def test_sealed_copy_of_an_erased_row_does_not_come_back(owner_device, unit_vectors: Vectors) -> None:
    """Nor is a block written that would hold it again."""
    row, entry = entry_of(owner_device)
    erase(owner_device, 0)
    put_back(owner_device, row, entry)
    written = len(owner_device.server.versions[0])
    for act in (
        lambda: names(owner_device),
        lambda: enrol(owner_device, unit_vectors(6, DIMENSION), [5]),
        lambda: erase(owner_device, 3),
    ):
        with pytest.raises(IntegrityError, match="names a row again"):
            act()
    assert len(owner_device.server.versions[0]) == written


def test_nor_does_one_that_another_device_erased(owner_device, new_device, unit_vectors: Vectors) -> None:
    other = new_device(owner_device.server)
    uid = owner_device.server.collections["secret"].uid
    KeyStore(other.session.home).put(KeyStore(owner_device.session.home).get(uid))
    row, entry = entry_of(owner_device)
    assert len(names(other)) == 5
    erase(owner_device, 0)
    assert names(other) == set("1234")
    put_back(owner_device, row, entry)
    with pytest.raises(IntegrityError, match="names a row again"):
        names(other)


def test_nor_in_a_catalogue_from_before_its_erasure(owner_device) -> None:
    """The server was put back whole, key ring included. This device's mirror stays as it was."""
    collection = owner_device.server.collections["secret"]
    before, epoch = dict(collection.rows), collection.epoch
    erase(owner_device, 0)
    collection.rows, collection.epoch, collection.erased = before, epoch, []
    for _ in range(2):
        with pytest.raises(IntegrityError, match="delete this device's mirror"):
            names(owner_device)


def test_catalogue_from_before_what_this_device_wrote_starts_the_mirror_over_with_a_warning(
    owner_device, unit_vectors: Vectors
) -> None:
    collection = owner_device.server.collections["secret"]
    before, epoch = dict(collection.rows), collection.epoch
    enrol(owner_device, unit_vectors(6, DIMENSION), [5])
    collection.rows, collection.epoch = before, epoch
    with pytest.warns(StoreWentBack):
        assert names(owner_device) == set("01234")


def test_erasure_that_is_acknowledged_and_not_made_is_noticed(owner_device) -> None:
    collection = owner_device.server.collections["secret"]
    rows = dict(collection.rows)

    class Keeping(OwnerPaperServer):
        def on_erase_rows(self, requests):
            yield from super().on_erase_rows(requests)
            collection.rows, collection.erased = rows, []

    owner_device.server.__class__ = Keeping
    with pytest.raises(IntegrityError, match="still names them"):
        erase(owner_device, 0)


def test_enrolment_that_is_acknowledged_and_not_made_is_noticed(owner_device, unit_vectors: Vectors) -> None:
    """The device takes its own rows into its mirror at once: a server that has not kept them cannot score them."""
    kept = dict(owner_device.server.collections["secret"].rows)
    enrol(owner_device, unit_vectors(6, DIMENSION), [5])
    owner_device.server.collections["secret"].rows = kept
    owner_device.server.served[0] = -2
    queries = unit_vectors(QUERIES, DIMENSION, 9)
    assert refusals(owner_device, queries) >= QUERIES - 3
    assert names(owner_device) == set("012345")


def test_row_that_is_enrolled_anew_is_another_row(owner_device, unit_vectors: Vectors) -> None:
    vectors = unit_vectors(6, DIMENSION)
    for _ in range(2):
        erase(owner_device, 0)
        enrol(owner_device, vectors, [0])
    assert names(owner_device) == set("01234")
    assert refusals(owner_device, vectors) == 0


def test_row_that_is_moved_is_not_erased(owner_device) -> None:
    """A catalogue may name a row at another slot: its copy is the same."""
    row, entry = entry_of(owner_device, 1)
    collection = owner_device.server.collections["secret"]
    for slot in (9, 10):
        collection.epoch += 1
        collection.erased.append((collection.epoch, row))
        collection.rows[row] = (replace(entry, epoch=collection.epoch, slot=slot), np.zeros(0, np.int16))
        assert names(owner_device) == set("01234")
