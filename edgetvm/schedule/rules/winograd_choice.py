"""Whether Winograd's tiles pay for a 3x3 convolution, and of which size.

All costs count operations on one vector: a multiply-add, an addition, a load or a store.
"""

from __future__ import annotations

from dataclasses import replace

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.matrix_plan import FLOAT_BYTES, matrix_plan
from edgetvm.schedule.rules.winograd_block import block_sizes, step_cost
from edgetvm.schedule.rules.winograd_plan import WinogradPlan
from edgetvm.schedule.rules.winograd_transform import FORMS, TAPS, Winograd

LINE_BYTES = 64
BLOCK_COST = 8  # operations that a block of products costs besides those on its sums


def choose_plan(kernel: DotKernel, machine: Machine) -> WinogradPlan | None:
    """The cheapest plan; None where the direct convolution, or smaller weights, are wanted."""
    recipe = machine.recipe
    forms = [form for form in FORMS if form.outputs <= recipe.winograd_side]
    plans = [plan for form in forms for plan in plans_of(kernel, form, machine)]
    best = min(plans, key=plan_cost, default=None)
    if best is None or plan_cost(best) * 100 > direct_cost(kernel, machine) * recipe.winograd_percent:
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


def plan_cost(plan: WinogradPlan) -> float:
    """Operations of the whole kernel."""
    kernel, form, machine, side = plan.kernel, plan.form, plan.machine, plan.form.side
    depth, channels = -(-kernel.depth // plan.lanes), -(-kernel.channels // plan.lanes)
    once = form.outputs * (2 * side + form.costs[0]) + side * (2 * side + form.costs[0])
    after = side * (side + form.costs[1]) + form.outputs * (form.costs[1] + 2 * form.outputs)
    block = plan.rows * plan.vectors
    step = step_cost(plan.rows, plan.vectors, machine)
    products = form.products * plan.panels * plan.blocks * (step * kernel.depth + 2 * block + BLOCK_COST)
    weights = FLOAT_BYTES * form.products * kernel.depth * plan.panels * plan.columns
    band = products + plan.tiles * (once * depth + after * channels)
    bands = kernel.extents[0] * plan.tile_rows / plan.band * plan.spans
    return bands * max(band, _memory_cost(weights, machine))


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
