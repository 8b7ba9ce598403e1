"""Weights for smmla: the layout of the dot product, with its groups of four joined by two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetvm.schedule.packing import Panels

GROUP = 4


@dataclass(frozen=True)
class PairedPanels:
    """``[..., K, N]`` as `panels` lays it out in groups of four, then pairs of groups as ``[K / 8, block, 8]``.

    A run of an odd number of groups keeps its last one as it is.
    """

    panels: Panels

    @property
    def label(self) -> str:
        """Tells this layout from others in a name."""
        return f"{self.panels.label}_paired"

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array as the kernel reads it, of the shape that `panels` gives."""
        packed = self.panels.pack(data)
        groups, block, group = packed.shape[-3:]
        runs = packed.reshape(-1, groups, block, group)
        whole = groups // 2 * 2
        pairs = runs[:, :whole].reshape(len(runs), groups // 2, 2, block, group).swapaxes(2, 3)
        paired = np.concatenate([pairs.reshape(len(runs), -1), runs[:, whole:].reshape(len(runs), -1)], axis=1)
        return np.ascontiguousarray(paired.reshape(packed.shape))
