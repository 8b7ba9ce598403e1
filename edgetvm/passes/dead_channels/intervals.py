"""Interval arithmetic of integers: what a result can be, from what its operands can be.

An interval holds for every input of the model, so it may be too wide, never too narrow. Two corners of a box bound
what is monotone in each operand, and all of them what is linear in each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """The least and the largest value of every element: int64 arrays of one shape, which broadcasts to the tensor's."""

    low: Ints
    high: Ints

    def moved(self, move: Callable[[Ints], Ints]) -> Interval:
        """The same elements in other places."""
        return Interval(move(self.low), move(self.high))

    def along(self, axis: int) -> Interval:
        """One interval for all that have the same place along `axis`: arrays of one dimension."""
        others = tuple(other for other in range(self.low.ndim) if other != axis)
        return Interval(self.low.min(others), self.high.max(others))

    def compressed(self) -> Interval:
        """The same with one element along every axis along which nothing changes."""
        low, high = self.low, self.high
        for axis in range(low.ndim):
            if all(bool((side == side.take([0], axis)).all()) for side in (low, high)):
                low, high = low.take([0], axis), high.take([0], axis)
        return Interval(low, high)

    def with_value(self, value: int) -> Interval:
        """It, or `value`."""
        return Interval(np.minimum(self.low, value), np.maximum(self.high, value))


def whole(dtype: str, rank: int) -> Interval:
    """All that integers of `dtype` can be."""
    info = np.iinfo(dtype)
    return Interval(np.full((1,) * rank, info.min, np.int64), np.full((1,) * rank, info.max, np.int64))


def exactly(values: Array) -> Interval:
    """A constant."""
    wide = values.astype(np.int64)
    return Interval(wide, wide)


def fits(interval: Interval, dtype: str) -> bool:
    """Whether no value leaves `dtype`."""
    info = np.iinfo(dtype)
    return bool((interval.low >= info.min).all() and (interval.high <= info.max).all())


def corners(meaning: Callable[..., Array], operands: Sequence[Interval]) -> Interval:
    """Of an elementwise function that is monotone or linear in each operand while the others stay."""
    sides = [(x.low,) if x.low is x.high else (x.low, x.high) for x in operands]
    values = [meaning(*corner).astype(np.int64) for corner in product(*sides)]
    return Interval(np.minimum.reduce(values), np.maximum.reduce(values))


def picked(x: Interval, table: Array) -> Interval:
    """``table[x + 128]`` of 8-bit codes: the least and largest entry between both ends."""
    places = zip((x.low + 128).flat, (x.high + 129).flat, strict=True)
    entries = [table[first:last] for first, last in places]
    low, high = (np.array([side(part) for part in entries], np.int64) for side in (np.min, np.max))
    return Interval(low.reshape(x.low.shape), high.reshape(x.low.shape))


def products(x: Interval, weights: Array, groups: int) -> Interval:
    """``sum x[c] * w[t, c, o]`` over taps t and channels c, an interval for each o.

    `x` has an interval a channel; `weights` are [taps, channels / groups, outputs]. A tap sees any value of `x`.
    """
    depth, outputs = weights.shape[1:]
    wide = weights.astype(np.int64)
    up, down = np.maximum(wide, 0).sum(0), np.minimum(wide, 0).sum(0)
    group = np.arange(outputs) // (outputs // groups)
    channel = np.arange(depth)[:, None] + group * depth
    channels = depth * groups
    low, high = (np.broadcast_to(side, channels)[channel] for side in (x.low, x.high))
    return Interval((up * low + down * high).sum(0), (up * high + down * low).sum(0))
