"""Strips of rows: a kernel that a border or an odd depth keeps from its image reads a copy of some rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_copy import copy_bytes, copy_image_rows, fill_bytes
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.dot_plan import copy_limit
from edgetvm.schedule.rules.write_code import Code, Offset

SPARE = 16  # bytes behind a copy that loads may touch
VECTOR = 16  # bytes
WORD = 4
TOGETHER = 4  # vectors or words copied in an iteration on microcontrollers: there memcpy goes byte by byte


@dataclass(frozen=True)
class Strip:
    """`height` rows of the output at a time; `copied` if the rows of the image that they see are copied first.

    `together` pieces of `lanes` bytes are copied in an iteration (`copy_bytes`).
    """

    kernel: DotKernel
    height: int
    copied: bool
    lanes: int = VECTOR
    together: int = 1

    @property
    def pieces(self) -> list[tuple[int, int, int]]:
        """(number, rows each, first row) of the strips: whole ones, then what is left."""
        whole, rest = divmod(self.kernel.extents[1], self.height)
        pieces = [(whole, self.height, 0)] if whole else []
        return [*pieces, (1, rest, whole * self.height)] if rest else pieces

    def walk(self, code: Code, image: tirx.Buffer) -> Iterator[tuple[Offset, Offset, int, tirx.Buffer, Offset]]:
        """Loops over strips: (image, first row, rows, what is read, where the window of the first row begins in it)."""
        with code.loop("b", self.kernel.extents[0]) as b:
            for count, height, first in self.pieces:
                with code.loop("strip", count) as strip:
                    y0 = first + strip * self.height
                    yield b, y0, height, *self.write(code, image, b, y0, height)

    def write(self, code: Code, image: tirx.Buffer, b: Offset, y0: Offset, height: int) -> tuple[tirx.Buffer, Offset]:
        """Copy what rows `y0` to `y0 + height` see, if need be; gives where the window of the first of them begins."""
        kernel = self.kernel
        x = kernel.x
        origin = x.base + b * x.rows[0] + y0 * x.rows[1]
        if not self.copied:
            return image, origin
        if kernel.border is None:
            count = reach(kernel, height)
            copy = code.array("strip", count + SPARE, "int8", "global")
            fill_bytes(code, copy, count, 0, SPARE, SPARE)  # or TVM allocates only what is written
            copy_bytes(code, copy, 0, image, origin, count, self.lanes, flip=False)
            return copy, 0
        pitch = int(kernel.border.padded.shape[2]) * int(kernel.border.padded.shape[3])
        rows = strip_rows(kernel, height)
        copy = code.array("strip", rows * pitch + SPARE, "int8", "global")
        fill_bytes(code, copy, rows * pitch, 0, SPARE, SPARE)
        stride = x.rows[1] // pitch
        image_row = b * int(kernel.border.image.shape[1])
        first = y0 * stride
        copy_image_rows(code, copy, image, kernel.border, image_row, first, rows, self.lanes, False, self.together)
        return copy, x.base


def strip_of(kernel: DotKernel, machine: Machine, odd: bool, least: int = 1, beside: int = 0) -> Strip:
    """As many rows as a copy may have, in `least` strips if there are so many rows; all of them without a copy.

    `odd` depths are copied even without a border. `beside` are bytes that a row of the output needs beside the copy.
    """
    rows = kernel.extents[1]
    if kernel.border is None and not odd:
        return Strip(kernel, rows, copied=False)
    limit = copy_limit(kernel, machine)
    most = max(rows // least, 1)
    height = max((h for h in range(1, most + 1) if strip_bytes(kernel, h) + h * beside <= limit), default=1)
    strips = -(-rows // height)
    together = TOGETHER if machine.helium or machine.plain else 1
    return Strip(kernel, -(-rows // strips), True, WORD if machine.plain else VECTOR, together)


def strip_bytes(kernel: DotKernel, height: int) -> int:
    """What is copied for `height` rows of the output."""
    if kernel.border is None:
        return reach(kernel, height)
    return strip_rows(kernel, height) * int(kernel.border.padded.shape[2]) * int(kernel.border.padded.shape[3])


def strip_rows(kernel: DotKernel, height: int) -> int:
    """Rows of the padded image that `height` rows of the output see."""
    assert kernel.border is not None
    pitch = int(kernel.border.padded.shape[2]) * int(kernel.border.padded.shape[3])
    return ((height - 1) * kernel.x.rows[1] + (kernel.taps[0] - 1) * kernel.steps[0]) // pitch + 1


def reach(kernel: DotKernel, height: int) -> int:
    """Elements from the first to the last that `height` rows of the output see."""
    (i, j), (step_i, step_j) = kernel.taps, kernel.steps
    last = (height - 1) * kernel.x.rows[1] + (kernel.extents[2] - 1) * kernel.x.rows[2]
    span = kernel.channels if kernel.x.channel else kernel.depth
    return last + (i - 1) * step_i + (j - 1) * step_j + span
