"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Callable

from tvm import relax
from tvm.ir import Expr

from .convert import Call, Converter, normal_axis


def reduction(operator: Callable[..., Expr]) -> Converter:
    """A converter of a reduction by one Relax operator."""
    return lambda call: operator(call.x(), reduced_axes(call), bool(call.attr("keepdims", 1)))


def reduced_axes(call: Call) -> list[int]:
    """Axes to reduce, all of them if none is named."""
    rank = len(call.type().shape)
    axes = call.need_ints(1, "axes") if call.has(1) else list(call.attr("axes", []))
    return sorted(normal_axis(axis, rank) for axis in axes) or list(range(rank))
