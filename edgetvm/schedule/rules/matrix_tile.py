"""float32 convolution and matrix product with constant weights: a tile of sums in registers, without a copy.

Weights are packed in panels ``[N / NR][taps][K][NR]``. Rows and columns that are left over have tiles of their own.
Activations are read where they lie: outputs whose window reaches over the border have bodies of their own too, which
leave the taps out that see nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeAlias

from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import Rows, rows_of
from edgetvm.schedule.rules.depthwise_window import Lines, Run, lines_of, runs_of
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel, float_factors
from edgetvm.schedule.rules.float_epilogue import FloatEpilogue
from edgetvm.schedule.rules.matrix_plan import MatrixPlan, matrix_plan, vector_lengths
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, number, shuffle, store
from edgetvm.schedule.types import Constants, Loops

Vectors: TypeAlias = Sequence[tuple[int, int]]


def matrix_tile(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of such a kernel of float32; None for others and where there are no vectors."""
    if machine.vector_bytes == 0:
        return None
    kernel = dot_kernel(sch, list(constants), factors=float_factors)
    if kernel is None or kernel.out.channel != 1 or (kernel.border is not None and kernel.border.fill != 0):
        return None
    plan = matrix_plan(kernel, machine)
    func = sch.mod["main"]
    position = next(i for i, param in enumerate(func.params) if param.same_as(kernel.w))
    shape = [plan.panels, *(int(size) for size in kernel.w.shape[:-1]), plan.columns]
    packed = tirx.decl_buffer(shape, "float32", name=kernel.w.name)
    code = Code()
    _Writer(code, plan, rows_of(code, kernel, packed), lines_of(kernel, copied=False), packed).write()
    params = [packed if i == position else param for i, param in enumerate(func.params)]
    written = tirx.PrimFunc(params, code.statement(), func.ret_type, func.attrs)
    return Loops(written, {position: plan.packing})


@dataclass(frozen=True)
class _Tap:
    """Steps of the sum that follow one another in memory: `length` activations from `x`, weights from step `w`.

    `seen` tells for each pixel whether it reads them, or those that are outside of the image.
    """

    x: Offset
    w: Offset
    length: int
    seen: tuple[bool, ...]


@dataclass(frozen=True)
class _Writer:
    """Writes one kernel: rows of pixels, in each these tiles of pixels, in each panels of channels."""

    code: Code
    plan: MatrixPlan
    rows: Rows
    lines: Lines
    packed: tirx.Buffer

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
        code, (images, height, row) = self.code, self.kernel.extents
        with code.loop("b", images, shared and images > 1) as b:
            shared = shared and images == 1
            with code.loop("y", height, shared and height > 1) as y:
                inner = shared and height == 1
                for pixels in runs_of(self.lines.columns, row, self.plan.pixels):
                    with code.loop("z", pixels.repeats, inner and pixels.repeats > 1) as z:
                        place = (b, y, pixels.first + z * pixels.count)
                        self._panels(pixels, place, panel, inner and row <= self.plan.pixels)

    def _panels(
        self,
        pixels: Run,
        place: tuple[Offset, Offset, Offset],
        panel: tuple[Offset, int] | None,
        shared: bool,
    ) -> None:
        if panel is not None:
            self._tile(pixels, place, *panel)
            return
        whole, rest = divmod(self.kernel.channels, self.plan.columns)
        if whole:
            with self.code.loop("o", whole, shared and whole > 1) as number_:
                self._tile(pixels, place, number_, self.plan.columns)
        if rest:
            self._tile(pixels, place, whole, rest)

    def _tile(self, pixels: Run, place: tuple[Offset, Offset, Offset], panel: Offset, channels: int) -> None:
        """The sums of a few pixels and one panel, then what is done with them."""
        code, plan = self.code, self.plan
        vectors = _vectors(channels, plan.lanes)
        width = sum(lanes for _, lanes in vectors)
        sums = code.array("sums", pixels.count * width, "float32", "local")
        for p in range(pixels.count):
            for first, lanes in vectors:
                code.add(store(sums, p * width + first, constant(0.0, "float32", lanes)))
        steps = self.kernel.taps[0] * self.kernel.taps[1] * self.kernel.depth
        weights = code.view("w", self.rows.of(self.packed), panel * (steps * plan.columns), steps * plan.columns)
        for tap in self._taps(pixels, place):
            self._sum(sums, tap, weights, vectors)
        epilogue = FloatEpilogue(code, self.kernel, self.rows, sums)
        image, y, z = place
        for p in range(pixels.count):
            for first, lanes in _outputs(channels, plan.lanes):
                epilogue.write(p * width + first, lanes, (image, y, z + p), panel * plan.columns + first)

    def _taps(self, pixels: Run, place: tuple[Offset, Offset, Offset]) -> Iterator[_Tap]:
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
        per_row = kernel.taps[1] * kernel.depth
        joined = kernel.depth == columns.apart * columns.pitch and kernel.taps[1] > 1
        if not any(any(s) for s in seen):
            return
        with self.code.loop("i", kernel.taps[0]) as i, self._where_inside(top + i * rows.apart):
            x, w = origin + i * (rows.apart * rows.pitch), i * per_row
            if all(all(s) for s in seen):
                if joined or kernel.taps[1] == 1:
                    yield _Tap(x, w, per_row, seen[0])
                    return
                with self.code.loop("j", kernel.taps[1]) as j:
                    yield _Tap(x + j * (columns.apart * columns.pitch), w + j * kernel.depth, kernel.depth, seen[0])
                return
            for j, own in enumerate(seen):
                if any(own):
                    yield _Tap(x + j * (columns.apart * columns.pitch), w + j * kernel.depth, kernel.depth, own)

    def _where_inside(self, line: Offset) -> AbstractContextManager[None]:
        """Statements for a row of the image, if some windows reach over the border: only where there is such a row."""
        rows, height, taps = self.lines.rows, self.kernel.extents[1], self.kernel.taps[0]
        last = rows.first + (height - 1) * rows.step + (taps - 1) * rows.apart
        if rows.inside(rows.first) and rows.inside(last):
            return nullcontext()
        assert rows.size is not None
        return self.code.when(tirx.And(number(line) >= number(0), number(line) < number(rows.size)))

    def _sum(self, sums: tirx.Buffer, tap: _Tap, weights: tirx.Buffer, vectors: Vectors) -> None:
        """Add the products of one tap."""
        code, steps = self.code, self.plan.steps(tap.length)
        whole, rest = divmod(tap.length, steps)
        if whole:
            with code.loop("k", whole) as k:
                self._steps(sums, tap, k * steps, steps, weights, vectors)
        if rest:
            self._steps(sums, tap, whole * steps, rest, weights, vectors)

    def _steps(
        self, sums: tirx.Buffer, tap: _Tap, first: Offset, steps: int, weights: tirx.Buffer, vectors: Vectors
    ) -> None:
        code, plan = self.code, self.plan
        x, width = self.rows.of(self.kernel.x.buffer), sum(lanes for _, lanes in vectors)
        pitch = self.lines.columns.step * self.lines.columns.pitch
        pixels = [p for p, own in enumerate(tap.seen) if own]
        loaded: dict[int, tirx.Expr] = {}
        for step in range(steps):
            place = step % plan.group
            group = plan.group if step - place + plan.group <= steps else 1
            if group == 1 or place == 0:
                loaded = {p: code.let("x", load(x, tap.x + first + (p * pitch + step), group)) for p in pixels}
            at = (tap.w + first + step) * plan.columns
            columns = [code.let("w", load(weights, at + column, lanes)) for column, lanes in vectors]
            for p in pixels:
                for (column, lanes), weight in zip(vectors, columns, strict=True):
                    value = shuffle([loaded[p]], [place] * lanes) if group > 1 else _same(loaded[p], lanes)
                    total = load(sums, p * width + column, lanes) + value * weight
                    code.add(store(sums, p * width + column, total))


def _same(value: tirx.Expr, lanes: int) -> tirx.Expr:
    return tirx.Broadcast(value, lanes) if lanes > 1 else value


def _vectors(channels: int, lanes: int) -> Vectors:
    """(first channel, lanes) of the vectors of a panel."""
    lengths = vector_lengths(channels, lanes)
    return [(i * lanes, length) for i, length in enumerate(lengths)]


def _outputs(channels: int, lanes: int) -> Vectors:
    """The same of whole vectors, then of parts of one: only channels that exist are written."""
    pieces, done = [], 0
    while done < channels:
        while done + lanes > channels:
            lanes //= 2
        pieces.append((done, lanes))
        done += lanes
    return pieces
