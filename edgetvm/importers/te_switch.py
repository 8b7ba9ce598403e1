"""Choose at run time among results for different sets of axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import te, tirx
from tvm.ir import Expr

from .convert import Call
from .te_kernel import kernel


def switch(call: Call, axes: Expr, rank: int, results: Mapping[int, Expr]) -> Expr:
    """The result whose key, a bit mask of axes, equals the run-time tensor `axes`."""
    masks = list(results)

    def compute(chosen: te.Tensor, *tensors: te.Tensor) -> te.Tensor:
        return kernel(tensors[0].shape, lambda *i: select(mask_of(chosen, rank), tensors, i), name="switch")

    def select(mask: Any, tensors: tuple[te.Tensor, ...], index: Any) -> Any:
        value = tensors[-1](*index)
        for key, tensor in list(zip(masks, tensors, strict=True))[-2::-1]:
            value = tirx.Select(mask == tirx.const(key, "int64"), tensor(*index), value)
        return value

    return call.te(compute, axes, *results.values(), name="switch")


def mask_of(axes: te.Tensor, rank: int) -> Any:
    """Bit mask of the axes in a small tensor, negative ones counted from the end."""
    mask = tirx.const(0, "int64")
    for place in range(int(axes.shape[0]) if axes.shape else 1):
        axis = (axes(place) if axes.shape else axes()).astype("int64")
        mask = mask | tirx.shift_left(tirx.const(1, "int64"), tirx.floormod(axis, tirx.const(rank, "int64")))
    return mask
