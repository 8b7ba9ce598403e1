"""The loops of a float convolution or product around tiles of sums.

Rows and columns that are left over have tiles of their own. Activations are read where they lie: pixels whose window
reaches over the left or right border have bodies of their own too, which leave the taps out that see nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.channel_epilogue import Place, Rows
from edgetvm.schedule.rules.depthwise_window import Lines, Run, runs_of
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.float_epilogue import FloatEpilogue
from edgetvm.schedule.rules.matrix_plan import MatrixPlan
from edgetvm.schedule.rules.matrix_sums import MatrixSums, Panel, Tap, exact_vectors, filled_vectors
from edgetvm.schedule.rules.write_code import Code, Offset, number


@dataclass(frozen=True)
class Weights:
    """Where weights lie in `buffer`: elements from one image, row of pixels, panel and step of the sum to the next.

    `filled` tells that the last vector of the last panel has zeros behind the channels.
    """

    buffer: tirx.Buffer
    base: int
    image: int
    line: int
    panel: int
    pitch: int
    filled: bool


@dataclass(frozen=True)
class MatrixWriter:
    """Writes one kernel: rows of pixels, in each tiles of pixels, in each panels of channels."""

    code: Code
    plan: MatrixPlan
    rows: Rows
    lines: Lines
    weights: Weights

    @property
    def kernel(self) -> DotKernel:
        return self.plan.kernel

    def write(self) -> None:
        """The whole function."""
        code, plan = self.code, self.plan
        if not plan.panels_first:
            self._images(None, plan.shared)
            return
        whole, rest = divmod(self.kernel.channels, plan.columns)
        if whole:
            with code.loop("o", whole, plan.shared and whole > 1) as panel:
                self._images((panel, plan.columns), False)
        if rest:
            self._images((whole, rest), False)

    def _images(self, panel: tuple[Offset, int] | None, shared: bool) -> None:
        """All pixels, for one panel and its channels or for all."""
        code, (images, height, _) = self.code, self.kernel.extents
        with code.loop("b", images, shared and images > 1) as b:
            shared = shared and images == 1
            with code.loop("y", height, shared and height > 1) as y:
                self.row(b, y, panel, shared and height == 1)

    def row(self, image: Offset, y: Offset, panel: tuple[Offset, int] | None, shared: bool) -> None:
        """One row of pixels, for one panel and its channels or for all."""
        row = self.kernel.extents[2]
        for pixels in runs_of(self.lines.columns, row, self.plan.pixels):
            with self.code.loop("z", pixels.repeats, shared and pixels.repeats > 1) as z:
                place = (image, y, pixels.first + z * pixels.count)
                self._panels(pixels, place, panel, shared and row <= self.plan.pixels)

    def _panels(self, pixels: Run, place: Place, panel: tuple[Offset, int] | None, shared: bool) -> None:
        if panel is not None:
            self._tile(pixels, place, *panel)
            return
        whole, rest = divmod(self.kernel.channels, self.plan.columns)
        if whole:
            with self.code.loop("o", whole, shared and whole > 1) as o:
                self._tile(pixels, place, o, self.plan.columns)
        if rest:
            self._tile(pixels, place, whole, rest)

    def _tile(self, pixels: Run, place: Place, panel: Offset, channels: int) -> None:
        """The sums of a few pixels and one panel, then what is done with them."""
        code, plan, weights, (image, y, z) = self.code, self.plan, self.weights, place
        start = weights.base + image * weights.image + y * weights.line + panel * weights.panel
        steps = self.kernel.taps[0] * self.kernel.taps[1] * self.kernel.depth
        vectors = (filled_vectors if weights.filled else exact_vectors)(channels, plan.lanes)
        reach = (steps - 1) * weights.pitch + sum(vectors[-1])
        view = code.view("w", self.rows.of(weights.buffer), start, reach)
        x, pitch = self.rows.of(self.kernel.x.buffer), self.lines.columns.step * self.lines.columns.pitch
        writer = MatrixSums(code, plan, x, pitch, pixels.count, Panel(view, weights.pitch, vectors))
        sums = writer.start()
        for tap in self._taps(pixels, place):
            writer.add(sums, tap)
        epilogue = FloatEpilogue(code, self.kernel, self.rows, sums)
        for p in range(pixels.count):
            for first, lanes in exact_vectors(channels, plan.lanes):
                at = p * writer.panel.width + first
                epilogue.write(at, lanes, (image, y, z + p), panel * plan.columns + first)

    def _taps(self, pixels: Run, place: Place) -> Iterator[Tap]:
        """The steps of the sum; loops over equal ones are open while a tap is given."""
        kernel, rows, columns = self.kernel, self.lines.rows, self.lines.columns
        image, y, z = place
        top = rows.first + y * rows.step
        left = columns.first + z * columns.step
        origin = self.lines.base + image * self.lines.image + top * rows.pitch + left * columns.pitch
        seen = [
            tuple(p * columns.step + j * columns.apart in pixels.seen for p in range(pixels.count))
            for j in range(kernel.taps[1])
        ]
        per_row, apart = kernel.taps[1] * kernel.depth, columns.apart * columns.pitch
        if not any(any(own) for own in seen):
            return
        with self.code.loop("i", kernel.taps[0]) as i, self._where_inside(top + i * rows.apart):
            x, w = origin + i * (rows.apart * rows.pitch), i * per_row
            if not all(all(own) for own in seen):
                for j, own in enumerate(seen):
                    if any(own):
                        yield Tap(x + j * apart, w + j * kernel.depth, kernel.depth, own)
            elif kernel.taps[1] == 1 or kernel.depth == apart:
                yield Tap(x, w, per_row, seen[0])
            else:
                with self.code.loop("j", kernel.taps[1]) as j:
                    yield Tap(x + j * apart, w + j * kernel.depth, kernel.depth, seen[0])

    def _where_inside(self, line: Offset) -> AbstractContextManager[None]:
        """Statements for a row of the image, if some windows reach over the border: only where there is such a row."""
        rows, height, taps = self.lines.rows, self.kernel.extents[1], self.kernel.taps[0]
        last = rows.first + (height - 1) * rows.step + (taps - 1) * rows.apart
        if rows.inside(rows.first) and rows.inside(last):
            return nullcontext()
        assert rows.size is not None
        return self.code.when(tirx.And(number(line) >= number(0), number(line) < number(rows.size)))
