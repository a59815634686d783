"""What holds for every test: in CI, a promise that was not tried counts as broken.

With CI=true a skipped test is a failure, also when its whole file was skipped. Expected failures (xfail) are not
skips: they were tried. Tests run side by side on busy machines: no example of a property has to be quick.

Examples of properties are the same in each run, so that a failure is one of the change, not of the day. `make
properties` looks for new ones.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests import postgres
from tests.counted_keystream import counted_keystream

settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=False)
settings.register_profile("unseen", settings.get_profile("explore"), derandomize=True, database=None)
settings.load_profile("unseen")

# Tests start hundreds of Python processes: where an environment forbids to keep compiled modules, each would compile
# every module again, more than a second of it.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# They run side by side: a library that shares one task among all cores would only get in the others' way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REASON = "skipped, and CI=true: a promise that was not tried counts as broken. "


def skips_are_failures() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and skips_are_failures():
        report.outcome, report.longrepr = "failed", f"{REASON}{report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and skips_are_failures():
        report.outcome, report.longrepr = "failed", f"{REASON}{report.longrepr}"
    return report


@pytest.fixture(scope="module")
def locked_keys() -> Iterator[None]:
    """Devices of this module's tests find a passphrase and lock their keys with it, which owner keys need; cheaply."""
    from unseen.entropy import random_bytes
    from unseen_client.keys.passphrase import SALT_BYTES, VARIABLE, Stretching

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "words of the tests")
        patch.setattr(Stretching, "make", staticmethod(lambda: Stretching(random_bytes(SALT_BYTES), 1 << 4)))
        yield


@pytest.fixture
def begin_noise_anew(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A call makes the keystream start over: the real one under counted keys instead of fresh ones."""
    from unseen import entropy

    def begin() -> None:
        monkeypatch.setattr(entropy, "keystream", counted_keystream())

    return begin


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[postgres.Cluster]:
    """A PostgreSQL that runs as long as the tests do; started when the first test asks for it."""
    programs = postgres.programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL here: make system")
    cluster = postgres.Cluster(programs)
    yield cluster
    cluster.remove()
