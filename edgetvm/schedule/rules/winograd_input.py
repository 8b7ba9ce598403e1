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
class TilePlace:
    """A span of tiles: the image, the row of tiles in it and in its band, the span in the row."""

    image: Offset
    row: Offset
    row_in_band: Offset
    span: Offset


@dataclass(frozen=True)
class InputWriter:
    """Transforms spans of tiles of `image`, one row of elements, into `tiles`.

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
    def columns(self) -> tuple[int, int]:
        """Columns of a strip that are those of the image in every span: from one to before another."""
        if self.plan.spans > 1:
            return 0, self.plan.width
        return self.border.left, min(int(self.border.image.shape[2]) + self.border.left, self.plan.width)

    def clear(self, strip: tirx.Buffer) -> None:
        """Zeros in what always stands for columns outside of the image."""
        code, plan, lanes = self.code, self.plan, self.plan.lanes
        left, right = self.columns
        for first, count in ((0, left), (right, plan.width - right)):
            if count:
                with code.loop("i", plan.form.side) as i, code.loop("x", count) as x:
                    code.add(store(strip, (i * plan.width + first + x) * lanes, constant(0.0, "float32", lanes)))

    def write(self, strip: tirx.Buffer, tiles: tirx.Buffer, place: TilePlace, channel: Offset, lanes: int) -> None:
        """A span of tiles, `lanes` channels from `channel` on."""
        kinds = self._kinds()
        for start, end, low, high in kinds:
            here = tirx.And(number(place.row) >= number(start), number(place.row) < number(end))
            with where(self.code, here, always=len(kinds) == 1):
                self._down(strip, place, channel, lanes, (low, high))
        self._across(strip, tiles, place.row_in_band, channel, lanes)

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

    def _down(self, strip: tirx.Buffer, place: TilePlace, channel: Offset, lanes: int, inside: tuple[int, int]) -> None:
        """The columns of a span, of which rows from inside[0] to before inside[1] lie in the image."""
        code, plan, form = self.code, self.plan, self.plan.form
        depth, width = plan.kernel.depth, int(self.border.image.shape[2])
        first = place.image * self.height + place.row * form.outputs - self.border.top
        zero = constant(0.0, "float32", lanes)
        left, right = self.columns
        with code.loop("x", right - left) as x:
            column = place.span * (plan.span * form.outputs) + x + (left - self.border.left)

            def put(values: list[tirx.Expr]) -> None:
                for i, value in enumerate(values):
                    code.add(store(strip, (i * plan.width + left + x) * plan.lanes, value))

            here = tirx.And(number(column) >= number(0), number(column) < number(width))
            with where(code, here, always=plan.spans == 1):
                seen = [zero] * form.side
                for i in range(*inside):
                    seen[i] = code.let("d", load(self.image, ((first + i) * width + column) * depth + channel, lanes))
                put(form.input(algebra(code), seen))
            if plan.spans > 1:
                with code.when(tirx.Not(here)):
                    put([zero] * form.side)

    def _across(self, strip: tirx.Buffer, tiles: tirx.Buffer, row: Offset, channel: Offset, lanes: int) -> None:
        code, plan, form = self.code, self.plan, self.plan.form
        with code.loop("i", form.side) as i, code.loop("t", plan.span) as t:
            start = (i * plan.width + t * form.outputs) * plan.lanes
            values = [code.let("d", load(strip, start + j * plan.lanes, lanes)) for j in range(form.side)]
            to = i * (form.side * plan.tile_pitch) + (row * plan.span + t) * plan.kernel.depth + channel
            for j, value in enumerate(form.input(algebra(code), values)):
                code.add(store(tiles, to + j * plan.tile_pitch, value))
