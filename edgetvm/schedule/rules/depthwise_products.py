"""Sums of a depthwise window, channel by channel, by the instructions that a processor has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from tvm import tirx

from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.depthwise_dot import DotColumns
from edgetvm.schedule.rules.depthwise_seen import Seen
from edgetvm.schedule.rules.depthwise_words import PMADDWD, WordPairs
from edgetvm.schedule.rules.dot_instruction import dot_instruction
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.tap_groups import tap_groups, tap_sizes
from edgetvm.schedule.rules.write_code import Code, constant, lanes_of, load, shuffle
from edgetvm.schedule.types import Packing


@dataclass(frozen=True)
class NeonTaps:
    """Tap by tap: products of 16 bits are summed as long as they fit, then added to 32 bits.

    `sizes` are those of the weights, see `tap_sizes`. Taps outside of the image are in what sums start from.
    """

    neon: Neon
    sizes: np.ndarray
    block: int  # channels of a panel of weights
    least: int = 8  # channels that a vector of activations has at least
    channel_bytes: int = 1  # of a panel, from one channel to the next

    def lanes(self, wide: int) -> int:
        """Sums in a vector, for `wide` channels."""
        del wide
        return 4

    def vectors(self, wide: int) -> int:
        """Vectors of sums of `wide` channels."""
        return wide // 4

    @property
    def packing(self) -> Packing:
        """``[panels, i, j, 1, block]``."""
        return Panels(self.block)

    def operations(self, taps: tuple[int, int]) -> int:
        """Multiplications of one pixel, of as many channels as a vector of activations has."""
        return taps[0] * taps[1]

    def column(self, wide: int, rows: int) -> int:
        """Instructions that bring a column of the window."""
        del wide
        return rows

    def pixel(self, wide: int, taps: tuple[int, int]) -> int:
        """Instructions that multiply and add for a pixel."""
        count = taps[0] * taps[1]
        return wide // 8 * (count + 2 * len(tap_groups(self.sizes, range(count))))

    def weights(self, code: Code, w: tirx.Buffer, taps: tuple[int, int], wide: int) -> list[tirx.Expr]:
        """The weights of each tap, of `wide` channels."""
        return [code.let("w", load(w, tap * self.block, wide)) for tap in range(taps[0] * taps[1])]

    def start(
        self, code: Code, weights: Sequence[tirx.Expr], bias: Sequence[tirx.Expr], outside: Sequence[int], fill: int
    ) -> list[tirx.Expr]:
        """What sums start from: the bias, and the products of taps that see `fill`."""
        sums = list(bias)
        if fill and outside:
            same = constant(fill, "int8", lanes_of(weights[0]))
            self._add(code, sums, weights, dict.fromkeys(outside, same))
        return sums

    def write(self, code: Code, seen: Seen, weights: Sequence[tirx.Expr], starts: Sequence[list[tirx.Expr]]) -> None:
        """Add to the sums of neighbouring pixels, given as vectors of channels."""
        for sums, places in zip(starts, seen.taps, strict=True):
            inside = {tap: seen.vector(*place) for tap, place in enumerate(places) if seen.inside(*place)}
            self._add(code, sums, weights, inside)

    def _add(
        self, code: Code, sums: list[tirx.Expr], weights: Sequence[tirx.Expr], activations: Mapping[int, tirx.Expr]
    ) -> None:
        """Add the products of some taps to sums in vectors of channels."""
        for group in tap_groups(self.sizes, list(activations)):
            for half in range(len(sums) // 2):
                total: tirx.Expr | None = None
                for tap in group:
                    product = self.neon.multiply(_eight(activations[tap], half), _eight(weights[tap], half))
                    total = product if total is None else total + product
                words = code.let("t", total)
                for i in (0, 1):
                    part = tirx.Cast("int32x4", shuffle([words], list(range(4 * i, 4 * i + 4))))
                    sums[2 * half + i] = code.let("s", sums[2 * half + i] + part)


DepthwiseProducts: TypeAlias = NeonTaps | WordPairs | DotColumns


def depthwise_products(machine: Machine, weights: Sequence[np.ndarray]) -> list[DepthwiseProducts]:
    """How a processor can sum a window, in blocks of so many channels; nothing if it has no such instructions."""
    if machine.neon:
        sizes = tap_sizes(weights)
        return [NeonTaps(Neon(machine.neon), sizes, block) for block in (16, 8)]
    if machine.dot == "vpdpbusd":
        instruction = dot_instruction(machine)
        assert instruction is not None
        return [DotColumns(instruction, block) for block in (16, 32)]
    if machine.dot == "pmaddwd" and machine.lanes(4) in PMADDWD:
        return [WordPairs(machine.lanes(4), block) for block in (16, 32)]
    return []


def _eight(vector: tirx.Expr, half: int) -> tirx.Expr:
    return vector if vector.ty.dtype.lanes == 8 else shuffle([vector], list(range(8 * half, 8 * half + 8)))
