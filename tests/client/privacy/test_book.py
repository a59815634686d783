"""The privacy book: charged before drawn, drawn once, kept until acknowledged; budgets that hold and are remembered."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import replace
from math import inf

import numpy as np
import pytest

from unseen.dp.ledger import LEDGER_NAME, Budget
from unseen.dp.privunit import PrivUnit
from unseen.errors import BudgetExceeded, IntegrityError, InvalidConfiguration, InvalidVector, NotFound, StoreFailed
from unseen_client.privacy import budgets as budgets_file
from unseen_client.privacy import unacknowledged
from unseen_client.privacy.book import Asked, PrivacyBook
from unseen_client.privacy.unacknowledged import Unacknowledged

NOISE = PrivUnit(32.0)
ROWS = [bytes([at]) * 16 for at in range(3)]


@pytest.fixture
def asked(unit_vectors):
    return Asked(b"c" * 16, b"k" * 32, ROWS, unit_vectors(3), ["anna", "ben", "ben"])


@pytest.fixture
def book(home):
    return PrivacyBook(home)


def charged(book: PrivacyBook) -> int:
    return book.report().device.spent.releases


def kept(home) -> int:
    """Releases that wait for the server's word."""
    with Unacknowledged(home / "privacy")._opened() as database:
        return int(database.execute("SELECT count(*) FROM release").fetchone()[0])


# ---- released once --------------------------------------------------------------------------------------------------


def test_a_release_is_what_the_mechanism_gives_and_is_charged_to_subject_and_device(book, asked, begin_noise_anew):
    book.set_budgets(100, None, None)
    begin_noise_anew()
    released, event = book.release(NOISE, asked)
    begin_noise_anew()
    assert np.array_equal(released, NOISE.release_batch(asked.vectors)[0])
    assert event == NOISE.event(16)
    report = book.report()
    assert {name: one.spent.releases for name, one in report.subjects.items()} == {"anna": 1, "ben": 2}
    assert report.device.spent.releases == 3
    assert report.subjects["ben"].spent.epsilon == pytest.approx(64, rel=1e-3)


def test_what_was_not_acknowledged_comes_back_as_it_was_at_no_charge(home, book, asked):
    book.set_budgets(64, None, None)
    first, _ = book.release(NOISE, asked)
    for again in (book, PrivacyBook(home)):
        assert np.array_equal(again.release(NOISE, asked)[0], first)
    assert charged(book) == 3


def test_only_rows_that_are_new_are_charged(book, asked):
    first, _ = book.release(NOISE, replace(asked, row_ids=ROWS[:1], vectors=asked.vectors[:1], subjects=["anna"]))
    both, _ = book.release(NOISE, replace(asked, row_ids=ROWS[:2], vectors=asked.vectors[:2], subjects=["anna", "ben"]))
    assert np.array_equal(both[0], first[0])
    assert not np.array_equal(both[1], first[0])
    assert charged(book) == 2


def test_after_the_acknowledgement_a_release_is_a_new_one(book, asked):
    book.set_budgets(1000, None, None)
    first, _ = book.release(NOISE, asked)
    book.acknowledged(b"c" * 16, ROWS[:2])
    second, _ = book.release(NOISE, asked)
    assert [np.array_equal(a, b) for a, b in zip(first, second, strict=True)] == [False, False, True]
    assert charged(book) == 5


@pytest.mark.parametrize("what", ["vector", "mechanism", "row", "collection", "key"])
def test_another_release_never_gets_the_bytes_of_an_earlier_one(book, asked, unit_vectors, what):
    book.set_budgets(1000, None, None)
    first, _ = book.release(NOISE, asked)
    noise, other = NOISE, asked
    match what:
        case "vector":
            other = replace(asked, vectors=unit_vectors(3, seed=2))
        case "mechanism":
            noise = PrivUnit(16.0)
        case "row":
            other = replace(asked, row_ids=[row[::-1][:15] + b"x" for row in ROWS])
        case "collection":
            other = replace(asked, collection_uid=b"d" * 16)
        case "key":
            other = replace(asked, record_key=b"l" * 32)
    second, _ = book.release(noise, other)
    assert not any(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert charged(book) == 6


def test_a_collection_that_is_no_more_leaves_its_charges_and_nothing_else(home, book, asked):
    book.release(PrivUnit(1.0), asked)
    assert kept(home) == 3
    book.forget_collection(b"d" * 16)
    assert kept(home) == 3
    book.forget_collection(b"c" * 16)
    assert kept(home) == 0
    book.release(PrivUnit(1.0), asked)
    assert charged(book) == 6


# ---- refused --------------------------------------------------------------------------------------------------------


def test_above_a_budget_nothing_is_released_charged_or_kept(home, book, asked):
    book.set_budgets(40, None, None)
    with pytest.raises(BudgetExceeded, match="unseen budget"):
        book.release(NOISE, asked)  # ben has two rows at 32
    assert charged(book) == 0
    assert kept(home) == 0
    book.set_budgets(None, 40, None)
    with pytest.raises(BudgetExceeded, match="the device"):
        book.release(NOISE, replace(asked, subjects=["anna", "ben", "cleo"]))
    book.set_budgets(None, inf, None)
    assert book.release(NOISE, replace(asked, subjects=["anna", "ben", "cleo"]))[0].shape == (3, 16)


def test_a_vector_without_direction_costs_nothing(book, asked):
    with pytest.raises(InvalidVector):
        book.release(NOISE, replace(asked, vectors=asked.vectors * 0))
    assert charged(book) == 0


def test_when_what_was_drawn_cannot_be_kept_nothing_may_be_sent(book, asked, monkeypatch):
    def refuse(*_):
        raise StoreFailed("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Unacknowledged, "keep", refuse)
        with pytest.raises(StoreFailed):
            book.release(PrivUnit(1.0), asked)
    assert charged(book) == 3  # drawn, and counted although it never left
    book.release(PrivUnit(1.0), asked)
    assert charged(book) == 6


def test_a_damaged_ledger_stops_every_release_until_it_is_put_right(home, book, asked):
    book.release(PrivUnit(1.0), asked)
    path = home / "privacy" / LEDGER_NAME
    good = path.read_bytes()
    path.write_bytes(good.replace(b'"anna":1', b'"anna":2'))
    with pytest.raises(IntegrityError):
        PrivacyBook(home).release(PrivUnit(2.0), asked)
    path.write_bytes(good)
    assert charged(PrivacyBook(home)) == 3


@pytest.mark.parametrize("damage", [b"no database at all, not even nearly" * 40, b""])
def test_a_damaged_file_of_unacknowledged_releases_is_an_error_or_empty(home, asked, damage):
    book = PrivacyBook(home)
    book.release(PrivUnit(1.0), asked)
    (home / "privacy" / unacknowledged.FILE_NAME).write_bytes(damage)
    if damage:
        with pytest.raises(IntegrityError, match="remove it"):
            book.release(PrivUnit(1.0), asked)
        assert charged(book) == 3
    else:
        book.release(PrivUnit(1.0), asked)
        assert charged(book) == 6  # forgotten is paid anew, never for nothing


# ---- budgets --------------------------------------------------------------------------------------------------------


def test_budgets_are_remembered_and_what_is_not_given_stays(home):
    assert PrivacyBook(home).budgets() == budgets_file.default_budgets()
    PrivacyBook(home).set_budgets(128, 1000, None)
    PrivacyBook(home).set_budgets(None, inf, 1e-9)
    assert PrivacyBook(home).budgets() == budgets_file.Budgets(Budget(128, 1e-9), Budget(inf, 1e-9))


@pytest.mark.parametrize(
    ("epsilon", "delta"), [(0.0, None), (-1.0, None), (float("nan"), None), (8.0, 0.0), (8.0, 1.0)]
)
def test_a_budget_that_is_none_is_refused_and_the_old_one_stays(home, epsilon, delta):
    PrivacyBook(home).set_budgets(128, None, None)
    with pytest.raises(InvalidConfiguration):
        PrivacyBook(home).set_budgets(epsilon, None, delta)
    assert PrivacyBook(home).budgets().per_subject.epsilon == 128


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "other"}', '{"format": "unseen-privacy-budgets-1", "per_subject": {}}']
)
def test_budgets_that_cannot_be_read_stop_every_release(home, book, asked, text):
    book.set_budgets(1000, None, None)
    (home / "privacy" / budgets_file.FILE_NAME).write_text(text)
    with pytest.raises(IntegrityError, match="unseen budget"):
        book.release(NOISE, asked)


def test_who_has_least_left_comes_first(book, asked):
    book.set_budgets(1000, None, None)
    book.release(NOISE, asked)
    assert list(book.report().subjects) == ["ben", "anna"]
    assert list(book.report().of("anna").subjects) == ["anna"]
    with pytest.raises(NotFound):
        book.report().of("cleo")


# ---- files ----------------------------------------------------------------------------------------------------------


def test_every_file_is_for_the_owner_alone(home, book, asked):
    book.set_budgets(1000, None, None)
    book.release(NOISE, asked)
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home / "privacy").iterdir()}
    assert files == {LEDGER_NAME: 0o600, budgets_file.FILE_NAME: 0o600, unacknowledged.FILE_NAME: 0o600}
    (home / "privacy" / budgets_file.FILE_NAME).chmod(0o644)
    with pytest.raises(InvalidConfiguration, match="chmod 600"):
        book.release(NOISE, asked)


def test_the_true_vectors_are_in_no_file(home, book, asked):
    book.set_budgets(1000, None, None)
    book.release(NOISE, asked)
    held = b"".join(path.read_bytes() for path in (home / "privacy").iterdir())
    for vector in asked.vectors:
        assert vector.tobytes() not in held
        assert vector[:4].tobytes() not in held


def test_formats_tripwire(home, asked, begin_noise_anew):
    """A change here forgets budgets, or charges releases anew that were under way."""
    PrivacyBook(home).set_budgets(128, inf, 1e-6)
    text = (home / "privacy" / budgets_file.FILE_NAME).read_bytes()
    assert hashlib.sha256(text).hexdigest()[:16] == "1ce7e634f3df65d9"
    begin_noise_anew()
    kept = Unacknowledged(home / "privacy")
    PrivacyBook(home).release(PrivUnit(1.0), replace(asked, vectors=np.eye(3, 16, dtype=np.float32)))
    with kept._opened() as database:
        rows = database.execute("SELECT collection_uid, row_id, cause FROM release ORDER BY row_id").fetchall()
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
    assert hashlib.sha256(repr(rows).encode()).hexdigest()[:16] == "2479220b01e42fb5"
