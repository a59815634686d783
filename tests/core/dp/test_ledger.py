"""The ledger never counts too little: crashes, failing disks, damage, races, budgets, and the bytes on disk."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from unseen.dp.accounting import compose
from unseen.dp.charged import release_charged
from unseen.dp.event import Event
from unseen.dp.gaussian import Gaussian
from unseen.dp.ledger import LEDGER_NAME, Budget, Ledger
from unseen.dp.mechanism import Mechanism
from unseen.dp.privunit import PrivUnit
from unseen.errors import (
    BudgetExceeded,
    IntegrityError,
    InvalidConfiguration,
    InvalidInput,
    InvalidName,
    InvalidVector,
    LimitExceeded,
    StoreFailed,
    UnsupportedEvent,
)

SCRIPT = Path(__file__).with_name("crashing_charge.py")
ROOT = Path(__file__).resolve().parents[3]
WIDE = Budget(1e6, 1e-6)
EVENT = PrivUnit(0.5).event(8)
VECTORS = np.ones((3, 8), np.float32)


def opened(folder: Path, per_subject: Budget = WIDE, per_device: Budget = WIDE) -> Ledger:
    return Ledger(folder, per_subject, per_device)


def releases(folder: Path) -> int:
    return opened(folder).device("this device").spent.releases


# ---- counting -------------------------------------------------------------------------------------------------------


def test_what_was_charged_is_there_after_opening_again(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.charge(EVENT, "a phone", ["anna", "anna", "ben"])
    ledger.charge(Gaussian(1.0).event(8), "a laptop", ["anna"])
    for book in (ledger, opened(tmp_path)):
        assert (book.subjects(), book.devices()) == (("anna", "ben"), ("a laptop", "a phone"))
        assert book.subject("anna").spent == compose({EVENT: 2, Gaussian(1.0).event(8): 1}, 1e-6)
        assert book.subject("ben").spent.releases == 1
        assert book.device("a phone").spent.releases == 3
        assert book.subject("nobody").spent.releases == 0


def test_spent_and_left_add_up_to_the_budget(tmp_path: Path) -> None:
    ledger = opened(tmp_path, Budget(3.0, 1e-6))
    ledger.charge(EVENT, "a phone", ["anna"])
    statement = ledger.subject("anna")
    assert statement.spent.epsilon == pytest.approx(0.5, abs=1e-5)
    assert statement.left == 3.0 - statement.spent.epsilon
    assert ledger.subject("ben").left == 3.0


def test_a_release_above_a_subject_s_budget_is_refused_and_not_charged(tmp_path: Path) -> None:
    ledger = opened(tmp_path, Budget(1.0, 1e-9))
    ledger.charge(EVENT, "a phone", ["anna", "anna", "ben"])
    before = (tmp_path / LEDGER_NAME).read_bytes()
    with pytest.raises(BudgetExceeded, match="a subject would have spent epsilon 1"):
        ledger.charge(EVENT, "a phone", ["ben", "anna"])
    assert (tmp_path / LEDGER_NAME).read_bytes() == before
    ledger.charge(EVENT, "a phone", ["ben"])
    assert issubclass(BudgetExceeded, LimitExceeded)


def test_a_release_above_the_device_s_budget_is_refused(tmp_path: Path) -> None:
    ledger = opened(tmp_path, WIDE, Budget(1.0, 1e-9))
    ledger.charge(EVENT, "a phone", ["anna", "ben"])
    with pytest.raises(BudgetExceeded, match="the device would"):
        ledger.charge(EVENT, "a phone", ["cleo"])
    ledger.charge(EVENT, "another phone", ["cleo"])


def test_many_small_releases_fit_a_budget_that_their_sum_would_pass(tmp_path: Path) -> None:
    event = PrivUnit(0.1).event(64)
    ledger = opened(tmp_path, Budget(12.0, 1e-6), WIDE)
    ledger.charge(event, "a phone", ["anna"] * 400)
    assert 400 * 0.1 > 12.0 > ledger.subject("anna").spent.epsilon


def test_an_event_that_nobody_understands_is_refused(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    with pytest.raises(UnsupportedEvent):
        ledger.charge(Event("laplace", 1, 0.1, 0.0, ()), "a phone", ["anna"])
    assert ledger.subjects() == ()


def test_an_event_of_a_newer_release_in_the_file_stops_every_charge_that_it_concerns(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    with ledger._file.locked():
        ledger._file.read_new()
        ledger._file.append(
            '{"at":"","device":"a phone","event":{"delta":0.0,"epsilon":0.1,"mechanism":"privunit","neighbouring":'
            '"replace one","parameters":{},"unit":"one image embedding","version":9},"subjects":{"anna":1}}'
        )
    again = opened(tmp_path)
    with pytest.raises(UnsupportedEvent):
        again.charge(EVENT, "a phone", ["ben"])
    with pytest.raises(UnsupportedEvent):
        again.subject("anna")
    again.charge(EVENT, "another phone", ["ben"])


@pytest.mark.parametrize("name", ["", "x" * 257])
def test_names_have_a_length(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidName):
        opened(tmp_path).charge(EVENT, "a phone", [name])
    with pytest.raises(InvalidName):
        opened(tmp_path).charge(EVENT, name, ["anna"])


@pytest.mark.parametrize("name", ["Zoë", "line\nbreak", '"quoted"', "\x00", "\ud7ff\u2028"])
def test_any_name_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    opened(tmp_path).charge(EVENT, "a phone", [name], at="2026-01-02T03:04:05Z")
    assert opened(tmp_path).subjects() == (name,)


@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 1e-6), (-1.0, 1e-6), (1.0, 0.0), (1.0, 1.0), (float("nan"), 0.5)])
def test_a_budget_that_is_none_is_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(InvalidConfiguration):
        Budget(epsilon, delta)


def test_charging_nobody_writes_nothing(tmp_path: Path) -> None:
    opened(tmp_path).charge(EVENT, "a phone", [])
    assert (tmp_path / LEDGER_NAME).read_bytes() == b""


# ---- charge first, release after ------------------------------------------------------------------------------------


class Watching(Mechanism):
    """PrivUnit that looks at the file at the moment of release."""

    def __init__(self, path: Path) -> None:
        self.path, self.inner, self.seen = path, PrivUnit(0.5), b""

    def event(self, dimension: int) -> Event:
        return self.inner.event(dimension)

    def unbiasing_scale(self, dimension: int) -> float:
        return 1.0

    def expected_cosine(self, dimension: int) -> float:
        return 1.0

    def _noised(self, units):
        self.seen = self.path.read_bytes()
        return self.inner._noised(units)


def test_the_charge_stands_in_the_file_before_noise_is_drawn(tmp_path: Path) -> None:
    mechanism = Watching(tmp_path / LEDGER_NAME)
    released, event = release_charged(mechanism, VECTORS, opened(tmp_path), "this device", ["anna", "ben", "ben"])
    assert b'"subjects":{"anna":1,"ben":2}' in mechanism.seen
    assert (released.shape, event) == (VECTORS.shape, EVENT)


def test_vectors_that_cannot_be_released_are_not_charged(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    with pytest.raises(InvalidVector):
        release_charged(PrivUnit(0.5), VECTORS * 0, ledger, "this device", ["anna"] * 3)
    with pytest.raises(InvalidInput, match="2 subjects for 3"):
        release_charged(PrivUnit(0.5), VECTORS, ledger, "this device", ["anna"] * 2)
    assert ledger.devices() == ()


def crash(folder: Path, point: str) -> int:
    """Run the crashing script until it is dead; how many releases left."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "core")}
    command = [sys.executable, str(SCRIPT), str(folder), point]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == -signal.SIGKILL, result.stderr
    return result.stdout.count("released")


@pytest.mark.parametrize(
    ("point", "charged"), [("before-write", 3), ("mid-write", 3), ("after-write", 4), ("after-fsync", 4)]
)
def test_a_crash_between_charge_and_release_never_counts_too_little(tmp_path: Path, point: str, charged: int) -> None:
    assert crash(tmp_path, point) == 3
    assert releases(tmp_path) == charged
    opened(tmp_path).charge(EVENT, "this device", ["anna"])
    assert releases(tmp_path) == charged + 1


def test_killed_at_any_moment_every_release_that_left_is_in_the_ledger(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "core")}
    left = 0
    for wanted in (1, 23):
        command = [sys.executable, str(SCRIPT), str(tmp_path), "never"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(wanted):
                assert process.stdout.readline().startswith("released")
            process.kill()
            left += wanted + len(process.stdout.readlines())
        assert left <= releases(tmp_path) <= left + 3


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_when_the_disk_refuses_nothing_is_released_and_the_ledger_stops(tmp_path: Path, call: str, monkeypatch) -> None:
    ledger = opened(tmp_path)
    mechanism = Watching(tmp_path / LEDGER_NAME)

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(StoreFailed, match="nothing was released"):
            release_charged(mechanism, VECTORS, ledger, "this device", ["anna"] * 3)
    assert mechanism.seen == b""
    with pytest.raises(StoreFailed, match="start anew"):
        ledger.charge(EVENT, "this device", ["anna"])
    opened(tmp_path).charge(EVENT, "this device", ["anna"])


def test_a_disk_that_takes_a_few_bytes_at_a_time_is_written_to_the_end(tmp_path: Path, monkeypatch) -> None:
    true_write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: true_write(descriptor, data[:7]))
        opened(tmp_path).charge(EVENT, "this device", ["anna"])
    assert releases(tmp_path) == 1


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed):
        opened(tmp_path / "nowhere")


# ---- damage ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def three_lines(tmp_path: Path) -> list[bytes]:
    ledger = opened(tmp_path)
    for name in ("anna", "ben", "cleo"):
        ledger.charge(EVENT, "this device", [name])
    return (tmp_path / LEDGER_NAME).read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    "damage", ["altered", "left out", "moved", "joined", "not text", "empty line", "first cut off"]
)
def test_damage_stops_everything(tmp_path: Path, three_lines: list[bytes], damage: str) -> None:
    one, two, three = three_lines
    damaged = {
        "altered": [one, two.replace(b'"ben":1', b'"ben":0'), three],
        "left out": [one, three],
        "moved": [two, one, three],
        "joined": [one, two[:-1], three],
        "not text": [one, b"\xff\xfe\n", two, three],
        "empty line": [one, b"\n", two, three],
        "first cut off": [one[10:], two, three],
    }[damage]
    (tmp_path / LEDGER_NAME).write_bytes(b"".join(damaged))
    with pytest.raises(IntegrityError, match="damaged at byte"):
        opened(tmp_path)


def test_every_altered_byte_is_noticed(tmp_path: Path, three_lines: list[bytes]) -> None:
    whole = b"".join(three_lines)
    for place in range(0, len(whole) - 1, 11):
        altered = bytearray(whole)
        altered[place] ^= 1
        (tmp_path / LEDGER_NAME).write_bytes(bytes(altered))
        with pytest.raises(IntegrityError):
            opened(tmp_path)


def test_a_line_that_a_crash_cut_short_is_dropped_at_any_length(tmp_path: Path, three_lines: list[bytes]) -> None:
    one, two, three = three_lines
    for kept in range(0, len(three), 7):
        (tmp_path / LEDGER_NAME).write_bytes(one + two + three[:kept])
        assert releases(tmp_path) == 2
        assert (tmp_path / LEDGER_NAME).read_bytes() == one + two


@pytest.mark.parametrize("change", ["cut", "replaced", "removed"])
def test_a_file_that_changes_under_an_open_ledger_stops_it(tmp_path: Path, change: str) -> None:
    ledger = opened(tmp_path)
    ledger.charge(EVENT, "this device", ["anna"])
    path = tmp_path / LEDGER_NAME
    if change == "cut":
        path.write_bytes(b"")
    else:
        content = path.read_bytes()
        path.rename(tmp_path / "aside")
        if change == "replaced":
            path.write_bytes(content)
    with pytest.raises((IntegrityError, StoreFailed)):
        ledger.charge(EVENT, "this device", ["anna"])


@pytest.mark.parametrize("text", ["[]", "{}", '{"event":{},"device":"d","subjects":3}', "not json"])
def test_a_whole_line_that_is_no_charge_is_refused(tmp_path: Path, text: str) -> None:
    ledger = opened(tmp_path)
    with ledger._file.locked():
        ledger._file.append(text)
    with pytest.raises((IntegrityError, UnsupportedEvent)):
        opened(tmp_path)


@pytest.mark.parametrize("text", ["not json", '{"at":"","device":"d","event":{"more":1},"subjects":{"anna":1}}'])
def test_a_line_that_was_not_understood_is_not_skipped_by_the_next_call(tmp_path: Path, text: str) -> None:
    reader, writer = opened(tmp_path), opened(tmp_path)
    with writer._file.locked():
        writer._file.append(text)
        writer._file.append(text)
    with pytest.raises((IntegrityError, UnsupportedEvent)):
        reader.charge(EVENT, "this device", ["anna"])
    for call in (lambda: reader.charge(EVENT, "this device", ["anna"]), lambda: reader.subject("anna"), reader.devices):
        with pytest.raises(StoreFailed, match="start anew"):
            call()


def test_a_charge_of_nothing_is_refused(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.charge(EVENT, "this device", ["anna"])
    text = (tmp_path / LEDGER_NAME).read_text().strip().partition(" ")[2]
    with ledger._file.locked():
        ledger._file.append(text.replace('"anna":1', '"anna":-1'))
    with pytest.raises(IntegrityError, match="charge of nothing"):
        opened(tmp_path)


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / LEDGER_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreFailed):
        opened(tmp_path)


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    opened(tmp_path)
    assert (tmp_path / LEDGER_NAME).stat().st_mode & 0o777 == 0o600


def test_the_bytes_on_disk_have_not_changed(tmp_path: Path) -> None:
    event = Event("gaussian", 1, 1.0, 1e-6, (("deviation", 8.5), ("dimension", 8.0), ("sensitivity", 2.0)))
    ledger = opened(tmp_path)
    ledger.charge(event, "a phone", ["anna", "anna"], at="2026-01-02T03:04:05Z")
    ledger.charge(event, "a phone", ["ben"])
    assert (tmp_path / LEDGER_NAME).read_text().splitlines() == EXPECTED_LINES


EVENT_ON_DISK = (
    '"event":{"delta":1e-06,"epsilon":1.0,"mechanism":"gaussian","neighbouring":"replace one","parameters":'
    '{"deviation":8.5,"dimension":8.0,"sensitivity":2.0},"unit":"one image embedding","version":1}'
)
EXPECTED_LINES = [
    'f36ae4e6cb49d724cb7a74f2432886a0 {"at":"2026-01-02T03:04:05Z","device":"a phone",'
    + EVENT_ON_DISK
    + ',"subjects":{"anna":2}}',
    'e598e262f6b583d7f32505e60222b85f {"at":"","device":"a phone",' + EVENT_ON_DISK + ',"subjects":{"ben":1}}',
]


# ---- races ----------------------------------------------------------------------------------------------------------


def charge_many(folder: Path, budget: Budget, times: int, results: list[int] | None = None) -> None:
    ledger, charged = opened(folder, budget), 0
    for _ in range(times):
        try:
            ledger.charge(EVENT, "this device", ["anna"])
            charged += 1
        except BudgetExceeded:
            pass
    if results is not None:
        results.append(charged)


def test_processes_that_charge_at_once_never_pass_the_budget_together(tmp_path: Path) -> None:
    budget = Budget(5.0, 1e-12)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=charge_many, args=(tmp_path, budget, 9)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert opened(tmp_path, budget).subject("anna").spent.releases == 10


def test_threads_with_one_ledger_and_with_their_own_never_pass_the_budget_together(tmp_path: Path) -> None:
    budget, results = Budget(5.0, 1e-12), []
    shared = opened(tmp_path, budget)

    def charge_shared() -> None:
        for _ in range(4):
            try:
                shared.charge(EVENT, "this device", ["anna"])
                results.append(1)
            except BudgetExceeded:
                pass

    threads = [threading.Thread(target=charge_shared) for _ in range(2)]
    threads += [threading.Thread(target=charge_many, args=(tmp_path, budget, 4, results)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sum(results) == 10 == shared.subject("anna").spent.releases
