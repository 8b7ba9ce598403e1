"""Kernels of the importer's own that say what they are: PRelu, linear resize, transposed convolution."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.importers.convert import ATTRIBUTES, OPERATOR
from edgetvm.operators.deconvolve import deconvolve
from edgetvm.operators.interpolate import NAME as INTERPOLATE
from edgetvm.operators.interpolate import WEIGHT_BITS, interpolate
from edgetvm.operators.prelu import prelu
from edgetvm.passes.integer.context import Context, constant, dtype_of, shape_of
from edgetvm.passes.integer.kernels import kernel_of, unmarked
from edgetvm.passes.integer.layers import bound_of, code_type, sum_type, weights_of
from edgetvm.passes.integer.pointwise import table_of
from edgetvm.passes.integer.real import (
    INFINITE,
    Accumulated,
    Constant,
    Floats,
    Goal,
    Ints,
    Nodes,
    Pending,
    Quantized,
    Value,
    compressed,
)

Marked = Callable[[Context, tvm.ir.Call, list[Value], Mapping[str, Any]], "Value | None"]

# Neighbours that one element is computed from in one kernel: 4 by 4 of a cubic resize.
_MOST_TAPS = 16


def call_tir(context: Context, call: tvm.ir.Call, operands: list[Value]) -> Value | None:
    """A kernel by what the importer says of it, else by its loops."""
    attributes = kernel_of(context, call).attrs or {}
    handler = HANDLERS.get(str(attributes[OPERATOR])) if OPERATOR in attributes else None
    found = None
    if handler is not None:
        found = handler(context, call, operands, json.loads(str(attributes[ATTRIBUTES])))
    return found if found is not None else unmarked(context, call, operands)


def is_known(context: Context, call: tvm.ir.Call) -> bool:
    """Whether a call is of a kernel that has an integer form, or of no kernel."""
    if call.op != tvm.ir.Op.get("relax.call_tir"):
        return True
    return str((kernel_of(context, call).attrs or {}).get(OPERATOR)) in HANDLERS


def _prelu(context: Context, call: tvm.ir.Call, operands: list[Value], _: Mapping[str, Any]) -> Value | None:
    """Of one slope a table, of many two factors."""
    x, slope = operands
    if not isinstance(x, Quantized) or not isinstance(slope, Constant) or shape_of(x.expr) != shape_of(call):
        return None
    if slope.values.size == 1 and table_of(x) is not None:
        return None
    wide, bits, most_shift = ("int32", 20, 22) if dtype_of(x.expr) == "int8" else ("int64", 40, 44)
    slopes = compressed(slope.values.astype(np.float64))

    def emit(goal: Goal, nodes: Nodes) -> Expr:
        factor = x.scale / goal.scale
        largest = factor * max(float(np.abs(slopes).max()), 1.0)
        shift = min(bits - math.frexp(largest)[1], most_shift) if math.isfinite(largest) else 0
        if shift < 1:
            raise ValueError(f"the factor {largest} is not below 2^{bits - 1}")
        negative = np.rint(np.ldexp(slopes * factor, shift)).astype(np.int64)
        line = {"positive": round(math.ldexp(factor, shift)), "zero": x.zero, "shift": shift}
        line["constant"] = (goal.zero << shift) + (1 << (shift - 1))
        bounds = {"low": goal.low, "high": goal.high}
        made = prelu(x.expr, constant(negative, wide), **line, **bounds, dtype=goal.dtype, wide=wide)
        return context.emit(made, nodes)

    return Pending(emit, (*x.nodes, *context.nodes))


def _interpolated(
    context: Context, call: tvm.ir.Call, operands: list[Value], attributes: Mapping[str, Any]
) -> Value | None:
    """Weighted sums along one axis. Those of an axis before it join: both are summed at once."""
    del call
    x, places, weights = operands
    if not isinstance(places, Constant) or not isinstance(weights, Constant):
        return None
    fixed = _fixed_weights(weights.values)
    if fixed is None:
        return None
    if isinstance(x, Quantized):
        width = 1 << (16 if dtype_of(x.expr) == "int16" else 8)
        ones = (1,) * len(shape_of(x.expr))
        source = Accumulated(x.expr, np.full(ones, x.scale), np.full(ones, -x.zero, np.int64), width, x.nodes)
    elif isinstance(x, Accumulated) and x.scale.size == x.offset.size == 1 and (x.low, x.high) == (-INFINITE, INFINITE):
        source = x
    else:
        return None
    bound = source.bound * int(np.abs(fixed).sum(1).max())
    if bound >= 1 << 61:
        return None
    own = constant(places.values, "int32"), constant(fixed, "int16")
    taps, axes, expr = [own], [int(attributes["axis"])], source.expr
    made = context.builder.lookup_binding(expr) if isinstance(x, Accumulated) else None
    if isinstance(made, tvm.ir.Call) and isinstance(made.op, tvm.ir.Op) and made.op.name == INTERPOLATE:
        before = [(made.args[i], made.args[i + 1]) for i in range(1, len(made.args), 2)]
        count = math.prod(shape_of(side)[1] for side, _ in [*before, own])
        if count <= _MOST_TAPS:
            taps, axes, expr = [*before, own], [*map(int, made.attrs["axes"]), *axes], made.args[0]
    result = context.emit(interpolate(expr, taps, axes=axes, dtype=sum_type(bound)), source.nodes, context.nodes)
    scale, offset = source.scale / (1 << WEIGHT_BITS), source.offset << WEIGHT_BITS
    return replace(source, expr=result, scale=scale, offset=offset, bound=bound, nodes=(*source.nodes, *context.nodes))


def _fixed_weights(weights: Floats) -> Ints | None:
    """Weights [outputs, taps] times 2^11, their sums exact; None if they do not sum to 1, or do not fit 16 bits."""
    if np.abs(weights.sum(1) - 1).max() > 1e-3 or np.abs(weights).max() > 8:
        return None
    fixed = np.rint(weights.astype(np.float64) * (1 << WEIGHT_BITS)).astype(np.int64)
    largest = np.abs(fixed).argmax(1)
    fixed[np.arange(len(fixed)), largest] += (1 << WEIGHT_BITS) - fixed.sum(1)
    return fixed


def _deconvolved(
    context: Context, call: tvm.ir.Call, operands: list[Value], attributes: Mapping[str, Any]
) -> Value | None:
    """Transposed convolution with constant weights."""
    x, w = operands
    if not isinstance(x, Quantized) or not isinstance(w, Constant):
        return None
    weights = weights_of(w)
    if weights is None:
        return None
    codes, scale, zero = weights
    codes = codes - zero
    groups = int(attributes["groups"])
    bound = bound_of(dtype_of(x.expr), codes, tuple(range(codes.ndim - 1)))
    acc = context.emit(
        deconvolve(
            x.expr,
            constant(codes, code_type(codes)),
            sizes=shape_of(call)[1:-1],
            strides=attributes["strides"],
            dilations=attributes["dilations"],
            before=attributes["before"],
            groups=groups,
            zero=x.zero,
            dtype=sum_type(bound),
        )
    )
    ones = [1] * (len(shape_of(acc)) - 1)
    factors = np.tile(x.scale * scale, groups).reshape([*ones, -1])
    offset = np.zeros([*ones, 1], np.int64)
    return Accumulated(acc, factors, offset, bound, (*x.nodes, *context.nodes))


def _extreme(operator: Callable[[Expr, list[int], bool], Expr]) -> Marked:
    """A reduction that keeps the order of codes."""

    def handle(
        context: Context, call: tvm.ir.Call, operands: list[Value], attributes: Mapping[str, Any]
    ) -> Value | None:
        del call
        (x,) = operands
        if not isinstance(x, Quantized):
            return None
        found = operator(x.expr, attributes["axes"], bool(attributes["keepdims"]))
        return replace(x, expr=context.emit(found, x.nodes, context.nodes), nodes=())

    return handle


HANDLERS: dict[str, Marked] = {
    "ConvTranspose": _deconvolved,
    "Interpolate": _interpolated,
    "PRelu": _prelu,
    "ReduceMax": _extreme(relax.op.max),
    "ReduceMin": _extreme(relax.op.min),
}
