"""Promises of ``unseen.params``: ids are hashes of numbers, and an unsafe set serves in tests only."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest

from unseen.errors import ParameterMismatch, UnsafeParameters
from unseen.params import (
    DEFAULT,
    N2048_Q29,
    N2048_Q29_FINE,
    N2048_Q31_OWNER,
    PUBLISHED,
    by_id,
    by_name,
    owner_by_id,
    require_safe,
)


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


# ---- the owner-encrypted set ----------------------------------------------------------------------------------------


def test_the_id_of_the_owner_encrypted_set_never_changes() -> None:
    assert N2048_Q31_OWNER.id == "eca767ecdb752f9f"


@pytest.mark.parametrize("field", [field.name for field in fields(N2048_Q31_OWNER) if field.name != "name"])
def test_every_number_of_the_owner_encrypted_set_is_in_its_id(field: str) -> None:
    value = getattr(N2048_Q31_OWNER, field)
    altered: Any = (value[0], value[1] + 1) if isinstance(value, tuple) else value + 1
    assert replace(N2048_Q31_OWNER, **{field: altered}).id != N2048_Q31_OWNER.id
    assert replace(N2048_Q31_OWNER, name="another").id == N2048_Q31_OWNER.id


def test_an_altered_owner_encrypted_set_is_not_known() -> None:
    assert owner_by_id(N2048_Q31_OWNER.id) is N2048_Q31_OWNER
    for altered in (replace(N2048_Q31_OWNER, row_scale=6145).id, DEFAULT.id, ""):
        with pytest.raises(ParameterMismatch, match="n2048_q31_owner"):
            owner_by_id(altered)
    with pytest.raises(ParameterMismatch, match="n2048_q29"):
        by_id(N2048_Q31_OWNER.id)


def test_the_owner_encrypted_set_is_safe_and_possible() -> None:
    owner = N2048_Q31_OWNER
    assert require_safe(owner) is owner
    assert owner.is_safe
    assert owner.modulus == 40961 * 61441
    for modulus, psi in zip(owner.moduli, owner.roots, strict=True):
        assert (modulus - 1) % (2 * owner.ring_degree) == 0
        assert all(modulus % divisor for divisor in range(2, 256)), "it has no divisor up to its root"
        assert modulus // 2 < 1 << 15
        assert pow(psi, owner.ring_degree, modulus) == modulus - 1
    assert owner.query_scale * owner.row_scale == pytest.approx(0.97 * owner.modulus / 2)
    assert owner.row_norm_cap < 1 << 15, "rows fit 16 bits"
    assert owner.query_range * owner.row_norm_slack * 1.001 + 7 * 0.001 < 1


@pytest.mark.parametrize(
    "weakened",
    [{"ring_degree": 1024}, {"moduli": (40961, (1 << 27) + 1)}, {"error_coins": 20}, {"error_coins": 33}],
)
def test_weakened_owner_encrypted_sets_refuse_to_load_outside_tests(weakened, monkeypatch) -> None:
    unsafe = replace(N2048_Q31_OWNER, name="insecure_owner", **weakened)
    assert require_safe(unsafe) is unsafe
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    with pytest.raises(UnsafeParameters, match="insecure_owner"):
        require_safe(unsafe)


def test_a_program_outside_tests_cannot_scan_with_a_weakened_set() -> None:
    program = """
from dataclasses import replace
from unseen.errors import UnsafeParameters
from unseen.he.mask import MaskSource
from unseen.he.owner.scan import OwnerScanIndex
from unseen.he.owner.secret import OwnerKey
from unseen.he.scan import ScanIndex
from unseen.params import DEFAULT, OWNER_DEFAULT
weak = replace(DEFAULT, name="insecure_ternary", mask_bound=2)
try:
    ScanIndex(weak, 8, 8, MaskSource(weak))
except UnsafeParameters:
    print("refused")
weak = replace(OWNER_DEFAULT, name="insecure_quiet", error_coins=1)
for use in (lambda: OwnerScanIndex(weak, 8, 8), lambda: OwnerKey(weak, bytes(32))):
    try:
        use()
    except UnsafeParameters:
        print("refused")
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert ran.stdout == "refused\n" * 3
