"""Float matrix products and 1x1 convolutions whose rows or columns no good tile divides: 169 rows, 1000 columns.

Weights lie in panels that are filled up with zeros. The last rows and the last panel have tiles of their own. Around
an image with a border of zeros nothing is multiplied: its pixels are what the epilogue makes of 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx
from tvm.s_tir import Schedule

from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.channel_epilogue import ChannelEpilogue, Place, Rows, rows_of
from edgetvm.schedule.rules.dot_epilogue import can_lift
from edgetvm.schedule.rules.dot_kernel import DotKernel, dot_kernel, float_factors
from edgetvm.schedule.rules.float_block import FloatBlock
from edgetvm.schedule.rules.panel_plan import PanelPlan, choose_panels
from edgetvm.schedule.rules.write_code import Code, Offset, constant, number, piece
from edgetvm.schedule.types import Constants, Loops


def float_panels(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """Write the loops of one such product; None where it is none, or where other tiles do as well."""
    if not machine.vector_bytes:
        return None
    kernel = dot_kernel(sch, tuple(constants), factors=float_factors)
    if kernel is None or not is_product(kernel) or not can_lift(kernel.value):
        return None
    plan = choose_panels(kernel, machine)
    if plan is None:
        return None
    kept = [int(size) for size in kernel.w.shape[:-1]]
    packed = tirx.decl_buffer((plan.panels, *kept, plan.columns), "float32", name=kernel.w.name)
    old = list(sch.mod["main"].params)
    code = Code()
    _Writer(code, plan, rows_of(code, kernel, packed), packed).write()
    func = tirx.PrimFunc([packed if param.same_as(kernel.w) else param for param in old], code.statement())
    position = next(i for i, param in enumerate(old) if param.same_as(kernel.w))
    return Loops(func.with_attr("global_symbol", "main"), {position: Panels(plan.columns)})


def is_product(kernel: DotKernel) -> bool:
    """Whether rows lie one behind the other, of a matrix or of an image with at most a border of zeros."""
    if kernel.taps != (1, 1):
        return False
    if kernel.border is None:
        return kernel.extents[0] * kernel.extents[1] == 1
    shape = tuple(int(size) for size in kernel.border.padded.shape)
    strides = (shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3])
    steps = tuple(step if extent > 1 else 0 for step, extent in zip(strides, kernel.extents, strict=True))
    return (*kernel.extents, kernel.depth) == shape and kernel.x.rows == steps and kernel.border.fill == 0


@dataclass(frozen=True)
class _Writer:
    """Writes one kernel: panels of columns, in each tiles of rows."""

    code: Code
    plan: PanelPlan
    rows: Rows
    packed: tirx.Buffer

    def write(self) -> None:
        """The whole function."""
        plan = self.plan
        whole, rest = divmod(plan.kernel.channels, plan.columns)
        by_panel = plan.shared and whole > 1
        if whole:
            with self.code.loop("o", whole, by_panel) as panel:
                self._panel(panel, plan.columns, plan.shared and not by_panel)
        if rest:
            self._panel(whole, rest, plan.shared)
        if plan.kernel.border is not None:
            self._border()

    def _panel(self, panel: Offset, channels: int, shared: bool) -> None:
        code, plan = self.code, self.plan
        size = plan.kernel.depth * plan.columns
        weights = code.view("w", self.rows.of(self.packed), panel * size, size)
        whole, rest = divmod(plan.pixels, plan.rows)
        with code.loop("r", whole, shared) as r:
            self._tile(weights, r * plan.rows, plan.rows, panel * plan.columns, channels)
        if rest:
            self._tile(weights, whole * plan.rows, rest, panel * plan.columns, channels)

    def _tile(self, weights: tirx.Buffer, first: Offset, rows: int, channel: Offset, channels: int) -> None:
        code, plan, kernel = self.code, self.plan, self.plan.kernel
        pitch = kernel.x.rows[2] if kernel.border is None else kernel.depth
        wide = -(-channels // plan.lanes)
        block = FloatBlock(code, plan.machine, rows, wide, kernel.depth, pitch, plan.columns)
        start = kernel.x.base if kernel.border is None else 0
        sums = block.write(self.rows.of(kernel.x.buffer), start + first * pitch, weights)
        epilogue = self._epilogue()
        for i, row in enumerate(sums):

            def some(first: int, lanes: int, row: list[tirx.Expr] = row) -> tirx.Expr:
                return piece(row, first, lanes)

            epilogue.write(some, self._place(first + i), channel, channels, biased=False)

    def _place(self, row: Offset) -> Place:
        """The pixel of the output that a row makes."""
        border = self.plan.kernel.border
        if border is None:
            return 0, 0, row
        _, height, width, _ = (int(size) for size in border.image.shape)
        line = tirx.floordiv(number(row), number(width))
        image, y = tirx.floordiv(line, number(height)), tirx.floormod(line, number(height))
        return image, y + border.top, tirx.floormod(number(row), number(width)) + border.left

    def _border(self) -> None:
        """The pixels around the image."""
        code, plan, kernel = self.code, self.plan, self.plan.kernel
        border = kernel.border
        assert border is not None
        _, height, width, _ = (int(size) for size in border.image.shape)
        images, rows, columns = kernel.extents
        with code.loop("b", images) as b, code.loop("y", rows) as y, code.loop("z", columns) as z:
            row, column = number(y - border.top), number(z - border.left)
            above = tirx.Or(row < number(0), row >= number(height))
            beside = tirx.Or(column < number(0), column >= number(width))
            with code.when(tirx.Or(above, beside)):
                whole, rest = divmod(kernel.channels, plan.lanes)
                if whole:
                    with code.loop("c", whole) as c:
                        self._epilogue().write(_zeros, (b, y, z), c * plan.lanes, plan.lanes, biased=False)
                if rest:
                    self._epilogue().write(_zeros, (b, y, z), whole * plan.lanes, rest, biased=False)

    def _epilogue(self) -> ChannelEpilogue:
        widths = tuple(width for width in (16, 8, 4, 2, 1) if width <= self.plan.lanes)
        return ChannelEpilogue(self.code, self.plan.kernel, self.rows, widths, None, {})


def _zeros(_first: int, lanes: int) -> tirx.Expr:
    return constant(0.0, "float32", lanes)
