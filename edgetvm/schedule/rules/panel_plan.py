"""How many rows and columns a tile of a float product has, and whether filled panels pay."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.float_block import FLOAT_BYTES, block_sizes, divided_cost, step_cost

TILE_COST = 8  # operations that a tile costs besides those on its sums


@dataclass(frozen=True)
class PanelPlan:
    """Tiles of `rows` x `vectors` of `lanes` columns."""

    kernel: DotKernel
    machine: Machine
    rows: int
    vectors: int

    @property
    def lanes(self) -> int:
        return self.machine.lanes(FLOAT_BYTES)

    @property
    def columns(self) -> int:
        return self.vectors * self.lanes

    @property
    def panels(self) -> int:
        return -(-self.kernel.channels // self.columns)

    @property
    def pixels(self) -> int:
        """Rows that are multiplied."""
        border = self.kernel.border
        return self.kernel.pixels if border is None else math.prod(int(size) for size in border.image.shape[:3])

    @property
    def cost(self) -> float:
        """Operations of the whole kernel."""
        vectors = -(-self.kernel.channels // self.lanes)
        total = 0.0
        for rows, tiles in ((self.rows, self.pixels // self.rows), (self.pixels % self.rows, 1)):
            for wide, panels in ((self.vectors, vectors // self.vectors), (vectors % self.vectors, 1)):
                if rows and wide:
                    tile = self.kernel.depth * step_cost(rows, wide, self.machine) + 2 * rows * wide + TILE_COST
                    total += tiles * panels * tile
        return total

    @property
    def shared(self) -> bool:
        """Whether threads share the kernel."""
        least = self.machine.recipe.parallel_operations
        return bool(least) and self.kernel.products >= least


def choose_panels(kernel: DotKernel, machine: Machine) -> PanelPlan | None:
    """The cheapest tile; None where one that divides costs little more."""
    plans = [PanelPlan(kernel, machine, *block) for block in block_sizes(kernel.channels, machine)]
    best = min((plan for plan in plans if plan.rows <= plan.pixels), key=lambda plan: plan.cost)
    other = divided_cost(kernel.pixels, kernel.channels, kernel.depth, machine)
    return best if best.cost * 100 <= other * machine.recipe.panel_percent else None
