"""`matrix_tile` for sums in half precision: vectors of twice as many numbers."""

from __future__ import annotations

import math
from dataclasses import replace

from tvm import s_tir, tirx
from tvm.ir import TensorLoad
from tvm.s_tir import Schedule

from edgetvm.schedule import analysis as facts
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import Place, rows_of
from edgetvm.schedule.rules.depthwise_window import Run, lines_of
from edgetvm.schedule.rules.dot_kernel import dot_kernel
from edgetvm.schedule.rules.float_epilogue import FloatEpilogue
from edgetvm.schedule.rules.matrix_plan import matrix_plan
from edgetvm.schedule.rules.matrix_sums import MatrixSums, Panel, exact_vectors, filled_vectors
from edgetvm.schedule.rules.matrix_writer import MatrixWriter, Weights
from edgetvm.schedule.rules.write_code import Code, Offset, constant, store
from edgetvm.schedule.types import Constants, Loops

HALF = "float16"


def half_tile(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of a convolution or product of float16 with constant weights; None for others."""
    if machine.vector_bytes == 0:
        return None
    kernel = dot_kernel(sch, list(constants), factors=half_factors)
    if kernel is None or kernel.out.channel != 1 or (kernel.border is not None and kernel.border.fill != 0):
        return None
    # The plan counts numbers of four bytes: vectors twice as wide hold as many as there are halves in one.
    plan = matrix_plan(kernel, replace(machine, vector_bytes=2 * machine.vector_bytes))
    func = sch.mod["main"]
    position = next(i for i, param in enumerate(func.params) if param.same_as(kernel.w))
    kept = [int(size) for size in kernel.w.shape[:-1]]
    packed = tirx.decl_buffer((plan.panels, *kept, plan.columns), HALF, name=kernel.w.name)
    weights = Weights(packed, 0, 0, 0, math.prod(kept) * plan.columns, plan.columns, filled=True)
    code = Code()
    _HalfWriter(code, plan, rows_of(code, kernel, packed), lines_of(kernel, copied=False), weights).write()
    params = [packed if i == position else param for i, param in enumerate(func.params)]
    written = tirx.PrimFunc(params, code.statement(), func.ret_type, func.attrs)
    return Loops(written, {position: plan.packing})


def half_factors(main: s_tir.SBlock) -> tuple[TensorLoad, TensorLoad] | None:
    """The two loads of ``acc = acc + x * w`` in float16."""
    sum_ = facts.store_of(main)
    if sum_ is None or str(sum_.buffer.dtype) != HALF or not isinstance(sum_.value, tirx.Add):
        return None
    total, product = sum_.value.a, sum_.value.b
    if not isinstance(total, TensorLoad) or not total.source.same_as(sum_.buffer) or not isinstance(product, tirx.Mul):
        return None
    if not isinstance(product.a, TensorLoad) or not isinstance(product.b, TensorLoad):
        return None
    return product.a, product.b


class _HalfSums(MatrixSums):
    """Sums of one tile."""

    def start(self) -> tirx.Buffer:
        """Sums of nothing."""
        sums = self.code.array("sums", self.pixels * self.panel.width, HALF, "local")
        for p in range(self.pixels):
            for first, lanes in self.panel.vectors:
                self.code.add(store(sums, p * self.panel.width + first, constant(0.0, HALF, lanes)))
        return sums


class _HalfWriter(MatrixWriter):
    """Writes one kernel."""

    def _tile(self, pixels: Run, place: Place, panel: Offset, channels: int) -> None:
        code, plan, weights, (image, y, z) = self.code, self.plan, self.weights, place
        vectors = filled_vectors(channels, plan.lanes)
        view = code.view("w", self.rows.of(weights.buffer), panel * weights.panel, weights.panel)
        x, pitch = self.rows.of(self.kernel.x.buffer), self.lines.columns.step * self.lines.columns.pitch
        writer = _HalfSums(code, plan, x, pitch, pixels.count, Panel(view, weights.pitch, vectors))
        sums = writer.start()
        for tap in self._taps(pixels, place):
            writer.add(sums, tap)
        epilogue = FloatEpilogue(code, self.kernel, self.rows, sums)
        for p in range(pixels.count):
            for first, lanes in exact_vectors(channels, plan.lanes):
                at = p * writer.panel.width + first
                epilogue.write(at, lanes, (image, y, z + p), panel * plan.columns + first)
