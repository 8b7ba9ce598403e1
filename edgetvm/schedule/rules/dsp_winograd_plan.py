"""Whether Winograd's tiles pay for an int8 3x3 convolution by DSP instructions, and how they are shared out.

All costs count instructions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tvm import tirx

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.dsp_block import block_sizes, step_cost
from edgetvm.schedule.rules.dsp_choice import cost_of, pieces, plan_of
from edgetvm.schedule.rules.dsp_panels import GROUP, DspWinogradPanels
from edgetvm.schedule.rules.dsp_plan import WORD_BYTES, Tile
from edgetvm.schedule.rules.dsp_words import PAIR, has_quads
from edgetvm.schedule.rules.winograd_grid import TileGrid
from edgetvm.schedule.rules.winograd_numbers import is_exact
from edgetvm.schedule.rules.winograd_transform import F2
from edgetvm.schedule.types import Tiles, TileSize, pick


@dataclass(frozen=True)
class DspWinogradPlan(TileGrid):
    """Tiles of `span` in a row at once; of `block.pixels` tiles by `block.channels` channels sums are in registers."""

    machine: Machine
    block: Tile

    @property
    def steps(self) -> int:
        """Words of the channels of one pixel."""
        return self.kernel.depth // PAIR

    @property
    def unrolled(self) -> int:
        """Steps of one body."""
        most = max(self.machine.recipe.dsp_unrolled // self.block.sums, 1)
        return max(n for n in range(1, most + 1) if self.steps % n == 0)

    @property
    def strip_words(self) -> int:
        return self.form.side * GROUP // PAIR * self.width

    @property
    def pitch(self) -> int:
        """Words from one position of the tiles to the next: ``[step][tile]``, then the sums, ``[channel][tile]``.

        One address serves both: there are only registers enough for two beside the sums.
        """
        return (self.steps + self.block.channels) * self.span

    @property
    def scratch_bytes(self) -> int:
        return WORD_BYTES * (self.strip_words + self.form.products * self.pitch)

    @property
    def packing(self) -> DspWinogradPanels:
        return DspWinogradPanels(self.block.channels)

    def packed(self) -> tirx.Buffer:
        """The transformed weights as a parameter."""
        words = self.form.products * self.steps * self.kernel.channels
        return tirx.decl_buffer((words,), "int32", name=self.kernel.w.name)


def choose_plan(kernel: DotKernel, machine: Machine) -> tuple[DspWinogradPlan, Tiles] | None:
    """The cheapest plan, and the costs of all; None where the direct convolution, or smaller weights, are wanted."""
    direct = plan_of(kernel, replace(machine, tile=None))
    plans = {TileSize(plan.block.pixels, plan.block.channels): plan for plan in plans_of(kernel, machine)}
    if not plans or direct is None or not is_exact(kernel) or not has_quads(kernel):
        return None
    tiles = {size: plan_cost(plan) for size, plan in plans.items()}
    limit = kernel.extents[0] * kernel.extents[1] * cost_of(direct) * machine.recipe.winograd_percent
    return (plans[pick(tiles, machine.tile)], tiles) if 100 * min(tiles.values()) <= limit else None


def plans_of(kernel: DotKernel, machine: Machine) -> Iterator[DspWinogradPlan]:
    """Every block that the registers hold, with the longest spans that divide a row and whose scratch is allowed."""
    for tiles, channels in block_sizes(-(-kernel.extents[2] // F2.outputs), kernel.channels):
        whole = DspWinogradPlan(kernel, F2, 1, 1, machine, Tile(tiles, channels))
        spans = [n for n in range(tiles, whole.tile_columns + 1) if whole.tile_columns % n == 0]
        plans = [replace(whole, span=span) for span in spans]
        fitting = [plan for plan in plans if plan.scratch_bytes <= machine.recipe.winograd_bytes]
        if fitting:
            yield fitting[-1]


def plan_cost(plan: DspWinogradPlan) -> float:
    """Instructions of the whole kernel."""
    kernel, form, recipe, side = plan.kernel, plan.form, plan.machine.recipe, plan.form.side
    parts, quads = GROUP // PAIR, kernel.depth // GROUP
    down = side * (1 + parts) + parts * (form.costs[0] + side) + recipe.dsp_loop
    across = side * (parts * (side / PAIR + form.costs[0] + side) + recipe.dsp_loop)
    transforms = quads * (plan.width * down + plan.span * across)
    products = 0.0
    for tiles, blocks in pieces(plan.span, plan.block.pixels):
        for channels, panels in pieces(kernel.channels, plan.block.channels):
            sums = Tile(tiles, channels).sums
            loops = recipe.dsp_loop * (plan.steps // plan.unrolled) + recipe.dsp_tile
            products += form.products * blocks * panels * (step_cost(tiles, channels) * plan.steps + sums + loops)
    pixel = form.outputs**2 * recipe.dsp_output + recipe.dsp_channel
    read = form.products / PAIR + form.costs[1] * (side + form.outputs)
    outputs = plan.span * kernel.channels * (read + pixel)
    return kernel.extents[0] * plan.tile_rows * plan.spans * (transforms + products + outputs)
