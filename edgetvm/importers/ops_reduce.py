"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import Expr

from .convert import Call, Converter, normal_axis
from .graph import FLOATS, RefusedError
from .te_kernel import kernel, reduce_axis
from .te_reducers import maximum, minimum
from .te_switch import switch

Step = Callable[[Expr], Expr]
Reduction = Callable[[Call, Expr, list[int], bool], Expr]


def by(operator: Callable[..., Expr]) -> Reduction:
    """A reduction that Relax has."""
    return lambda call, x, axes, keepdims: call.emit(operator(x, axes, keepdims))


def extreme(largest: bool) -> Reduction:
    """The maximum or minimum."""

    def reduced(call: Call, x: Expr, axes: list[int], keepdims: bool) -> Expr:
        shape = [int(d) for d in x.ty.shape.values]
        kept = [1 if d in axes else e for d, e in enumerate(shape) if keepdims or d not in axes]
        outer = [d for d in range(len(shape)) if keepdims or d not in axes]

        def compute(tensor: te.Tensor) -> te.Tensor:
            ks = {d: reduce_axis(shape[d], name=f"k{d}") for d in axes}

            def element(index: tuple[Any, ...]) -> Any:
                places = dict(zip(outer, index, strict=True)) | {d: k.var for d, k in ks.items()}
                value = tensor(*[places[d] for d in range(len(shape))])
                return (maximum if largest else minimum)(value, axis=list(ks.values()))

            return kernel(kept, lambda *i: element(i), name="extreme")

        mark = "ReduceMax" if largest else "ReduceMin"
        return call.te(compute, x, name="max" if largest else "min", mark=mark, axes=axes, keepdims=int(keepdims))

    return reduced


def reduction(operator: Reduction, before: Step | None = None, after: Step | None = None) -> Converter:
    """A converter of ``after(operator(before(x)))``; half precision is computed in single, bool as int8."""

    def convert(call: Call) -> Expr:
        dtype = call.out().dtype
        if after is not None and dtype not in FLOATS:
            raise RefusedError(f"element type {dtype} is not supported")
        wide = {"float16": "float32", "bool": "int8"}.get(dtype, dtype)
        x = call.x() if wide == dtype else call.emit(relax.op.astype(call.x(), wide))
        x = x if before is None else call.emit(before(x))

        def reduced(axes: list[int]) -> Expr:
            result = operator(call, x, axes, bool(call.attr("keepdims", 1))) if axes else x
            return result if after is None else call.emit(after(result))

        result = over_axes(call, reduced)
        if wide == dtype:
            return result
        return relax.op.astype(result, dtype)

    return convert


def over_axes(call: Call, reduced: Callable[[list[int]], Expr]) -> Expr:
    """``reduced(axes)``; axes known at run time only are told by the shape of the output."""
    rank = len(call.type().shape)
    if call.value(1) is not None or not call.has(1):
        axes = call.need_ints(1, "axes") if call.has(1) else list(call.attr("axes", []))
        if not axes and call.attr("noop_with_empty_axes", 0):
            return reduced([])
        return reduced(sorted(normal_axis(axis, rank) for axis in axes) or list(range(rank)))
    fitting = fitting_axes(call.type().shape, call.out().shape, bool(call.attr("keepdims", 1)))
    if len(fitting) == 1:
        return reduced(fitting[0])
    return switch(call, call.x(1), rank, {sum(1 << a for a in axes): reduced(axes) for axes in fitting})


def fitting_axes(shape: tuple[int, ...], out: tuple[int, ...], keepdims: bool) -> list[list[int]]:
    """Every set of axes whose reduction turns `shape` into `out`; axes of size 1 that stay do not matter."""
    rank = len(shape)
    if keepdims:
        return [[axis for axis in range(rank) if out[axis] == 1]]
    sets = [list(axes) for axes in combinations(range(rank), rank - len(out))]
    return [axes for axes in sets if tuple(d for i, d in enumerate(shape) if i not in axes) == out]


def log_sum_exp(call: Call) -> Expr:
    """log(sum(exp(x))) without overflow."""
    dtype = call.out().dtype
    x = call.x() if dtype != "float16" else call.emit(relax.op.astype(call.x(), "float32"))
    wide = "float32" if dtype == "float16" else dtype
    keepdims = bool(call.attr("keepdims", 1))

    def reduced(axes: list[int]) -> Expr:
        top = extreme(largest=True)(call, x, axes, True)
        low = float(np.finfo(wide).min)
        top = call.emit(relax.op.maximum(top, call.constant(low, wide)))  # -inf - -inf is NaN
        total = call.emit(relax.op.sum(call.emit(relax.op.exp(call.emit(relax.op.subtract(x, top)))), axes, True))
        result = call.emit(relax.op.add(call.emit(relax.op.log(total)), top))
        return result if keepdims else call.emit(relax.op.squeeze(result, axes))

    result = over_axes(call, reduced)
    return relax.op.astype(result, dtype) if wide != dtype else result


def arg_reduction(largest: bool) -> Converter:
    """ArgMax or ArgMin: the extreme value first, then the first or last place that holds it."""

    def convert(call: Call) -> Expr:
        shape = call.type().shape
        axis = normal_axis(call.attr("axis", 0), len(shape))
        extent = shape[axis]
        last = bool(call.attr("select_last_index", 0))

        def compute(x: te.Tensor) -> te.Tensor:
            kept = shape[:axis] + shape[axis + 1 :]
            k, j = reduce_axis(extent, name="k"), reduce_axis(extent, name="j")

            def place(index: Any, r: Any) -> Any:
                return x(*index[:axis], r, *index[axis:])

            best = kernel(kept, lambda *i: (maximum if largest else minimum)(place(i, k), axis=k), name="extreme")

            def candidate(index: Any) -> Any:
                position = j.var.astype("int64")
                return tirx.Select(
                    place(index, j) == best(*index), position, tirx.const(-1 if last else extent, "int64")
                )

            found = kernel(kept, lambda *i: (te.max if last else te.min)(candidate(i), axis=j), name="place")
            limit = tirx.const(extent - 1, "int64")
            full = call.out().shape
            drop = axis if len(full) == len(shape) else None
            return kernel(
                full,
                lambda *i: tirx.min(found(*[v for d, v in enumerate(i) if d != drop]), limit),
                name="argreduce",
            )

        return call.te(compute, call.x())

    return convert
