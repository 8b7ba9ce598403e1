"""A real tensor and the quantization it is to have -> the integer operator that computes its codes."""

from __future__ import annotations

import math

import numpy as np
from tvm import relax
from tvm.ir import Expr

from edgetvm.operators.fixed_point import MOST_SHIFT, MULTIPLIER_BITS, WORD_SHIFT, multipliers_and_shifts
from edgetvm.operators.lookup import lookup
from edgetvm.operators.requantize import requantize
from edgetvm.operators.scaled_sum import scaled_sum
from edgetvm.passes.integer.context import Context, constant, dtype_of
from edgetvm.passes.integer.real import Accumulated, Goal, Lazy, Pending, Quantized, Sum, Table, Term, compressed

# (type, bits of a sum in it, bits of the sum of multipliers, largest shift) for codes of 8 bits, and of 16.
_NARROW = ("int32", 30, 20, 22)
_WIDE = ("int64", 61, 40, 44)


def quantized(context: Context, value: Lazy, goal: Goal) -> Expr:
    """Emit the codes of `value`. Raises ValueError for scales that no multiplier can express."""
    match value:
        case Quantized(expr, scale, zero) if (scale, zero, dtype_of(expr)) == (goal.scale, goal.zero, goal.dtype):
            return _kept(context, expr, goal, value.nodes)
        case Quantized():
            return _sum(context, as_sum(value), goal)
        case Accumulated():
            return _accumulated(context, value, goal)
        case Table(expr, values):
            codes = np.array([goal.code(float(number)) for number in values])
            return context.emit(lookup(expr, constant(codes, goal.dtype)), value.nodes or context.nodes)
        case Sum():
            return _sum(context, value, goal)
        case Pending(emit):
            return emit(goal.clipped(value.low, value.high), value.nodes or context.nodes)


def as_sum(value: Quantized | Sum) -> Sum:
    """A quantized tensor as a sum of one term."""
    if isinstance(value, Sum):
        return value
    rank = len(value.expr.ty.shape)
    return Sum((Term(value.expr, np.full((1,) * rank, value.scale), value.zero),), np.zeros((1,) * rank), value.nodes)


def _kept(context: Context, expr: Expr, goal: Goal, nodes: tuple[str, ...]) -> Expr:
    """The codes as they are, within the goal's range."""
    info = np.iinfo(goal.dtype)
    if (goal.low, goal.high) == (info.min, info.max):
        return expr
    return context.emit(relax.op.clip(expr, goal.low, goal.high), nodes or context.nodes)


def _accumulated(context: Context, value: Accumulated, goal: Goal) -> Expr:
    goal = goal.clipped(value.low, value.high)
    factors = compressed(np.asarray(value.scale / goal.scale))
    # The product must fit 64 bits: wider sums take narrower multipliers.
    bits = min(MULTIPLIER_BITS, 62 - max(value.bound.bit_length(), 1))
    most = WORD_SHIFT if bits == MULTIPLIER_BITS else MOST_SHIFT
    multipliers, shifts = multipliers_and_shifts(factors, bits, most, value.bound)
    acc = with_offset(context, value)
    call = requantize(
        acc,
        constant(multipliers, "int32"),
        constant(shifts, "int32"),
        zero_point=goal.zero,
        low=goal.low,
        high=goal.high,
        dtype=goal.dtype,
        bound=value.bound,
    )
    return context.emit(call, value.nodes or context.nodes)


def with_offset(context: Context, value: Accumulated) -> Expr:
    """The sums with their offset added."""
    if not value.offset.any():
        return value.expr
    offset = constant(compressed(value.offset), dtype_of(value.expr))
    return context.emit(relax.op.add(value.expr, offset), value.nodes)


def _sum(context: Context, value: Sum, goal: Goal) -> Expr:
    goal = goal.clipped(value.low, value.high)
    factors = [compressed(np.asarray(term.factor / goal.scale)) for term in value.terms]
    narrow = all(dtype_of(term.expr) == "int8" for term in value.terms)
    dtype, sum_bits, bits, most_shift = _NARROW if narrow else _WIDE
    largest = max(float(np.abs(factor).max()) for factor in factors) * len(factors)
    if not math.isfinite(largest):
        raise ValueError(f"the factor {largest} is no number")
    shift = min(bits - math.frexp(largest)[1], most_shift)
    if shift < 0:
        raise ValueError(f"the factor {largest} is not below 2^{bits}")
    scaled = [np.rint(np.ldexp(factor, shift)).astype(np.int64) for factor in factors]
    half = (1 << shift) >> 1
    fixed = np.rint(np.ldexp(value.constant / goal.scale, shift)) + ((goal.zero << shift) + half)
    for factor, term in zip(scaled, value.terms, strict=True):
        fixed = fixed - factor * float(term.zero)
    # Beyond this every sum saturates: the constant may too, and nothing overflows.
    limit = float(1 << sum_bits)
    total = compressed(np.clip(fixed, -limit, limit))
    terms = [(term.expr, constant(factor, dtype)) for term, factor in zip(value.terms, scaled, strict=True)]
    call = scaled_sum(
        terms,
        constant(total.astype(np.int64), dtype),
        shift=shift,
        low=goal.low,
        high=goal.high,
        dtype=goal.dtype,
        wide=dtype,
    )
    return context.emit(call, value.nodes or context.nodes)
