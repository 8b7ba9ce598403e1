"""Which taps of a depthwise window lie inside the image: outputs with the same ones share loops.

Along an axis tap t of output n is at ``first + n * step + t * apart`` of the image, outside where that is below 0 or
beyond its size. Outputs at a border are peeled into loops of their own, in which it is known which taps are outside.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgetvm.schedule.rules.dot_kernel import DotKernel


@dataclass(frozen=True)
class Line:
    """One axis: places of `taps` taps, in units of `pitch` elements; `size` None where nothing is outside."""

    taps: int
    first: int
    step: int
    apart: int
    size: int | None
    pitch: int

    def inside(self, place: int) -> bool:
        """Whether a place is in the image."""
        return self.size is None or 0 <= place < self.size

    def places(self, count: int) -> tuple[int, ...]:
        """The places that `count` neighbouring outputs see, from where the first output's window begins."""
        return tuple(sorted({n * self.step + t * self.apart for n in range(count) for t in range(self.taps)}))

    def seen(self, output: int, count: int) -> tuple[int, ...]:
        """Those of them that are inside the image, for `count` outputs from `output` on."""
        start = self.first + output * self.step
        return tuple(place for place in self.places(count) if self.inside(start + place))


@dataclass(frozen=True)
class Run:
    """`repeats` times `count` outputs from `first` on, which all see the places `seen`."""

    first: int
    count: int
    repeats: int
    seen: tuple[int, ...]


def runs_of(line: Line, outputs: int, count: int) -> list[Run]:
    """All outputs in runs, `count` at a time and what is left last."""
    runs: list[Run] = []
    for first in range(0, outputs, count):
        size = min(count, outputs - first)
        seen, last = line.seen(first, size), runs[-1] if runs else None
        if last is not None and (last.count, last.seen) == (size, seen):
            runs[-1] = Run(last.first, size, last.repeats + 1, seen)
        else:
            runs.append(Run(first, size, 1, seen))
    return runs


@dataclass(frozen=True)
class Lines:
    """Where an image is read: rows and columns, elements from one image to the next, and the first channel."""

    rows: Line
    columns: Line
    image: int
    base: int


def lines_of(kernel: DotKernel, copied: bool) -> Lines:
    """Of a kernel's own image, whose border is no part of it, or of a copy with the border."""
    x, (i, j), (step_i, step_j) = kernel.x, kernel.taps, kernel.steps
    if kernel.border is None or copied:
        rows = Line(i, 0, x.rows[1], step_i, None, 1)
        return Lines(rows, Line(j, 0, x.rows[2], step_j, None, 1), x.rows[0], x.base)
    _, height, width, depth = (int(extent) for extent in kernel.border.image.shape)
    pitch = int(kernel.border.padded.shape[2]) * depth
    row, rest = divmod(x.base, pitch)
    column, channel = divmod(rest, depth)
    rows = Line(i, row - kernel.border.top, x.rows[1] // pitch, step_i // pitch, height, width * depth)
    columns = Line(j, column - kernel.border.left, x.rows[2] // depth, step_j // depth, width, depth)
    return Lines(rows, columns, height * width * depth, channel)
