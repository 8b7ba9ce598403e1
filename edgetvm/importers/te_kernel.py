"""The two TE constructors that every kernel here uses, with the 64-bit indices that Relax has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import te, tirx


def kernel(shape: Sequence[Any], element: Callable[..., Any], name: str) -> te.Tensor:
    """A tensor of `shape` computed one element at a time."""
    return te.compute([tirx.const(int(d), "int64") for d in shape], element, name=name)


def reduce_axis(extent: int, name: str) -> Any:
    """An axis to reduce over."""
    return te.reduce_axis((tirx.const(0, "int64"), tirx.const(int(extent), "int64")), name=name)
