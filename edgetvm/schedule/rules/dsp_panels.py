"""int8 weights as words of four bytes, two halves or eight nibbles in the order in which a tile multiplies them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetvm.schedule.rules.dsp_nibbles import joined_nibbles
from edgetvm.schedule.rules.nibbles import NIBBLE
from edgetvm.schedule.rules.winograd_transform import F2, transform_weights

GROUP = 4  # products that one word of weights takes part in
BYTE = 8
HALF_BITS = 16
ROUNDING = 1 << (HALF_BITS - 1)
IN_PAIRS = (0, 2, 1, 3)  # bytes 0 and 2 of a word are widened together, then 1 and 3


@dataclass(frozen=True)
class DspPanels:
    """``[I, J, C, O]`` or ``[K, O]`` as one row of int32 words ``[O / block, groups, block]``, the last block less.

    The `joined` last axes before O, the innermost filled up to `depth`, are one run of `length`, cut into groups. With
    `quads` activations are widened from words of bytes as weights are; without, they follow one another in 16 bits.
    With `taps_last` groups are in the order ``I, C / 4, J``.

    `bits` of a weight: with 16 a group is two words; with `apart` the first of all channels of a block precede the
    second ones. With 4 it is half of one: of
    every four pairs that follow one another, pair j has nibble j of each half of a word.

    `plain` words are those of `plain_pairs`: with the later weight of a pair in the lower half, bytes with 128 added.
    Before them is the number that products are rounded by. LLVM adds one that it does not know by the multiplication.
    """

    block: int
    quads: bool
    joined: int
    depth: int
    length: int
    bits: int
    taps_last: bool = False
    apart: bool = False
    plain: bool = False

    @property
    def label(self) -> str:
        """Tells this layout from others in a name."""
        order = "t" * self.taps_last + "a" * self.apart + "p" * self.plain
        return f"dsp{self.block}_{self.quads:d}_{self.joined}_{self.depth}_{self.length}_{self.bits}{order}"

    @property
    def header(self) -> int:
        """Words before the weights."""
        return int(self.plain)

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array as the kernel reads it."""
        taps = data if data.ndim == 4 else data[np.newaxis, np.newaxis]
        _, j, _, outputs = taps.shape
        runs = _filled(taps, 2, self.depth)
        runs = runs.reshape(-1, self.depth if self.joined == 1 else j * self.depth, outputs)[:, : self.length]
        runs = _filled(runs, 1, -(-self.length // GROUP) * GROUP)
        groups = runs.reshape(-1, GROUP, outputs)
        if self.taps_last:
            groups = groups.reshape(len(taps), j, -1, GROUP, outputs).swapaxes(1, 2).reshape(groups.shape)
        groups = (groups if self.quads else groups[:, IN_PAIRS]).swapaxes(1, 2)
        if self.plain:
            return self._pack_plain(np.roll(groups, GROUP // 2, axis=-1))
        pairs = np.ascontiguousarray(groups[..., IN_PAIRS].astype("<i2")).view("<i4")
        words = np.ascontiguousarray(groups).view("<i4") if self.bits == 8 else pairs
        words = words.swapaxes(1, 2).reshape(-1, outputs) if self.apart else words
        panels = [words[:, first : first + self.block] for first in range(0, outputs, self.block)]
        return np.concatenate([(joined_nibbles(panel) if self.bits == NIBBLE else panel).ravel() for panel in panels])

    def _pack_plain(self, groups: np.ndarray) -> np.ndarray:
        """Of groups ``[groups, O, 4]`` with halves swapped."""
        if self.bits > BYTE:
            halves = groups[..., IN_PAIRS].astype("<i4").reshape(*groups.shape[:-1], 2, 2)
            words = halves[..., 0] + (halves[..., 1] << HALF_BITS)
        else:
            words = np.ascontiguousarray(groups ^ np.int8(-128)).view("<i4")
        firsts = range(0, groups.shape[1], self.block)
        return np.concatenate([[np.int32(ROUNDING)], *(words[:, at : at + self.block].ravel() for at in firsts)])


def _filled(data: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Zeros behind `data` along one axis."""
    widths = [(0, 0)] * data.ndim
    widths[axis] = (0, max(size - data.shape[axis], 0))
    return np.pad(data, widths)


@dataclass(frozen=True)
class DspWinogradPanels:
    """Weights ``[3, 3, C, O]`` transformed for tiles of 2x2 and four times as large: integers of 16 bits.

    One row of int32 words of two channels, as `sxtb16` orders them: ``[O / block, position, C / 2, block]``, the last
    block less.
    """

    block: int

    @property
    def label(self) -> str:
        """Tells this layout from others in a name."""
        return f"dsp_winograd{self.block}"

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array as the kernel reads it."""
        whole = 4 * transform_weights(F2, data)
        positions, depth, outputs = whole.shape
        quads = whole.reshape(positions, depth // GROUP, GROUP, outputs)[:, :, IN_PAIRS].astype("<i2")
        halves = quads.reshape(positions, depth // 2, 2, outputs).swapaxes(2, 3)
        words = np.ascontiguousarray(halves).view("<i4")[..., 0]
        panels = (words[..., first : first + self.block] for first in range(0, outputs, self.block))
        return np.concatenate([panel.ravel() for panel in panels])
