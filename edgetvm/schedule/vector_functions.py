"""exp, erf, tanh, sigmoid and nearbyint of float32 as arithmetic, of which TVM would make a call for every element.

Measured over all of float32 that matters (tests/schedule/test_vector_functions.py), relative to the exact value:

- ``exp(x) = 2^n * p(r)`` with ``n = round(x / ln 2)``, ``r = x - n * ln 2`` and p of degree 5, within 3e-7.
  Below -86.6 it is 0: a vector has no denormal results.
- ``erf(x) = x * p(x^2) / q(x^2)`` of x kept in -4..4, within 6e-7 (coefficients: Eigen 3.4, generic_fast_erf).
- ``tanh(x)`` likewise of x kept in -7.905..7.905, within 5e-7 (coefficients: Eigen 3.4, generic_fast_tanh).
- ``sigmoid(x) = 1 / (1 + exp(-x))``, within 4e-7.
- ``nearbyint(x) = (x + 2^23) - 2^23`` of positive x below 2^23, likewise of negative x, and x beyond: exactly.

What is no number stays none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tvm
import tvm_ffi
from tvm import tirx

from edgetvm.schedule.rules.write_code import constant, lanes_of, vector_type

_EXP = (1.0, 0.99999971, 0.49999151, 0.16667637, 0.041897975, 0.0082903067)
_EXP_HIGHEST, _EXP_LOWEST = 89.0, -86.6
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4  # the first has few bits: its product with n is exact
# Added to a number below 2^22, it leaves the nearest integer in the low bits; 126 is the exponent of 1/2.
_ROUND, _HALF_EXPONENT = 12582912.0, 126.0
_MANTISSA_BITS = 23
_WHOLE = float(1 << 23)  # from here on, a number has no fraction

_ERF_LIMIT = 4.0
_ERF_TOP = (
    -1.60960333262415e-02,
    -2.95459980854025e-03,
    -7.34990630326855e-04,
    -5.69250639462346e-05,
    -2.10102402082508e-06,
    2.77068142495902e-08,
    -2.72614225801306e-10,
)
_ERF_BOTTOM = (
    -1.42647390514189e-02,
    -7.37332916720468e-03,
    -1.68282697438203e-03,
    -2.13374055278905e-04,
    -1.45660718464996e-05,
)
_TANH_LIMIT = 7.90531110763549805
_TANH_TOP = (
    4.89352455891786e-03,
    6.37261928875436e-04,
    1.48572235717979e-05,
    5.12229709037114e-08,
    -8.60467152213735e-11,
    2.00018790482477e-13,
    -2.76076847742355e-16,
)
_TANH_BOTTOM = (4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06)

Let = Callable[[str, tirx.Expr], tirx.Expr]


def replace_functions(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """Write out every such call of the function."""

    def swap(call: tvm.ir.Call) -> tvm.ir.Expr:
        name = call.op.name if isinstance(call.op, tvm.ir.Op) else ""
        formula = _FORMULAS.get(name)
        if formula is None or tvm.DataType(str(call.ty.dtype)).with_lanes(1) != "float32":
            return call
        return _with_names(formula, call.args[0])

    return func.with_body(tvm_ffi.structural_map(func.body, (tvm.ir.Call, swap)))


def _with_names(formula: Callable[[Let, tirx.Expr], tirx.Expr], argument: tirx.Expr) -> tirx.Expr:
    """The formula with a name for each of its parts that is used more than once."""
    named: list[tuple[tvm.ir.Var, tirx.Expr]] = []

    def let(name: str, value: tirx.Expr) -> tirx.Expr:
        variable = tvm.ir.Var(name, value.ty)
        named.append((variable, value))
        return variable

    result = formula(let, let("x", argument))
    for variable, value in reversed(named):
        result = tirx.Let(variable, value, result)
    return result


def _exp(let: Let, x: tirx.Expr) -> tirx.Expr:
    lanes = lanes_of(x)
    capped = let("capped", tirx.Select(x > _number(_EXP_HIGHEST, x), _number(_EXP_HIGHEST, x), x))
    magic = float(np.float32(_ROUND + _HALF_EXPONENT))
    shifted = let("shifted", capped * _number(float(np.log2(np.e)), x) + _number(magic, x))
    n = let("n", shifted - _number(magic, x))
    r = let("r", capped - n * _number(_LN2_HIGH, x) - n * _number(_LN2_LOW, x))
    bits = tirx.reinterpret(vector_type("int32", lanes), shifted)
    half_power = tirx.reinterpret(
        vector_type("float32", lanes), tirx.LShift(bits, constant(_MANTISSA_BITS, "int32", lanes))
    )
    power = _polynomial(_EXP, r) * half_power * _number(2.0, x)
    return tirx.Select(x < _number(_EXP_LOWEST, x), _number(0.0, x), power)


def _sigmoid(let: Let, x: tirx.Expr) -> tirx.Expr:
    power = _exp(let, let("negative", _number(0.0, x) - x))
    return _number(1.0, x) / (_number(1.0, x) + power)


def _erf(let: Let, x: tirx.Expr) -> tirx.Expr:
    return _rational(let, x, _ERF_LIMIT, _ERF_TOP, _ERF_BOTTOM)


def _tanh(let: Let, x: tirx.Expr) -> tirx.Expr:
    return _rational(let, x, _TANH_LIMIT, _TANH_TOP, _TANH_BOTTOM)


def _rational(let: Let, x: tirx.Expr, limit: float, top: Sequence[float], bottom: Sequence[float]) -> tirx.Expr:
    """``x * top(x^2) / bottom(x^2)`` of x kept within the limit."""
    high, low = _number(limit, x), _number(-limit, x)
    below = let("below", tirx.Select(x > high, high, x))
    kept = let("kept", tirx.Select(below < low, low, below))
    square = let("square", kept * kept)
    return kept * _polynomial(top, square) / _polynomial(bottom, square)


def _polynomial(coefficients: Sequence[float], x: tirx.Expr) -> tirx.Expr:
    """Coefficients from the constant one up, by Horner's rule."""
    total = _number(coefficients[-1], x)
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + _number(coefficient, x)
    return total


def _number(value: float, like: tirx.Expr) -> tirx.Expr:
    return constant(float(value), "float32", lanes_of(like))


def _nearbyint(let: Let, x: tirx.Expr) -> tirx.Expr:
    whole = let("whole", tirx.Select(x < _number(0.0, x), _number(-_WHOLE, x), _number(_WHOLE, x)))
    rounded = let("sum", x + whole) - whole
    small = tirx.And(x < _number(_WHOLE, x), x > _number(-_WHOLE, x))
    return tirx.Select(small, rounded, x)


_FORMULAS: dict[str, Callable[[Let, tirx.Expr], tirx.Expr]] = {
    "tirx.exp": _exp,
    "tirx.erf": _erf,
    "tirx.tanh": _tanh,
    "tirx.sigmoid": _sigmoid,
    "tirx.nearbyint": _nearbyint,
}
