"""Whether Winograd's tiles pay for a 3x3 convolution, and of which size.

All costs count operations on one vector: a multiply-add, an addition, a load or a store.
"""

from __future__ import annotations

from dataclasses import replace

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.matrix_plan import FLOAT_BYTES, matrix_plan
from edgetvm.schedule.rules.winograd_block import block_sizes, step_cost
from edgetvm.schedule.rules.winograd_numbers import FLOATS, Numbers
from edgetvm.schedule.rules.winograd_plan import WinogradPlan
from edgetvm.schedule.rules.winograd_transform import FORMS, TAPS, Winograd
from edgetvm.schedule.types import Tiles, TileSize, pick

LINE_BYTES = 64


def choose_plan(kernel: DotKernel, machine: Machine) -> tuple[WinogradPlan, Tiles] | None:
    """The cheapest plan of a block of sums, and what all blocks cost, each in its cheapest; None where the direct
    convolution, or smaller weights, are wanted.
    """
    recipe = machine.recipe
    forms = [form for form in FORMS if form.outputs <= recipe.winograd_side]
    plans: dict[TileSize, WinogradPlan] = {}
    for plan in sorted((plan for form in forms for plan in plans_of(kernel, form, machine)), key=plan_cost):
        plans.setdefault(TileSize(plan.rows, plan.columns), plan)
    tiles = {size: plan_cost(plan) for size, plan in plans.items()}
    if not tiles or min(tiles.values()) * 100 > direct_cost(kernel, machine) * recipe.winograd_percent:
        return None
    return plans[pick(tiles, machine.tile)], tiles


def plans_of(kernel: DotKernel, form: Winograd, machine: Machine, numbers: Numbers = FLOATS) -> list[WinogradPlan]:
    """Every block of sums that the registers hold, in bands large enough to share weights, within the scratch.

    Weights that no cache keeps are read again for every band: for them also in the largest bands.
    """
    plans: list[WinogradPlan] = []
    for rows, vectors in block_sizes(kernel.channels, machine, numbers):
        plan = WinogradPlan(kernel, form, 1, 1, machine, rows, vectors, numbers)
        plans.append(_within(plan, machine.recipe.winograd_tiles))
        if _memory_cost(_weight_bytes(plan), machine):
            plans.append(_within(plan, plan.tile_rows * plan.tile_columns))
    return [plan for plan in plans if plan.rows <= plan.tiles]


def _within(plan: WinogradPlan, tiles: int) -> WinogradPlan:
    """The plan with at least so many tiles at a time, fewer where scratch is short."""
    spans = next(n for n in range(1, plan.tile_columns + 1) if _fits(_in_spans(plan, n)))
    plan = _in_spans(plan, spans)
    for band in range(2, plan.tile_rows + 1):
        more = replace(plan, band=band)
        if spans > 1 or plan.tiles >= tiles or not _fits(more):
            break
        plan = more
    return plan


def _in_spans(plan: WinogradPlan, spans: int) -> WinogradPlan:
    return replace(plan, span=-(-plan.tile_columns // spans))


def _fits(plan: WinogradPlan) -> bool:
    """Whether the scratch is as small as the recipe wants it, and leaves half of the last cache to weights."""
    machine, most = plan.machine, plan.machine.recipe.winograd_bytes
    if machine.cache_bytes:
        most = min(most, machine.cache_bytes[-1] // 2)
    return plan.scratch_bytes <= most or plan.tiles == 1


def plan_cost(plan: WinogradPlan) -> float:
    """Operations of the whole kernel."""
    kernel, form, machine, side = plan.kernel, plan.form, plan.machine, plan.form.side
    depth, channels = -(-kernel.depth // plan.lanes), -(-kernel.channels // plan.lanes)
    once = form.outputs * (2 * side + form.costs[0]) + side * (2 * side + form.costs[0])
    after = side * (side + form.costs[1]) + form.outputs * (form.costs[1] + 2 * form.outputs)
    block = plan.rows * plan.vectors
    step = step_cost(plan.rows, plan.vectors, machine)
    products = (
        form.products * plan.panels * plan.blocks * (step * kernel.depth + 2 * block + machine.recipe.winograd_block)
    )
    band = products + plan.tiles * (once * depth + after * channels)
    computed = kernel.extents[0] * plan.tile_rows / plan.band * plan.spans * band
    bands = kernel.extents[0] * plan.bands * plan.spans
    return _beside(computed, bands * _memory_cost(_weight_bytes(plan), machine), machine)


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
    computed = images * height * TAPS**2 * kernel.depth * step / whole
    return _beside(computed, _memory_cost(weights, machine), machine)


def _beside(computed: float, moved: float, machine: Machine) -> float:
    """What both cost that run beside each other, if for the most part."""
    return max(computed, moved) + min(computed, moved) / machine.recipe.winograd_overlap


def _weight_bytes(plan: WinogradPlan) -> int:
    return plan.numbers.element_bytes * plan.form.products * plan.kernel.depth * plan.panels * plan.columns


def _memory_cost(weights: int, machine: Machine) -> float:
    """What weights that no cache keeps cost: all are read from memory, while others are in use."""
    if not machine.cache_bytes or weights <= machine.cache_bytes[-1]:
        return 0.0
    return weights / LINE_BYTES * machine.recipe.line_operations
