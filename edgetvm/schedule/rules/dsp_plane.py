"""One channel of an image with its border, as words of two neighbouring places of one axis."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from tvm import tirx

from edgetvm.schedule.rules.depthwise_window import Line, lines_of
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.dsp_instructions import HALF_BITS, join_halves
from edgetvm.schedule.rules.paired_line import PAIR, PairedLine
from edgetvm.schedule.rules.write_code import Code, Offset, load, store


@dataclass(frozen=True)
class Plane:
    """Words ``[places across, words along]``.

    axis      the paired one, 0 for rows
    along     that axis
    across    the other one, with its `outputs`
    image     elements from one image to the next
    base      the element of the first channel at the image's first place
    fill      what is outside of the image
    """

    axis: int
    along: PairedLine
    across: Line
    outputs: int
    image: int
    base: int
    fill: int

    @property
    def width(self) -> int:
        """Places across that all windows see."""
        return (self.outputs - 1) * self.across.step + (self.across.taps - 1) * self.across.apart + 1

    @property
    def words(self) -> int:
        """All of them."""
        return self.width * self.along.words

    @property
    def multiplications(self) -> float:
        """Instructions of one output."""
        return self.along.multiplications * self.across.taps

    def new(self, code: Code) -> tirx.Buffer:
        """The memory, with what is outside of the image if anything is."""
        words = code.array("plane", self.words, "int32", "global")
        if len(self._columns) < self.width or len(self._inside) < self.along.words:
            with code.loop("i", self.words) as i:
                both = (self.fill << HALF_BITS) | (self.fill & ((1 << HALF_BITS) - 1))
                code.add(store(words, i, tirx.const(both, "int32")))
        return words

    def copy(self, code: Code, words: tirx.Buffer, image: tirx.Buffer, channel: Offset) -> None:
        """What is inside of the image, of the channel whose element at the first place is `channel`."""
        columns, line = self._columns, self.along.line
        if not columns or not self._inside:
            return
        with code.loop("q", len(columns)) as q:
            origin = channel + line.first * line.pitch + (self.across.first + columns.start + q) * self.across.pitch
            for halves, run in self._runs():
                with code.loop("w", len(run)) as w:
                    word = run.start + w
                    place = code.view("xp", image, origin + word * (PAIR * line.pitch), 1)
                    lower, upper = (
                        tirx.Cast("int32", load(place, half * line.pitch)) if seen else tirx.const(self.fill, "int32")
                        for half, seen in enumerate(halves)
                    )
                    value = join_halves(lower, upper)
                    code.add(store(words, (columns.start + q) * self.along.words + word, value))

    @property
    def _columns(self) -> range:
        """Places across that are in the image."""
        inside = [place for place in range(self.width) if self.across.inside(self.across.first + place)]
        return range(inside[0], inside[-1] + 1) if inside else range(0)

    @property
    def _inside(self) -> list[tuple[int, tuple[bool, ...]]]:
        """Words of which something is in the image, and which halves are."""
        places = (range(PAIR * word, PAIR * word + PAIR) for word in range(self.along.words))
        halves = (tuple(map(self.along.inside, pair)) for pair in places)
        return [(word, inside) for word, inside in enumerate(halves) if any(inside)]

    def _runs(self) -> Iterator[tuple[tuple[bool, ...], range]]:
        """Such words in runs of equal halves."""
        for halves, alike in groupby(self._inside, key=lambda entry: entry[1]):
            words = [word for word, _ in alike]
            yield halves, range(words[0], words[-1] + 1)


def plane_of(kernel: DotKernel) -> Plane | None:
    """The plane that takes the fewest multiplications; None where the taps of no axis are neighbours."""
    lines = lines_of(kernel, False)
    axes = [_by_place(lines.rows), _by_place(lines.columns)]
    outputs = kernel.extents[1:]
    fill = kernel.border.fill if kernel.border else 0
    planes = []
    for axis in (0, 1):
        along, across = PairedLine(axes[axis], outputs[axis]), axes[1 - axis]
        if along.line.apart == 1:
            planes.append(Plane(axis, along, across, outputs[1 - axis], lines.image, lines.base, fill))
    return min(planes, key=lambda plane: plane.multiplications, default=None)


def _by_place(line: Line) -> Line:
    """The same line counted in places where it was in elements, and with `apart` 1 if there is one tap."""
    if line.size is None:
        unit = math.gcd(line.step, line.apart) or 1
        line = replace(line, step=line.step // unit, apart=line.apart // unit, pitch=line.pitch * unit)
    return replace(line, apart=line.apart if line.taps > 1 else 1)
