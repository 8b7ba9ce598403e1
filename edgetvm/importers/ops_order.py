"""Operators about order along an axis: TopK, CumSum, CumProd, Hardmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import te, tirx
from tvm.ir import Expr

from .convert import Call, Converter, normal_axis
from .te_kernel import kernel, reduce_axis
from .te_reducers import product
from .te_switch import switch


def top_k(call: Call) -> Expr | list[Expr | None]:
    """TopK: the rank of an element is the number of elements before it; equal ones keep their order."""
    shape, dtype = call.type().shape, call.type().dtype
    axis = normal_axis(call.attr("axis", -1), len(shape))
    extent = shape[axis]
    largest = bool(call.attr("largest", 1))

    def compute(x: te.Tensor) -> list[te.Tensor]:
        j, m, n = (reduce_axis(extent, name=name) for name in "jmn")

        def place(index: tuple[Any, ...], k: Any) -> Any:
            return (*index[:axis], k, *index[axis + 1 :])

        def before(index: tuple[Any, ...]) -> Any:
            other, own = x(*place(index, j.var)), x(*index)
            ahead = other > own if largest else other < own
            tie = tirx.all(other == own, j.var < index[axis])
            return te.sum(tirx.Select(tirx.any(ahead, tie), tirx.const(1, "int64"), tirx.const(0, "int64")), axis=j)

        rank = kernel(shape, lambda *i: before(i), name="rank")

        def pick(index: tuple[Any, ...], k: Any, value: Any, zero: Any) -> Any:
            return te.sum(tirx.Select(rank(*place(index, k.var)) == index[axis], value, zero), axis=k)

        values = kernel(
            call.out().shape, lambda *i: pick(i, m, x(*place(i, m.var)), tirx.const(0, dtype)), name="values"
        )
        indices = kernel(
            call.out().shape, lambda *i: pick(i, n, n.var.astype("int64"), tirx.const(0, "int64")), name="indices"
        )
        return [values, indices]

    return list(call.outputs(call.te(compute, call.x(), name="topk"), 2))


def cumulative(kind: str) -> Converter:
    """A converter of CumSum or CumProd; an axis known at run time only is chosen among all."""

    def convert(call: Call) -> Expr:
        rank = len(call.type().shape)
        if call.value(1) is not None:
            return _cumulative(call, kind, normal_axis(call.need_ints(1, "axis")[0], rank))
        results = {1 << axis: _cumulative(call, kind, axis) for axis in range(rank)}
        return results[1] if rank == 1 else switch(call, call.x(1), rank, results)

    return convert


def _cumulative(call: Call, kind: str, axis: int) -> Expr:
    shape, dtype = call.out().shape, call.out().dtype
    wide = "float32" if dtype == "float16" else dtype
    reverse, exclusive = bool(call.attr("reverse", 0)), bool(call.attr("exclusive", 0))
    reducer: Callable[..., Any] = te.sum if kind == "sum" else product

    def compute(x: te.Tensor) -> te.Tensor:
        k = reduce_axis(shape[axis], name="k")

        def total(index: tuple[Any, ...]) -> Any:
            here, other = index[axis], k.var
            before = other > here if reverse else other < here
            counted = before if exclusive else tirx.any(before, other == here)
            value = x(*index[:axis], other, *index[axis + 1 :]).astype(wide)
            return reducer(tirx.Select(counted, value, tirx.const(0 if kind == "sum" else 1, wide)), axis=k)

        made = kernel(shape, lambda *i: total(i), name="cumulative")
        return made if wide == dtype else kernel(shape, lambda *i: made(*i).astype(dtype), name="narrow")

    return call.te(compute, call.x(), name=f"cum{kind}")
