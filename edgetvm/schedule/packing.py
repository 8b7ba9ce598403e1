"""Layouts of constants, applied to their data at compile time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetvm.schedule.rules.winograd_transform import FORMS, transform_weights


@dataclass(frozen=True)
class Panels:
    """``[..., K, N]`` as panels of `block` columns: ``[N / block, ..., K / group, block, group]``.

    K and N are filled up with zeros. `joined` is the number of axes before the last that make K, one after the
    other; all axes before them are kept. With `group` 1 the last axis is left out. With `offset` a panel is
    preceded by `block` int32, what the sums start from if `offset` is added to what is multiplied by the weights:
    ``-offset * sum w``; a panel is then one axis of bytes.
    """

    block: int
    group: int = 1
    joined: int = 1
    offset: int = 0

    @property
    def label(self) -> str:
        """Tells this layout from others in a name."""
        if self == Panels(self.block):
            return f"{self.block}"
        return f"{self.block}_{self.group}_{self.joined}_{self.offset}"

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array as the kernel reads it."""
        columns = data.shape[-1]
        panels = -(-columns // self.block)
        if self.group == 1:
            filled = _filled(data, -1, panels * self.block)
            rows = filled.reshape(*data.shape[:-1], panels, self.block)
            return np.ascontiguousarray(np.moveaxis(rows, -2, 0))
        kept = data.shape[: -1 - self.joined]
        rows = data.reshape(*kept, -1, columns)
        groups = -(-rows.shape[-2] // self.group)
        rows = _filled(_filled(rows, -1, panels * self.block), -2, groups * self.group)
        rows = rows.reshape(*kept, groups, self.group, panels, self.block)
        packed = np.ascontiguousarray(np.moveaxis(rows, (-2, -1, -3), (0, -2, -1)))
        if not self.offset:
            return packed
        sums = packed.reshape(panels, -1, self.block, self.group).sum((1, 3), dtype=np.int64)
        start = (-self.offset * sums).astype("<i4").view(np.int8)
        return np.concatenate([start, packed.reshape(panels, -1)], axis=1)


def _filled(data: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Zeros behind `data` along one axis."""
    widths = [(0, 0)] * data.ndim
    widths[axis] = (0, size - data.shape[axis])
    return np.pad(data, widths)


@dataclass(frozen=True)
class WinogradPanels:
    """3x3 weights [3, 3, C, O] transformed for tiles of `outputs` x `outputs` and in panels of `block` columns.

    ``[O / block, (outputs + 2)^2, C, block]``, O filled up with zeros. Computed in double precision, and made
    ``2^places`` times as large in type `dtype`.
    """

    outputs: int
    block: int
    dtype: str = "float32"
    places: int = 0

    @property
    def label(self) -> str:
        """Tells this layout from others in a name."""
        return f"winograd{self.outputs}_{self.block}_{self.dtype}"

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array as the kernel reads it."""
        form = next(form for form in FORMS if form.outputs == self.outputs)
        whole = transform_weights(form, data) * 2**self.places
        return Panels(self.block).pack(whole.astype(self.dtype))
