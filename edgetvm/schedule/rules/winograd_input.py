"""The tiles of an image, transformed: channels along the register, no copy of the image with its border.

Two passes in one dimension. The first goes down the columns of a row of tiles, and neighbouring tiles share what it
computes; rows outside of the image are left out of its code. Columns outside stay in what it writes as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tvm import tirx

from edgetvm.schedule.rules.winograd_code import where
from edgetvm.schedule.rules.winograd_grid import TileGrid
from edgetvm.schedule.rules.write_code import Code, Offset, load, number, store


class Cells(Protocol):
    """What a pixel of an image is in registers: `parts` of them, each `lanes` elements of a strip."""

    @property
    def parts(self) -> int: ...

    @property
    def lanes(self) -> int: ...

    def read(self, at: Offset, lanes: int) -> list[tirx.Expr]:
        """The parts of a pixel whose first channel is element `at` of the image."""

    def outside(self, lanes: int) -> list[tirx.Expr]:
        """Those of a pixel outside of the image."""

    def transform(self, values: Sequence[tirx.Expr]) -> list[tirx.Expr]:
        """A tile in one dimension."""

    def put(
        self, tiles: tirx.Buffer, position: Offset, tile: Offset, channel: Offset, parts: Sequence[tirx.Expr]
    ) -> None:
        """Keep one position of a transformed tile."""


@dataclass(frozen=True)
class TilePlace:
    """A span of tiles: the image, the row of tiles in it and in its band, the span in the row."""

    image: Offset
    row: Offset
    row_in_band: Offset
    span: Offset


@dataclass(frozen=True)
class InputWriter:
    """Transforms spans of tiles by way of a strip: ``[row of a tile][part][column]``."""

    code: Code
    grid: TileGrid
    cells: Cells

    @property
    def height(self) -> int:
        return int(self.grid.border.image.shape[1])

    @property
    def columns(self) -> tuple[int, int]:
        """Columns of a strip that are those of the image in every span: from one to before another."""
        grid = self.grid
        if grid.spans > 1:
            return 0, grid.width
        return grid.border.left, min(int(grid.border.image.shape[2]) + grid.border.left, grid.width)

    def clear(self, strip: tirx.Buffer) -> None:
        """Fill in what always stands for columns outside of the image."""
        left, right = self.columns
        for first, count in ((0, left), (right, self.grid.width - right)):
            if count:
                with self.code.loop("x", count) as x:
                    self._keep(strip, first + x, [self.cells.outside(self.cells.lanes)] * self.grid.form.side)

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
        for row in range(self.grid.tile_rows):
            above = self.grid.border.top - row * self.grid.form.outputs
            low = min(max(above, 0), self.grid.form.side)
            high = max(min(self.height + above, self.grid.form.side), low)
            if kinds and kinds[-1][2:] == (low, high):
                kinds[-1] = (kinds[-1][0], row + 1, low, high)
            else:
                kinds.append((row, row + 1, low, high))
        return kinds

    def _down(self, strip: tirx.Buffer, place: TilePlace, channel: Offset, lanes: int, inside: tuple[int, int]) -> None:
        """The columns of a span, of which rows from inside[0] to before inside[1] lie in the image."""
        code, grid, form, cells = self.code, self.grid, self.grid.form, self.cells
        depth, width = grid.kernel.depth, int(grid.border.image.shape[2])
        first = place.image * self.height + place.row * form.outputs - grid.border.top
        left, right = self.columns
        with code.loop("x", right - left) as x:
            column = place.span * (grid.span * form.outputs) + x + (left - grid.border.left)
            here = tirx.And(number(column) >= number(0), number(column) < number(width))
            with where(code, here, always=grid.spans == 1):
                seen = [cells.outside(lanes)] * form.side
                for i in range(*inside):
                    seen[i] = cells.read(((first + i) * width + column) * depth + channel, lanes)
                self._keep(strip, left + x, seen)
            if grid.spans > 1:
                with code.when(tirx.Not(here)):
                    self._keep(strip, left + x, [cells.outside(lanes)] * form.side)

    def _keep(self, strip: tirx.Buffer, column: Offset, pixels: Sequence[list[tirx.Expr]]) -> None:
        """A column of tiles, transformed."""
        for part, values in enumerate(zip(*pixels, strict=True)):
            for i, value in enumerate(self.cells.transform(values)):
                self.code.add(store(strip, self._cell(i, part, column), value))

    def _cell(self, row: Offset, part: int, column: Offset) -> Offset:
        """Its first element in a strip."""
        return ((row * self.cells.parts + part) * self.grid.width + column) * self.cells.lanes

    def _across(self, strip: tirx.Buffer, tiles: tirx.Buffer, row: Offset, channel: Offset, lanes: int) -> None:
        code, grid, form = self.code, self.grid, self.grid.form
        with code.loop("i", form.side) as i, code.loop("t", grid.span) as t:
            positions = zip(*(self._line(strip, i, part, t, lanes) for part in range(self.cells.parts)), strict=True)
            for j, parts in enumerate(positions):
                self.cells.put(tiles, i * form.side + j, row * grid.span + t, channel, parts)

    def _line(self, strip: tirx.Buffer, row: Offset, part: int, tile: Offset, lanes: int) -> list[tirx.Expr]:
        """One part of one row of a tile, transformed."""
        start, form = self._cell(row, part, tile * self.grid.form.outputs), self.grid.form
        values = [self.code.let("d", load(strip, start + j * self.cells.lanes, lanes)) for j in range(form.side)]
        return self.cells.transform(values)
