"""Whether a 3x3 convolution is computed by Winograd's tiles, of which size, and how they are shared out.

All costs count operations on one vector: a multiply-add, an addition, a load or a store.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tvm import tirx

from edgetvm.schedule.packing import WinogradPanels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.matrix_plan import FLOAT_BYTES, matrix_plan
from edgetvm.schedule.rules.register_tile import THREAD_STACK_BYTES
from edgetvm.schedule.rules.winograd_block import block_sizes, step_cost
from edgetvm.schedule.rules.winograd_transform import FORMS, TAPS, Winograd

LINE_BYTES = 64
SHARES = 3  # bands at least that threads share; fewer leave them idle
BLOCK_COST = 8  # operations that a block of products costs besides those on its sums


@dataclass(frozen=True)
class WinogradPlan:
    """A kernel in tiles of `form`.

    band     rows of tiles that are transformed together
    span     tiles of each of these rows: all, or a part where scratch is short
    rows     tiles of a block of products, whose sums are in registers
    vectors  of `lanes` output channels beside them
    """

    kernel: DotKernel
    form: Winograd
    machine: Machine
    band: int
    span: int
    rows: int
    vectors: int

    @property
    def lanes(self) -> int:
        return self.machine.lanes(FLOAT_BYTES)

    @property
    def columns(self) -> int:
        """Output channels of a panel of weights."""
        return self.vectors * self.lanes

    @property
    def panels(self) -> int:
        return -(-self.kernel.channels // self.columns)

    @property
    def tile_rows(self) -> int:
        return -(-self.kernel.extents[1] // self.form.outputs)

    @property
    def tile_columns(self) -> int:
        return -(-self.kernel.extents[2] // self.form.outputs)

    @property
    def bands(self) -> int:
        return -(-self.tile_rows // self.band)

    @property
    def spans(self) -> int:
        return -(-self.tile_columns // self.span)

    @property
    def tiles(self) -> int:
        """Tiles that are transformed together."""
        return self.band * self.span

    @property
    def blocks(self) -> int:
        """Blocks of a band; the last may repeat tiles of the one before."""
        return -(-self.tiles // self.rows)

    @property
    def width(self) -> int:
        """Columns of the image that a span of tiles reads."""
        return self.span * self.form.outputs + TAPS - 1

    @property
    def strip_floats(self) -> int:
        """A span of tiles, transformed along the columns, of one vector of channels."""
        return self.form.side * self.width * self.lanes

    @property
    def tile_pitch(self) -> int:
        """Elements between the transformed inputs of one position and the next: never a multiple of a page."""
        return self.tiles * self.kernel.depth + self.lanes

    @property
    def sum_pitch(self) -> int:
        """The same of the sums of a panel."""
        return self.tiles * self.columns + self.lanes

    @property
    def scratch_bytes(self) -> int:
        """Bytes of everything that a band keeps in memory."""
        pitches = self.tile_pitch + self.sum_pitch
        return FLOAT_BYTES * (self.strip_floats + self.form.products * pitches)

    @property
    def packing(self) -> WinogradPanels:
        return WinogradPanels(self.form.outputs, self.columns)

    def packed(self) -> tirx.Buffer:
        """The transformed weights as a parameter."""
        shape = (self.panels, self.form.products, self.kernel.depth, self.columns)
        return tirx.decl_buffer(shape, "float32", name=self.kernel.w.name)

    @property
    def multiply_adds(self) -> int:
        tiles = self.kernel.extents[0] * self.tile_rows * self.tile_columns
        return tiles * self.form.products * self.kernel.depth * self.kernel.channels

    @property
    def shared(self) -> str | None:
        """What threads share, if the kernel is worth it: bands, with scratch on their stacks, or panels of a band."""
        least = self.machine.recipe.parallel_operations
        if not least or self.multiply_adds < least:
            return None
        if self.kernel.extents[0] * self.bands >= SHARES and self.scratch_bytes <= THREAD_STACK_BYTES:
            return "bands"
        small = FLOAT_BYTES * max(self.form.products * self.sum_pitch, self.strip_floats) <= THREAD_STACK_BYTES
        return "panels" if self.panels > 1 and small else None

    @property
    def cost(self) -> float:
        """Operations of the whole kernel."""
        kernel, form, side = self.kernel, self.form, self.form.side
        depth, channels = -(-kernel.depth // self.lanes), -(-kernel.channels // self.lanes)
        once = form.outputs * (2 * side + form.costs[0]) + side * (2 * side + form.costs[0])
        after = side * (side + form.costs[1]) + form.outputs * (form.costs[1] + 2 * form.outputs)
        block = self.rows * self.vectors
        step = step_cost(self.rows, self.vectors, self.machine)
        products = form.products * self.panels * self.blocks * (step * kernel.depth + 2 * block + BLOCK_COST)
        weights = FLOAT_BYTES * form.products * kernel.depth * self.panels * self.columns
        band = products + self.tiles * (once * depth + after * channels)
        bands = kernel.extents[0] * self.tile_rows / self.band * self.spans
        return bands * max(band, _memory_cost(weights, self.machine))


def choose_plan(kernel: DotKernel, machine: Machine) -> WinogradPlan | None:
    """The cheapest plan; None where the direct convolution, or smaller weights, are wanted."""
    recipe = machine.recipe
    forms = [form for form in FORMS if form.outputs <= recipe.winograd_side]
    plans = [plan for form in forms for plan in plans_of(kernel, form, machine)]
    best = min(plans, key=lambda plan: plan.cost, default=None)
    if best is None or best.cost * 100 > direct_cost(kernel, machine) * recipe.winograd_percent:
        return None
    return best


def plans_of(kernel: DotKernel, form: Winograd, machine: Machine) -> list[WinogradPlan]:
    """Every block of sums that the registers hold, with bands large enough to share weights, within the scratch."""
    plans = [
        _within(WinogradPlan(kernel, form, machine, 1, 1, rows, vectors), machine.recipe.winograd_bytes)
        for rows, vectors in block_sizes(kernel.channels, machine)
    ]
    return [plan for plan in plans if plan.rows <= plan.tiles]


def _within(plan: WinogradPlan, scratch: int) -> WinogradPlan:
    """The plan with as few tiles at a time as share their weights well, and fewer where `scratch` bytes are too few."""
    spans = next(n for n in range(1, plan.tile_columns + 1) if _fits(_in_spans(plan, n), scratch))
    plan = _in_spans(plan, spans)
    for band in range(2, plan.tile_rows + 1):
        more = replace(plan, band=band)
        if spans > 1 or plan.tiles >= plan.machine.recipe.winograd_tiles or not _fits(more, scratch):
            break
        plan = more
    return plan


def _in_spans(plan: WinogradPlan, spans: int) -> WinogradPlan:
    return replace(plan, span=-(-plan.tile_columns // spans))


def _fits(plan: WinogradPlan, scratch: int) -> bool:
    return plan.scratch_bytes <= scratch or plan.tiles == 1


def direct_cost(kernel: DotKernel, machine: Machine) -> float:
    """Operations of the direct convolution by `matrix_tile`. Half vectors, which it prefers for few channels, are two
    at once.
    """
    plan, (images, height, width) = matrix_plan(kernel, machine), kernel.extents
    wide, channels = -(-plan.columns // plan.lanes), -(-kernel.channels // plan.lanes)
    step = sum(
        rows_count * panels * step_cost(rows, vectors, machine)
        for rows, rows_count in ((plan.pixels, width // plan.pixels), (width % plan.pixels, 1))
        for vectors, panels in ((wide, channels // wide), (channels % wide, 1))
        if rows and vectors
    )
    weights = FLOAT_BYTES * TAPS**2 * kernel.depth * kernel.channels
    whole = machine.lanes(FLOAT_BYTES) // plan.lanes
    return max(images * height * TAPS**2 * kernel.depth * step / whole, _memory_cost(weights, machine))


def _memory_cost(weights: int, machine: Machine) -> float:
    """What weights that no cache keeps cost: all are read from memory, while others are in use."""
    if not machine.cache_bytes or weights <= machine.cache_bytes[-1]:
        return 0.0
    return weights / LINE_BYTES * machine.recipe.line_operations
