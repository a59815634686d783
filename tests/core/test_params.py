"""Promises of ``unseen.params``: ids are hashes of numbers, and an unsafe set serves in tests only."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields, replace

import pytest

from unseen.errors import ParameterMismatch, UnsafeParameters
from unseen.params import DEFAULT, N2048_Q29, N2048_Q29_FINE, PUBLISHED, by_id, by_name, require_safe


def test_ids_of_published_sets_never_change() -> None:
    """A changed id orphans every collection made with it. If this fails, publish a new set beside the old one."""
    assert {parameters.name: parameters.id for parameters in PUBLISHED} == {
        "n2048_q29": "a835729e59cd0596",
        "n2048_q29_fine": "bed0c137815b0270",
    }


@pytest.mark.parametrize("field", [field.name for field in fields(DEFAULT) if field.name != "name"])
def test_every_number_is_in_the_id(field: str) -> None:
    assert replace(DEFAULT, **{field: getattr(DEFAULT, field) + 1}).id != DEFAULT.id


def test_the_name_is_not_in_the_id() -> None:
    assert replace(DEFAULT, name="another").id == DEFAULT.id


@pytest.mark.parametrize("parameters", PUBLISHED, ids=lambda p: p.name)
def test_published_sets_are_found_safe_and_possible(parameters) -> None:
    assert by_id(parameters.id) is parameters
    assert by_name(parameters.name) is parameters
    assert require_safe(parameters) is parameters
    assert parameters.is_safe
    assert (parameters.modulus - 1) % (2 * parameters.ring_degree) == 0
    assert all(parameters.modulus % divisor for divisor in range(2, 23170)), (
        "q is prime: it has no divisor up to its root"
    )
    # Cosine 1 with the longest row and query stays inside (-t/2, t/2), with room for seven deviations of noise.
    largest = parameters.query_range * parameters.row_norm_slack
    assert largest + 7 * 0.002 * parameters.query_range < 1


def test_scales_put_cosine_one_where_the_range_says() -> None:
    assert N2048_Q29.query_scale * N2048_Q29.row_scale == pytest.approx(0.9 * 2**23)
    assert N2048_Q29_FINE.query_scale * N2048_Q29_FINE.row_scale == pytest.approx(0.96 * 2**23)


@pytest.mark.parametrize("parameter_id", ["", "0" * 16, "A835729E59CD0596", "n2048_q29"])
def test_unknown_ids_are_refused_with_the_known_ones(parameter_id: str) -> None:
    with pytest.raises(ParameterMismatch, match="n2048_q29"):
        by_id(parameter_id)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ParameterMismatch, match="n2048_q29_fine"):
        by_name("n1024_q27")


@pytest.mark.parametrize(
    "weakened",
    [
        {"ring_degree": 1024},
        {"modulus": (1 << 42) + 1},
        {"mask_bound": 2},
        {"mask_bound": 2049},
        {"flood_std": 2.0**16},
        {"error_coins": 1},
        {"flood_std": 0.0},
    ],
)
def test_weakened_sets_refuse_to_load_outside_tests(weakened: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    unsafe = replace(DEFAULT, name="insecure_set", **weakened)
    assert require_safe(unsafe) is unsafe
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    with pytest.raises(UnsafeParameters, match="insecure_set"):
        require_safe(unsafe)


def test_a_program_outside_tests_cannot_scan_with_a_weakened_set() -> None:
    program = """
from dataclasses import replace
from unseen.errors import UnsafeParameters
from unseen.he.mask import MaskSource
from unseen.he.scan import ScanIndex
from unseen.params import DEFAULT
weak = replace(DEFAULT, name="insecure_ternary", mask_bound=2)
try:
    ScanIndex(weak, 8, 8, MaskSource(weak))
except UnsafeParameters:
    print("refused")
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert ran.stdout == "refused\n"
