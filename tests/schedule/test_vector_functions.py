"""exp, erf, tanh and sigmoid in vectors: within 1e-6 of the exact value everywhere, and no call is left."""

from __future__ import annotations

from collections.abc import Callable
from math import erf

import numpy as np
import pytest
import tvm
from tvm import relax

from tests.schedule.assembly import instructions
from tests.schedule.kernels import MACHINES, Scheduled, run, schedule

Operator = Callable[[relax.Var], tvm.ir.Expr]
Exact = Callable[[np.ndarray], np.ndarray]

FUNCTIONS: dict[str, tuple[Operator, Exact]] = {
    "exp": (relax.op.exp, np.exp),
    "erf": (relax.op.erf, np.vectorize(erf)),
    "tanh": (relax.op.tanh, np.tanh),
    "sigmoid": (relax.op.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
}
SMALLEST = 5e-38  # of what exp gives: below, a vector has zeros


def everywhere() -> np.ndarray:
    """Numbers of every size up to where exp is out of range, as rows of 16."""
    near, far, sizes = np.linspace(-9, 9, 60000), np.linspace(-100, 88.7, 40000), np.logspace(-36, 2, 8000)
    return np.concatenate([near, far, np.minimum(sizes, 88), -sizes]).astype(np.float32).reshape(-1, 16)


def apply(name: str, x: np.ndarray, target: str) -> Scheduled:
    return schedule(lambda p, emit: FUNCTIONS[name][0](p[0]), [x], target)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_law_within_a_millionth_of_the_exact_value(name: str) -> None:
    x = everywhere()
    ours = run(apply(name, x, "host"), [x]).astype(np.float64)
    exact = FUNCTIONS[name][1](x.astype(np.float64))
    near = np.abs(exact) > SMALLEST
    np.testing.assert_allclose(ours[near], exact[near], rtol=1e-6)
    assert np.abs(ours[~near]).max(initial=0) <= SMALLEST


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_no_number_and_what_is_endless(name: str) -> None:
    x = np.array([[np.nan, np.inf, -np.inf, 0, 89, 1e30, -1e30, 1]], np.float32)
    ours = run(apply(name, x, "host"), [x])
    with np.errstate(over="ignore"):
        exact = FUNCTIONS[name][1](x.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(ours, exact, rtol=1e-6)


def test_law_rounding_is_to_even_and_exact_for_every_size() -> None:
    halves = np.arange(-4000, 4000) / 2
    limits = np.array([2.0**n + d for n in range(20, 31) for d in (-1.5, -1, -0.5, 0, 0.5, 1, 1.5)])
    x = np.concatenate([halves, limits, -limits, [np.inf, -np.inf, np.nan, 1e38, 0.5 - 2**-25, 2.0]])
    x = x.astype(np.float32).reshape(-1, 16)
    scheduled = schedule(lambda p, emit: relax.op.round(p[0]), [x])
    assert "nearbyint" not in scheduled.only.func.script()
    np.testing.assert_array_equal(run(scheduled, [x]), np.rint(x))


def test_a_power_of_zero_is_exactly_one() -> None:
    x = np.zeros((1, 16), np.float32)
    assert (run(apply("exp", x, "host"), [x]) == 1).all()


@pytest.mark.parametrize("target", ["host", "cortex-a53", "cortex-a7"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_call_is_left_where_there_are_vectors(name: str, target: str) -> None:
    scheduled = apply(name, np.zeros((4, 64), np.float32), target)
    assert not {"callq", "call", "bl", "blx"} & set(instructions(scheduled, target))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_without_vectors_the_function_stays(name: str) -> None:
    scheduled = apply(name, np.zeros((4, 64), np.float32), "cortex-m4")
    assert f"T.{name}(" in scheduled.only.func.script()
    assert f"T.{name}(" not in apply(name, np.zeros((4, 64), np.float32), MACHINES[0]).only.func.script()
