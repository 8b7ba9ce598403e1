"""Whether Winograd's tiles pay for an int8 3x3 convolution on NEON without dot product.

All costs count instructions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.neon_plan import plan_tiles
from edgetvm.schedule.rules.winograd_choice import plans_of
from edgetvm.schedule.rules.winograd_numbers import WORDS, is_exact
from edgetvm.schedule.rules.winograd_plan import WinogradPlan
from edgetvm.schedule.rules.winograd_transform import F2
from edgetvm.schedule.types import Tiles, TileSize, pick


def choose_plan(
    kernel: DotKernel, machine: Machine, weights: Sequence[np.ndarray]
) -> tuple[WinogradPlan, Tiles] | None:
    """The cheapest plan of a block of sums, and what all blocks cost, each in its cheapest; None where the direct
    convolution, or smaller weights, are wanted.
    """
    plans: dict[TileSize, WinogradPlan] = {}
    for plan in sorted(plans_of(kernel, F2, machine, WORDS), key=plan_cost):
        plans.setdefault(TileSize(plan.rows, plan.columns), plan)
    if not plans or not is_exact(kernel):
        return None
    assert machine.neon is not None
    tiles = {size: plan_cost(plan) for size, plan in plans.items()}
    direct = plan_tiles(kernel, Neon(machine.neon), replace(machine, tile=None), weights).tiles
    limit = min(direct.values()) * kernel.products * machine.recipe.neon_winograd
    return (plans[pick(tiles, machine.tile)], tiles) if 100 * min(tiles.values()) <= limit else None


def plan_cost(plan: WinogradPlan) -> float:
    """Instructions of the whole kernel."""
    kernel, form, side, recipe = plan.kernel, plan.form, plan.form.side, plan.machine.recipe
    depth, channels = -(-kernel.depth // plan.lanes), -(-kernel.channels // plan.lanes)
    # Codes are loaded and widened for two columns a tile, and cells go through the strip.
    once = form.outputs * (3 * side + form.costs[0]) + side * (2 * side + form.costs[0])
    pixel = form.costs[1] + 2 * (recipe.neon_epilogue + 1) + recipe.neon_narrow
    after = 2 * side * (side + form.costs[1]) + form.outputs * (2 * form.costs[1] + form.outputs * pixel)
    sums = 2 * plan.rows * plan.vectors
    step = sums + plan.vectors + plan.rows / plan.lanes
    block = step * kernel.depth + 2 * sums + recipe.winograd_block
    band = form.products * plan.panels * plan.blocks * block + plan.tiles * (once * depth + after * channels)
    return kernel.extents[0] * plan.bands * plan.spans * band
