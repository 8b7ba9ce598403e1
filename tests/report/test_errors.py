"""Error figures, against sums done by hand and in Python's exact integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgetvm.errors import DataError
from edgetvm.report.errors import compare, largest_difference, relative_error, worst


def out(*values: float, dtype: str = "float32", name: str = "y") -> dict[str, np.ndarray]:
    return {name: np.array(values, dtype=dtype)}


def test_range_is_over_all_samples() -> None:
    # Range of the reference: -1 to 3, though no sample spans it.
    (error,) = compare([out(-1, 0), out(2, 3)], [out(-1, 0.5), out(2, 2.75)])
    assert (error.max_abs, error.max_rel, error.tolerance, error.mismatches) == (0.5, 0.125, 1e-4, None)
    assert not error.passed


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-4), ("float16", 1e-2)])
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_border_of_the_tolerance(dtype: str, tolerance: float, factor: float) -> None:
    reference = out(0, 1, dtype=dtype)
    (error,) = compare([reference], [out(tolerance * factor, 1, dtype=dtype)])
    assert error.tolerance == tolerance
    assert error.passed == (factor < 1)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "bool"])
def test_integers_must_be_equal(dtype: str) -> None:
    reference = [out(0, 1, 1, 0, dtype=dtype)]
    (same,) = compare(reference, reference)
    assert (same.passed, same.mismatches, same.max_abs) == (True, 0, 0.0)
    (off,) = compare(reference, [out(1, 1, 0, 0, dtype=dtype)])
    assert (off.passed, off.mismatches, off.max_abs) == (False, 2, 1.0)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64"])
def test_integer_differences_do_not_wrap(dtype: str) -> None:
    info = np.iinfo(dtype)
    ends, swapped = np.array([info.min, info.max], dtype), np.array([info.max, info.min], dtype)
    assert largest_difference(ends, swapped) == float(info.max - info.min)
    assert largest_difference(np.array([info.max], dtype), np.array([info.max - 1], dtype)) == 1.0


@pytest.mark.parametrize(
    ("wanted", "got", "passed"),
    [
        (np.nan, np.nan, True),
        (np.inf, np.inf, True),
        (-np.inf, -np.inf, True),
        (np.nan, 1.0, False),
        (1.0, np.nan, False),
        (np.inf, -np.inf, False),
        (np.inf, np.nan, False),
        (1.0, np.inf, False),
        (np.inf, 3e38, False),
    ],
)
def test_nan_and_infinity_need_their_like(wanted: float, got: float, passed: bool) -> None:
    (error,) = compare([out(0, 1, wanted)], [out(0, 1, got)])
    assert error.passed == passed
    assert error.max_abs == (0.0 if passed else np.inf)


def test_infinities_are_no_part_of_the_range() -> None:
    (error,) = compare([out(0, 2, np.inf, np.nan)], [out(0, 2.5, np.inf, np.nan)])
    assert error.max_rel == 0.25


def test_a_constant_reference_is_measured_by_its_size() -> None:
    (error,) = compare([out(-4, -4)], [out(-4, -3)])
    assert error.max_rel == 0.25
    (error,) = compare([out(0, 0)], [out(0, 0.5)])
    assert error.max_rel == 0.5


def test_empty_outputs_agree() -> None:
    (error,) = compare([out()], [out()])
    assert error.passed


def test_the_worst_output_is_one_that_fails() -> None:
    reference = [out(0, 1) | out(3, dtype="int8", name="i") | out(0, 1, name="z")]
    close = compare(reference, [out(0, 1 + 2e-5) | out(3, dtype="int8", name="i") | out(1e-5, 1, name="z")])
    assert worst(close).name == "y"
    off = compare(reference, [out(0, 1) | out(3, dtype="int8", name="i") | out(0, 2, name="z")])
    assert worst(off).name == "z"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (out(0, 1, 2), "float32 \\[2\\] in the package, float32 \\[3\\] in the reference"),
        (out(0, 1, dtype="float64"), "float64 \\[2\\] in the reference"),
        (out(0, 1, name="z"), "no output 'y': it has z"),
    ],
)
def test_another_model_is_no_reference(reference: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(DataError, match=words):
        compare([reference], [out(0, 1)])


finite = hnp.arrays(np.float32, 12, elements=st.floats(-1e6, 1e6, width=32))


@given(finite, finite)
def test_law_the_figures_are_those_of_plain_python(a: np.ndarray, b: np.ndarray) -> None:
    (error,) = compare([{"y": a[:6]}, {"y": a[6:]}], [{"y": b[:6]}, {"y": b[6:]}])
    exact = [float(x) for x in a]
    difference = max(abs(x - float(y)) for x, y in zip(exact, b, strict=True))
    assert error.max_abs == difference
    spread = max(exact) - min(exact)
    if spread > 0:
        assert error.max_rel == pytest.approx(difference / spread)


@given(st.floats(0, 1e30), st.floats(-1e30, 1e30), st.floats(0, 1e30))
def test_law_a_relative_error_is_a_number(difference: float, low: float, width: float) -> None:
    assert relative_error(difference, low, low + width) >= 0
