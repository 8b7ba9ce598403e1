"""TE kernels of one value for each output element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import te, tirx
from tvm.ir import Expr

from .convert import Call
from .te_kernel import kernel


def pointwise(
    call: Call, function: Callable[..., Any], *args: Expr, name: str | None = None, mark: str | None = None
) -> Expr:
    """Emit ``out[i] = function(a[i], b[i], ...)``, operands broadcast to the node's first output.

    `mark` tells passes what it computes.
    """
    shape = call.out().shape

    def compute(*tensors: te.Tensor) -> te.Tensor:
        return kernel(shape, lambda *i: function(*[broadcast(t, i) for t in tensors]), name=name or "compute")

    return call.te(compute, *args, name=name, mark=mark)


def indexed(call: Call, function: Callable[..., Any], *args: Expr, name: str | None = None, output: int = 0) -> Expr:
    """Emit ``out[i] = function(i, tensors...)``; the function loads what it needs."""
    shape = call.out(output).shape

    def compute(*tensors: te.Tensor) -> te.Tensor:
        return kernel(shape, lambda *i: function(i, *tensors), name=name or "compute")

    return call.te(compute, *args, name=name)


def like(x: Any, value: float | int) -> Any:
    """An immediate of the element type of the scalar `x`."""
    return tirx.const(value, x.ty.dtype)


def broadcast(tensor: te.Tensor, index: Sequence[Any]) -> Any:
    """Element of `tensor` at `index` under numpy's broadcasting."""
    own = list(index)[len(index) - len(tensor.shape) :]
    return tensor(*[0 if int(extent) == 1 else i for i, extent in zip(own, tensor.shape, strict=True)])


def wrapped(index: Any, extent: int) -> Any:
    """A run-time index as ONNX reads it: counted from the end if negative, kept inside in any case."""
    index = index.astype("int64")
    return inside(tirx.Select(index < 0, index + extent, index), extent)


def inside(index: Any, extent: int) -> Any:
    """`index` clamped to the tensor, so that no input makes a kernel read elsewhere."""
    return tirx.max(tirx.min(index, tirx.const(extent - 1, "int64")), tirx.const(0, "int64"))
