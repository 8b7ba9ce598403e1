"""Scatter operators, written as gathers: each output element looks for the updates that hit it.

That keeps kernels free of ordered writes; among several updates the last one wins, as in a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import te, tirx
from tvm.ir import Expr

from .convert import Call, normal_axis
from .graph import RefusedError
from .te_kernel import kernel, reduce_axis
from .te_reducers import highest, lowest, maximum, minimum, product


def scatter_elements(call: Call) -> Expr:
    """ScatterElements and its predecessor Scatter: updates differ from their place along one axis only."""
    shape, extents = call.type().shape, call.type(1).shape
    axis = normal_axis(call.attr("axis", 0), len(shape))

    def hit(index: Sequence[Any], k: Sequence[Any], indices: te.Tensor) -> Any:
        place = _clamped([*index[:axis], k[0], *index[axis + 1 :]], extents)
        target = indices(*place).astype("int64")
        inside = [i < e for d, (i, e) in enumerate(zip(index, extents, strict=True)) if d != axis and e < shape[d]]
        return tirx.all(tirx.Select(target < 0, target + shape[axis], target) == index[axis], *inside)

    def update(index: Sequence[Any], k: Sequence[Any], updates: te.Tensor) -> Any:
        return updates(*_clamped([*index[:axis], k[0], *index[axis + 1 :]], extents))

    return _scatter(call, [extents[axis]], hit, update)


def scatter_nd(call: Call) -> Expr:
    """ScatterND: updates are slices addressed by index tuples."""
    shape, extents = call.type().shape, call.type(1).shape
    depth = extents[-1]

    def hit(index: Sequence[Any], k: Sequence[Any], indices: te.Tensor) -> Any:
        targets = [indices(*k, d).astype("int64") for d in range(depth)]
        return tirx.all(
            *[tirx.Select(t < 0, t + shape[d], t) == index[d] for d, t in enumerate(targets)], tirx.const(True, "bool")
        )

    def update(index: Sequence[Any], k: Sequence[Any], updates: te.Tensor) -> Any:
        return updates(*k, *index[depth:])

    return _scatter(call, list(extents[:-1]), hit, update)


def _scatter(call: Call, extents: Sequence[int], hit: Callable[..., Any], update: Callable[..., Any]) -> Expr:
    """`extents` are the dimensions to search for an update that hits."""
    shape, dtype = call.out().shape, call.out().dtype
    mode = call.attr("reduction", "none")
    wide = {"float16": "float32", "bool": "int8"}.get(dtype, dtype)
    neutral: dict[str, tuple[Any, Any, Callable[[Any, Any], Any]]] = {
        "add": (te.sum, tirx.const(0, wide), lambda a, b: a + b),
        "mul": (product, tirx.const(1, wide), lambda a, b: a * b),
        "max": (maximum, lowest(wide), tirx.max),
        "min": (minimum, highest(wide), tirx.min),
    }
    if mode != "none" and mode not in neutral:
        raise RefusedError(f"reduction {mode} is not supported")

    def last(data: te.Tensor, indices: te.Tensor, updates: te.Tensor) -> te.Tensor:
        axes = [reduce_axis(e, name=f"k{d}") for d, e in enumerate(extents)]

        def number(index: tuple[Any, ...]) -> Any:
            flat = tirx.const(0, "int64")
            for axis, extent in zip(axes, extents, strict=True):
                flat = flat * extent + axis.var.astype("int64")
            found = hit(index, [a.var for a in axes], indices)
            return te.max(tirx.Select(found, flat, tirx.const(-1, "int64")), axis=axes)

        winner = kernel(shape, lambda *i: number(i), name="winner")

        def element(index: tuple[Any, ...]) -> Any:
            flat = tirx.max(winner(*index), tirx.const(0, "int64"))
            place: list[Any] = []
            for extent in reversed(extents):
                place.insert(0, te.indexmod(flat, extent))
                flat = te.indexdiv(flat, extent)
            return tirx.Select(winner(*index) >= 0, update(index, place, updates), data(*index))

        return kernel(shape, lambda *i: element(i), name="scatter")

    def reduced(data: te.Tensor, indices: te.Tensor, updates: te.Tensor) -> te.Tensor:
        axes = [reduce_axis(e, name=f"k{d}") for d, e in enumerate(extents)]
        reducer, identity, combine = neutral[mode]

        def total(index: tuple[Any, ...]) -> Any:
            k = [a.var for a in axes]
            value = update(index, k, updates).astype(wide)
            return reducer(tirx.Select(hit(index, k, indices), value, identity), axis=axes)

        gathered = kernel(shape, lambda *i: total(i), name="gathered")
        return kernel(shape, lambda *i: combine(data(*i).astype(wide), gathered(*i)).astype(dtype), name="scatter")

    return call.te(last if mode == "none" else reduced, call.x(), call.x(1), call.x(2), name="scatter")


def _clamped(place: list[Any], extents: Sequence[int]) -> list[Any]:
    return [tirx.min(p, tirx.const(e - 1, "int64")) for p, e in zip(place, extents, strict=True)]
