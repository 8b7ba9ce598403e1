"""How a real tensor comes from integers: what the lowering carries in place of every float value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from tvm.ir import Expr

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Nodes: TypeAlias = tuple[str, ...]  # the ONNX nodes that a value stands for and no kernel computes yet

INFINITE = float("inf")


@dataclass(frozen=True)
class Float:
    """A tensor computed in float. `reason` says why, None where the model's border makes it one."""

    expr: Expr
    reason: str | None = None


@dataclass(frozen=True)
class Integer:
    """An integer tensor. Unsigned codes are held signed: the model's value is ``expr + shift``.

    `scale` and `zero`, of the model's values, are known of what a `quantize` made.
    """

    expr: Expr
    shift: int = 0
    scale: float | None = None
    zero: int | None = None


@dataclass(frozen=True)
class Constant:
    """``values``; if they come from integers, ``scale * (codes - zero)``, all three of one shape."""

    values: Floats
    codes: Ints | None = None
    scale: Floats | None = None
    zero: Ints | None = None

    def moved(self, move: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Constant:
        """The same numbers in other places."""
        arrays = (self.values, self.codes, self.scale, self.zero)
        return Constant(*[None if array is None else move(array) for array in arrays])  # type: ignore[arg-type]


@dataclass(frozen=True)
class Quantized:
    """``scale * (expr - zero)`` of int8 or int16 codes."""

    expr: Expr
    scale: float
    zero: int
    nodes: Nodes = ()


@dataclass(frozen=True)
class Accumulated:
    """``clip(scale * (expr + offset), low, high)`` of int32 or int64 sums.

    `scale` and `offset` have the rank of `expr` and broadcast to it. `bound` is the largest magnitude that
    ``expr + offset`` and what is added on the way to it can have.
    """

    expr: Expr
    scale: Floats
    offset: Ints
    bound: int
    nodes: Nodes = ()
    low: float = -INFINITE
    high: float = INFINITE


@dataclass(frozen=True)
class Table:
    """``values[expr + 128]`` of int8 codes."""

    expr: Expr
    values: Floats
    nodes: Nodes = ()


@dataclass(frozen=True)
class Term:
    """``factor * (expr - zero)``; `factor` broadcasts to the sum."""

    expr: Expr
    factor: Floats
    zero: int


@dataclass(frozen=True)
class Sum:
    """``clip(sum of terms + constant, low, high)``."""

    terms: tuple[Term, ...]
    constant: Floats
    nodes: Nodes = ()
    low: float = -INFINITE
    high: float = INFINITE


@dataclass(frozen=True)
class Goal:
    """How a real tensor is to be quantized: codes of `dtype` within low..high."""

    scale: float
    zero: int
    dtype: str
    low: int
    high: int

    def code(self, value: float) -> int:
        """``round(value / scale) + zero``, half to even, kept in the goal's range."""
        scaled = max(min(value / self.scale, 2.0**40), -(2.0**40))
        return int(max(min(np.rint(scaled) + self.zero, self.high), self.low))

    def clipped(self, low: float, high: float) -> Goal:
        """The goal of a value that is clipped first: rounding keeps order, so its codes are clipped instead."""
        return replace(self, low=self.code(low), high=self.code(high))


@dataclass(frozen=True)
class Pending:
    """A tensor that one integer operator computes as soon as its quantization is known."""

    emit: Callable[[Goal, Nodes], Expr]
    nodes: Nodes = ()
    low: float = -INFINITE
    high: float = INFINITE


Lazy: TypeAlias = Quantized | Accumulated | Table | Sum | Pending
LAZY = (Quantized, Accumulated, Table, Sum, Pending)
Value: TypeAlias = Float | Integer | Constant | Lazy


def compressed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`array` with one element along every axis along which it does not change."""
    for axis in range(array.ndim):
        first = array.take([0], axis)
        if array.shape[axis] > 1 and (array == first).all():
            array = first
    return array


def clipped(value: Accumulated | Sum | Pending, low: float, high: float) -> Accumulated | Sum | Pending:
    """``clip(value, low, high)``."""
    kept_low, kept_high = max(value.low, low), min(value.high, high)
    if kept_low > kept_high:  # nothing is left between: the later clip decides
        kept_low = kept_high = low if value.high < low else high
    return replace(value, low=kept_low, high=kept_high)
