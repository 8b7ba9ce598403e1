"""Stages of one kernel, each computing a few rows at a step from rows that earlier stages left in scratch.

In step i, stage s computes its rows ``(i - delay) * tile`` to ``(i - delay + 1) * tile``. Its rows stay in scratch for
as long as a later stage reads them, so that no row is computed twice; after a step scratch moves up by one tile.
Scratch holds the rows of borders too: an image that is read with its border is copied there, row by row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from edgetvm.cost.row_windows import Window

Rows = tuple[int, int]  # first and end
Source = str | int  # an image by its name, a stage by its number


@dataclass(frozen=True)
class Image:
    """A tensor: rows, and bytes of each."""

    rows: int
    row_bytes: int


@dataclass(frozen=True)
class Stage:
    """One stage: its result, and the window of each image and each earlier stage that it reads."""

    result: Image
    reads: Mapping[Source, Window]


@dataclass(frozen=True)
class RowPlan:
    """When each stage computes which rows. The last stage writes the result, the first ones copy the images `copies`.

    `tiles` are rows a step of each stage, `delays` the steps before it begins, `lows` the rows that lie first in
    its scratch in step 0.
    """

    stages: tuple[Stage, ...]
    images: Mapping[str, Image]
    copies: tuple[str, ...]
    tiles: tuple[int, ...]
    delays: tuple[int, ...]
    lows: tuple[int, ...]
    borders: tuple[float | None, ...]  # of each stage: what lies outside of its rows; None where nothing looks there

    @cached_property
    def steps(self) -> int:
        """Steps until the last row is written."""
        counts = zip(self.stages, self.tiles, self.delays, strict=True)
        return max(delay - (-stage.result.rows // tile) for stage, tile, delay in counts)

    def rows(self, stage: int, step: int) -> Rows:
        """The rows that a stage computes; none where first and end are equal."""
        first = (step - self.delays[stage]) * self.tiles[stage]
        limit = self.stages[stage].result.rows
        return min(max(first, 0), limit), min(max(first + self.tiles[stage], 0), limit)

    def first_read(self, reader: int, source: Source, step: int) -> int:
        """The first row of an image or a stage that stage `reader` sees, be it of the border."""
        window = self.stages[reader].reads[source]
        return self.rows(reader, step)[0] * window.stride - window.before

    def scratch_rows(self, stage: int) -> int:
        """Rows of a stage that are kept."""
        return (1 - self.delays[stage]) * self.tiles[stage] - self.lows[stage]

    def place(self, stage: int, row: int, step: int) -> int:
        """Where a row of a stage lies in its scratch, in rows."""
        return row - step * self.tiles[stage] - self.lows[stage]

    @property
    def scratch(self) -> tuple[int, ...]:
        """Bytes of scratch of each stage but the last."""
        return tuple(self.scratch_rows(number) * each.result.row_bytes for number, each in enumerate(self.stages[:-1]))

    @property
    def moved_bytes(self) -> int:
        """What is copied, and what moves up in scratch, in one call."""
        kept = sum(self.scratch) - sum(
            tile * stage.result.row_bytes for tile, stage in zip(self.tiles[:-1], self.stages[:-1], strict=True)
        )
        copied = sum(self.images[name].rows * self.images[name].row_bytes for name in self.copies)
        return self.steps * kept + copied

    @property
    def ragged(self) -> bool:
        """Whether a stage, other than a copy, has fewer rows left for its last step."""
        counts = list(zip(self.stages, self.tiles, strict=True))[len(self.copies) :]
        return any(stage.result.rows % tile for stage, tile in counts)

    def lead(self, image: str) -> int:
        """By how many bytes the result must begin before `image` if it is written over rows that are not read again."""
        last = len(self.stages) - 1
        readers = [number for number, stage in enumerate(self.stages) if image in stage.reads]
        needed = 0
        for step in range(self.steps):
            written = self.rows(last, step)[1] * self.stages[last].result.row_bytes
            # The last stage may read its rows again after it has written a part of them.
            kept = min(self._unread(reader, image, step + (reader != last)) for reader in readers)
            if written:
                needed = max(needed, written - kept)
        return needed

    def _unread(self, reader: int, image: str, step: int) -> int:
        """Bytes of an image before what a stage reads in a step or later."""
        row, end = self.rows(reader, step)
        first = self.first_read(reader, image, step) if row < end else self.images[image].rows
        return self.images[image].row_bytes * (0 if step < self.delays[reader] else max(first, 0))


def plan_rows(stages: Sequence[Stage], images: Mapping[str, Image], tile: int) -> RowPlan | None:
    """`tile` rows of the result a step; None where two readers of a stage need it at different speeds or with
    different borders, or where a border is unknown.
    """
    copies = tuple(name for name, image in images.items() if _borders(stages, name, image))
    whole = _with_copies(stages, images, copies)
    borders = [_borders(whole, number, stage.result) for number, stage in enumerate(whole)]
    tiles = [0] * (len(whole) - 1) + [tile]
    for number in reversed(range(len(whole))):
        for source, window in whole[number].reads.items():
            if isinstance(source, int):
                wanted = tiles[number] * window.stride
                if tiles[source] not in (0, wanted):
                    return None
                tiles[source] = wanted
    if not all(tiles) or any(len(border) > 1 or None in border for border in borders):
        return None
    delays, lows = _delays(whole, tiles)
    border = tuple(next(iter(found), None) for found in borders)
    return RowPlan(tuple(whole), images, copies, tuple(tiles), tuple(delays), tuple(lows), border)


def _borders(stages: Sequence[Stage], source: Source, image: Image) -> set[float | None]:
    """What is read outside of the rows of an image or a stage."""
    found: set[float | None] = set()
    for stage in stages:
        window = stage.reads.get(source)
        if window is None:
            continue
        end = (stage.result.rows - 1) * window.stride - window.before + window.taps
        if window.before > 0 or end > image.rows:
            found.add(window.border)
    return found


def _with_copies(stages: Sequence[Stage], images: Mapping[str, Image], copies: Sequence[str]) -> list[Stage]:
    """Stages that copy images before those that read them."""
    numbers: dict[Source, Source] = {name: number for number, name in enumerate(copies)}
    numbers |= {number: number + len(copies) for number in range(len(stages))}
    copied = [Stage(images[name], {name: Window(1, 1, 0)}) for name in copies]
    return copied + [
        Stage(stage.result, {numbers.get(source, source): window for source, window in stage.reads.items()})
        for stage in stages
    ]


def _delays(stages: Sequence[Stage], tiles: Sequence[int]) -> tuple[list[int], list[int]]:
    """The delays of a plan, as short as can be, and its lows."""
    delays, lows = [0] * len(stages), [0] * len(stages)
    for number, stage in enumerate(stages):
        inner = [(source, window) for source, window in stage.reads.items() if isinstance(source, int)]
        for source, window in inner:
            ahead = window.taps - window.stride - window.before
            delays[number] = max(delays[number], delays[source] + max(-(-ahead // tiles[source]), 0))
        for source, window in inner:
            lows[source] = min(lows[source], -delays[number] * tiles[source] - window.before)
    return delays, lows
