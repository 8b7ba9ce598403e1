"""The tiles of an image, transformed: channels along the vector, no copy of the image with its border.

Two passes in one dimension. The first goes down the columns of a row of tiles, and neighbouring tiles share what it
computes; rows outside of the image are left out of its code. Columns outside stay zero in what it writes.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.dot_border import Border
from edgetvm.schedule.rules.winograd_code import algebra, where
from edgetvm.schedule.rules.winograd_plan import WinogradPlan
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, number, store


@dataclass(frozen=True)
class Channels:
    """`count` pieces of `lanes` input channels from `first` on."""

    first: int
    count: int
    lanes: int


def channel_pieces(plan: WinogradPlan) -> list[Channels]:
    """All input channels: whole vectors, then a smaller one of each size that is needed."""
    lanes, depth = plan.lanes, plan.kernel.depth
    pieces = [Channels(0, depth // lanes, lanes)] if depth >= lanes else []
    done = depth // lanes * lanes
    while done < depth:
        lanes = 1 << ((depth - done).bit_length() - 1)
        pieces.append(Channels(done, 1, lanes))
        done += lanes
    return pieces


@dataclass(frozen=True)
class InputWriter:
    """Transforms rows of tiles of `image`, one row of elements, into `tiles`.

    ``tiles[position][tile][channel]``, `plan.tile_pitch` elements a position.
    """

    code: Code
    plan: WinogradPlan
    image: tirx.Buffer

    @property
    def border(self) -> Border:
        x = self.plan.kernel.x.buffer
        return self.plan.kernel.border or Border(x, x, 0, 0, 0)

    @property
    def height(self) -> int:
        return int(self.border.image.shape[1])

    @property
    def columns(self) -> int:
        """Columns of the image that tiles read."""
        return min(int(self.border.image.shape[2]), self.plan.width - self.border.left)

    def clear(self, strip: tirx.Buffer) -> None:
        """Zeros in what stands for columns outside of the image."""
        code, plan, lanes = self.code, self.plan, self.plan.lanes
        right = self.border.left + self.columns
        for first, count in ((0, self.border.left), (right, plan.width - right)):
            if count:
                with code.loop("i", plan.form.side) as i, code.loop("x", count) as x:
                    code.add(store(strip, (i * plan.width + first + x) * lanes, constant(0.0, "float32", lanes)))

    def write(
        self,
        strip: tirx.Buffer,
        tiles: tirx.Buffer,
        image: Offset,
        row: Offset,
        row_in_band: Offset,
        channel: Offset,
        lanes: int,
    ) -> None:
        """One row of tiles, `lanes` channels from `channel` on."""
        self._down(strip, image, row, channel, lanes)
        self._across(strip, tiles, row_in_band, channel, lanes)

    def _down(self, strip: tirx.Buffer, image: Offset, row: Offset, channel: Offset, lanes: int) -> None:
        code = self.code
        kinds = self._kinds()
        for start, end, low, high in kinds:
            here = tirx.And(number(row) >= number(start), number(row) < number(end))
            with where(code, here, always=len(kinds) == 1):
                self._columns(strip, image, row, channel, lanes, low, high)

    def _kinds(self) -> list[tuple[int, int, int, int]]:
        """(first row of tiles, end, first row of a tile within the image, end) of rows that read the same rows."""
        kinds: list[tuple[int, int, int, int]] = []
        for row in range(self.plan.tile_rows):
            above = self.border.top - row * self.plan.form.outputs
            low = min(max(above, 0), self.plan.form.side)
            high = max(min(self.height + above, self.plan.form.side), low)
            if kinds and kinds[-1][2:] == (low, high):
                kinds[-1] = (kinds[-1][0], row + 1, low, high)
            else:
                kinds.append((row, row + 1, low, high))
        return kinds

    def _columns(
        self, strip: tirx.Buffer, image: Offset, row: Offset, channel: Offset, lanes: int, low: int, high: int
    ) -> None:
        code, plan, form = self.code, self.plan, self.plan.form
        depth, width = plan.kernel.depth, int(self.border.image.shape[2])
        first = image * self.height + row * form.outputs - self.border.top
        with code.loop("x", self.columns) as x:
            zero = constant(0.0, "float32", lanes)
            values = [zero] * form.side
            for i in range(low, high):
                at = ((first + i) * width + x) * depth + channel
                values[i] = code.let("d", load(self.image, at, lanes))
            for i, value in enumerate(form.input(algebra(code), values)):
                code.add(store(strip, (i * plan.width + self.border.left + x) * plan.lanes, value))

    def _across(self, strip: tirx.Buffer, tiles: tirx.Buffer, row: Offset, channel: Offset, lanes: int) -> None:
        code, plan, form = self.code, self.plan, self.plan.form
        with code.loop("i", form.side) as i, code.loop("t", plan.tile_columns) as t:
            start = (i * plan.width + t * form.outputs) * plan.lanes
            values = [code.let("d", load(strip, start + j * plan.lanes, lanes)) for j in range(form.side)]
            to = i * (form.side * plan.tile_pitch) + (row * plan.tile_columns + t) * plan.kernel.depth + channel
            for j, value in enumerate(form.input(algebra(code), values)):
                code.add(store(tiles, to + j * plan.tile_pitch, value))
