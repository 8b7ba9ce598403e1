"""Sums of a depthwise window, channel by channel, by the instructions that a processor has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from tvm import tirx

from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.depthwise_dot import DotColumns
from edgetvm.schedule.rules.depthwise_seen import BLOCK, Seen
from edgetvm.schedule.rules.depthwise_words import PMADDWD, WordPairs
from edgetvm.schedule.rules.dot_instruction import dot_instruction
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.neon_products import MOST_IN_16_BITS
from edgetvm.schedule.rules.write_code import Code, load, shuffle
from edgetvm.schedule.types import Packing


@dataclass(frozen=True)
class NeonTaps:
    """Tap by tap: products of 16 bits are summed as long as they fit (`groups` of taps), then added to 32 bits."""

    neon: Neon
    groups: tuple[tuple[int, ...], ...]
    least: int = 8  # channels that a vector of activations has at least
    channel_bytes: int = 1  # of a panel, from one channel to the next

    def lanes(self, wide: int) -> int:
        """Sums in a vector, for `wide` channels."""
        del wide
        return 4

    @property
    def packing(self) -> Packing:
        """``[panels, i, j, 1, block]``."""
        return Panels(BLOCK)

    def operations(self, taps: tuple[int, int]) -> int:
        """Multiplications of one pixel, of as many channels as a vector of activations has."""
        return taps[0] * taps[1]

    def weights(self, code: Code, w: tirx.Buffer, taps: tuple[int, int], wide: int) -> list[tirx.Expr]:
        """The weights of each tap, of `wide` channels."""
        return [code.let("w", load(w, tap * BLOCK, wide)) for tap in range(taps[0] * taps[1])]

    def start(self, code: Code, weights: Sequence[tirx.Expr], bias: Sequence[tirx.Expr]) -> list[tirx.Expr]:
        """What sums start from: the bias."""
        del code, weights
        return list(bias)

    def write(self, code: Code, seen: Seen, weights: Sequence[tirx.Expr], starts: Sequence[list[tirx.Expr]]) -> None:
        """Add to the sums of neighbouring pixels, given as vectors of channels."""
        wide = seen.lanes
        places = [[(row, column) for row in seen.rows for column in columns] for columns in seen.columns]
        activations = {place: seen.vector(*place) for taps in places for place in taps}
        for sums, taps in zip(starts, places, strict=True):
            for group in self.groups:
                for half in range(wide // 8):
                    total: tirx.Expr | None = None
                    for tap in group:
                        product = self.neon.multiply(_eight(activations[taps[tap]], half), _eight(weights[tap], half))
                        total = product if total is None else total + product
                    words = code.let("t", total)
                    for i in (0, 1):
                        part = tirx.Cast("int32x4", shuffle([words], list(range(4 * i, 4 * i + 4))))
                        sums[2 * half + i] = code.let("s", sums[2 * half + i] + part)


DepthwiseProducts: TypeAlias = NeonTaps | WordPairs | DotColumns


def depthwise_products(machine: Machine, weights: Sequence[np.ndarray]) -> DepthwiseProducts | None:
    """How a processor sums a window; None if it has no such instructions."""
    if machine.neon:
        return NeonTaps(Neon(machine.neon), tuple(map(tuple, tap_groups(weights))))
    if machine.dot == "vpdpbusd":
        instruction = dot_instruction(machine)
        assert instruction is not None
        return DotColumns(instruction, BLOCK)
    if machine.dot == "pmaddwd" and machine.lanes(4) in PMADDWD:
        return WordPairs(machine.lanes(4))
    return None


def tap_groups(weights: Sequence[np.ndarray]) -> list[list[int]]:
    """Taps whose products may be summed in 16 bits, for any activation: first fit in the order of the taps."""
    sizes = np.concatenate([np.abs(array.astype(np.int64)).reshape(-1, array.shape[-1]) for array in weights], 1)
    groups: list[list[int]] = []
    totals: list[np.ndarray] = []
    for tap, size in enumerate(sizes):
        fitting = (i for i, total in enumerate(totals) if (total + size).max() <= MOST_IN_16_BITS)
        found = next(fitting, None)
        if found is None:
            groups.append([tap])
            totals.append(size)
        else:
            groups[found].append(tap)
            totals[found] = totals[found] + size
    return groups


def _eight(vector: tirx.Expr, half: int) -> tirx.Expr:
    return vector if vector.ty.dtype.lanes == 8 else shuffle([vector], list(range(8 * half, 8 * half + 8)))
