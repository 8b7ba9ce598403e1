"""The tiles of a 3x3 convolution, in rows and columns, and which of them are computed together."""

from __future__ import annotations

from dataclasses import dataclass

from edgetvm.schedule.rules.dot_border import Border
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.winograd_transform import TAPS, Winograd


def is_plain_3x3(kernel: DotKernel) -> bool:
    """Whether it is a convolution by 3x3 taps, of stride and dilation 1."""
    if kernel.taps != (TAPS, TAPS) or len(kernel.w.shape) != 4 or len(kernel.out.buffer.shape) != 4:
        return False
    padded = kernel.x.buffer if kernel.border is None else kernel.border.padded
    batch, height, width, depth = (int(size) for size in padded.shape)
    pixel = (height * width * depth, width * depth, depth)
    steps = tuple(step if extent > 1 else 0 for step, extent in zip(pixel, kernel.extents, strict=True))
    sizes = (batch, height - TAPS + 1, width - TAPS + 1)
    return kernel.extents == sizes and kernel.x.rows == steps and kernel.steps == pixel[1:] and kernel.x.base == 0


@dataclass(frozen=True)
class TileGrid:
    """A kernel in tiles of `form`.

    band  rows of tiles that are transformed together
    span  tiles of each of these rows: all, or a part where scratch is short
    """

    kernel: DotKernel
    form: Winograd
    band: int
    span: int

    @property
    def border(self) -> Border:
        """The image with what lies around it; one without a border is its own."""
        x = self.kernel.x.buffer
        return self.kernel.border or Border(x, x, 0, 0, 0)

    @property
    def tile_rows(self) -> int:
        return -(-self.kernel.extents[1] // self.form.outputs)

    @property
    def tile_columns(self) -> int:
        return -(-self.kernel.extents[2] // self.form.outputs)

    @property
    def bands(self) -> int:
        return -(-self.tile_rows // self.band)

    @property
    def spans(self) -> int:
        return -(-self.tile_columns // self.span)

    @property
    def tiles(self) -> int:
        """Tiles that are transformed together."""
        return self.band * self.span

    @property
    def width(self) -> int:
        """Columns of the image that a span of tiles reads."""
        return self.span * self.form.outputs + TAPS - 1
