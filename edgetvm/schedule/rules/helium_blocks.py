"""Blocks of channels of a depthwise convolution on Helium, and how its constants are laid out for them.

Products of 16 channels come as two vectors of int16, of the even channels and of the odd ones; those of 8 as one. Each
is then split once more into its even and its odd lanes, which are added to sums of four channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WIDTHS = (16, 8)


@dataclass(frozen=True)
class Blocks:
    """Blocks of `width` channels; the last one overlaps the one before it where channels are no multiple."""

    channels: int
    width: int

    @property
    def starts(self) -> tuple[int, ...]:
        """The first channel of each."""
        whole = tuple(range(0, self.channels - self.width + 1, self.width))
        return whole if whole[-1] + self.width == self.channels else (*whole, self.channels - self.width)

    @property
    def order(self) -> list[list[int]]:
        """The channels of each vector of sums."""
        products = [list(range(self.width))] if self.width == WIDTHS[1] else [list(range(n, 16, 2)) for n in (0, 1)]
        return [channels[half::2] for channels in products for half in (0, 1)]


def blocks_of(channels: int) -> Blocks | None:
    """As wide as they can be; None for fewer channels than a vector of int16 has lanes."""
    return next((Blocks(channels, width) for width in WIDTHS if width <= channels), None)


@dataclass(frozen=True)
class TapBlocks:
    """Weights ``[i, j, 1, C]`` as ``[blocks, taps, width]``."""

    blocks: Blocks

    @property
    def label(self) -> str:
        """Tells this layout from others in a name."""
        return f"taps_by_{self.blocks.width}"

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array as the kernel reads it."""
        taps = data.reshape(-1, data.shape[-1])
        return np.stack([taps[:, start : start + self.blocks.width] for start in self.blocks.starts])


@dataclass(frozen=True)
class LaneOrder:
    """A constant of each channel as ``[blocks, width]``, in the order in which vectors of sums have them."""

    blocks: Blocks

    @property
    def label(self) -> str:
        """Tells this layout from others in a name."""
        return f"lanes_by_{self.blocks.width}"

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array as the kernel reads it."""
        flat, order = data.reshape(-1), [channel for lanes in self.blocks.order for channel in lanes]
        return np.stack([flat[start : start + self.blocks.width][order] for start in self.blocks.starts])
