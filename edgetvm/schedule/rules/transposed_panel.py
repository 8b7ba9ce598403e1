"""A panel of weights out of rows that lie along the sum: transposed in registers, a square of vectors at a time."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.channel_epilogue import Rows
from edgetvm.schedule.rules.depthwise_window import lines_of
from edgetvm.schedule.rules.matrix_plan import FLOAT_BYTES, MatrixPlan
from edgetvm.schedule.rules.matrix_sums import exact_vectors
from edgetvm.schedule.rules.matrix_writer import MatrixWriter, Weights
from edgetvm.schedule.rules.write_code import Code, Offset, load, shuffle, store


def write_transposed(code: Code, plan: MatrixPlan, rows: Rows, weights: Weights, apart: int) -> None:
    """Loops that lay out every panel first, of weights that lie along the sum, `apart` elements between columns."""
    kernel, width = plan.kernel, plan.columns
    (images, height, _), (whole, rest) = kernel.extents, divmod(kernel.channels, width)
    shared = plan.shared and kernel.depth * width * FLOAT_BYTES <= plan.machine.recipe.thread_stack_bytes

    def panel(b: Offset, y: Offset, o: Offset, columns: int) -> None:
        packed = code.array("panel", kernel.depth * width, "float32", "global")
        rows.views[packed] = packed
        source = rows.of(weights.buffer)
        start = weights.base + b * weights.image + y * weights.line + o * (width * apart)
        TransposedPanel(code, source, start, apart, kernel.depth, packed, width, plan.lanes).write(columns)
        laid_out = Weights(packed, 0, 0, 0, 0, width, filled=False)
        MatrixWriter(code, plan, rows, lines_of(kernel, copied=False), laid_out).row(b, y, (o, columns), False)

    outer = code.loop("b", images, shared), code.loop("y", height, shared and images == 1)
    with outer[0] as b, outer[1] as y:
        if whole:
            with code.loop("o", whole, shared and images == height == 1) as o:
                panel(b, y, o, width)
        if rest:
            panel(b, y, whole, rest)


@dataclass(frozen=True)
class TransposedPanel:
    """Writes ``target[k * width + n] = source[start + n * pitch + k]`` for `depth` values of k.

    `lanes` are those of a vector; source and target are rows of elements.
    """

    code: Code
    source: tirx.Buffer
    start: Offset
    pitch: int
    depth: int
    target: tirx.Buffer
    width: int
    lanes: int

    def write(self, columns: int) -> None:
        """All n below `columns`."""
        whole = columns // self.lanes
        if whole:
            with self.code.loop("n", whole) as n:
                self._strip(n * self.lanes, self.lanes)
        for first, size in exact_vectors(columns - whole * self.lanes, self.lanes):
            self._strip(whole * self.lanes + first, size)

    def _strip(self, first: Offset, size: int) -> None:
        """`size` values of n: squares, then single elements."""
        code, (whole, rest) = self.code, divmod(self.depth, size)
        if whole:
            with code.loop("k", whole) as k:
                self._square(first, k * size, size)
        if rest:
            with code.loop("k", rest) as k, code.loop("n", size) as n:
                self._square(first + n, k + whole * size, 1)

    def _square(self, first: Offset, k: Offset, size: int) -> None:
        """`size` x `size` elements. Halves interleaved as often as the size has bits are rows made columns."""
        code = self.code
        rows = [code.let("r", load(self.source, self.start + (first + i) * self.pitch + k, size)) for i in range(size)]
        low = [lane for i in range(size // 2) for lane in (i, size + i)]
        high = [lane + size // 2 for lane in low]
        for _ in range(size.bit_length() - 1):
            pairs = list(zip(rows[: size // 2], rows[size // 2 :], strict=True))
            rows = [code.let("r", shuffle([a, b], half)) for a, b in pairs for half in (low, high)]
        for i, row in enumerate(rows):
            code.add(store(self.target, (k + i) * self.width + first, row))
