"""How an int8 kernel is cut for DSP instructions: every tile and every way to its activations, by instructions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.dot_plan import copy_limit, fold_rows
from edgetvm.schedule.rules.dsp_block import block_sizes, step_cost
from edgetvm.schedule.rules.dsp_plan import WORD_BYTES, DspPlan, Tile
from edgetvm.schedule.rules.dsp_words import (
    BYTE,
    PAIR,
    Image,
    Words,
    has_quads,
    image_of,
    in_pixels,
    in_place,
    in_rows,
    loads_of,
)
from edgetvm.schedule.rules.nibbles import NIBBLE
from edgetvm.schedule.rules.pair_arithmetic import pair_costs
from edgetvm.schedule.types import TileSize, pick

ADDRESSES = 3  # of activations, of weights, and the end of one of them


def plan_of(kernel: DotKernel, machine: Machine, nibbles: bool = False) -> DspPlan | None:
    """Decide everything; None for a window that moves otherwise than over an image.

    `nibbles` tells that weights fit 4 bits: then they are held so, if bodies of whole words can be had.
    """
    windowed = kernel.border is not None or kernel.taps != (1, 1)
    image = image_of(kernel) if windowed else None
    if windowed and image is None:
        return None
    most = machine.recipe.scalar_accumulators
    tiles = [Tile(p, c) for p in range(1, min(kernel.extents[2], most) + 1) for c in range(1, most // p + 1)]
    tiles = [tile for tile in tiles if tile.channels <= kernel.channels]
    plans = [DspPlan(kernel, machine, tile, words, 1) for tile in tiles for words in _ways(kernel, image, tile)]
    narrow = [replace(plan, bits=NIBBLE) for plan in plans] if nibbles else []
    fitting = [plan for plan in narrow if plan.whole_words] or plans
    plans = _widened(fitting, [*plans, *_apart(kernel, machine, image)])
    costs = _costs(plans)
    size = pick(costs, machine.tile)
    plan = replace(min((plan for plan in plans if plan.size == size), key=cost_of), tiles=costs)
    if image is None:
        return replace(plan, kernel=fold_rows(kernel, plan.tile.pixels))
    if not plan.words.copied:
        return plan
    band = band_of(kernel, machine, image)
    plan = replace(plan, band=band, words=in_rows(kernel, image, band, plan.words.shared > 1, plan.words.apart))
    return plan if plan.whole_words else plan_of(kernel, machine)


def _costs(plans: Iterable[DspPlan]) -> dict[TileSize, float]:
    """What each tile costs in its best plan."""
    costs: dict[TileSize, float] = {}
    for plan in plans:
        costs[plan.size] = min(cost_of(plan), costs.get(plan.size, math.inf))
    return costs


def _widened(narrow: list[DspPlan], plans: list[DspPlan]) -> list[DspPlan]:
    """`plans` with weights of 16 bits, if the best of them is enough better than that of `narrow`; else `narrow`."""
    percent = narrow[0].machine.recipe.wide_percent
    if not percent:
        return narrow
    wide = [replace(plan, bits=2 * BYTE) for plan in plans]
    pays = 100 * min(map(cost_of, wide)) <= percent * min(map(cost_of, narrow))
    return wide if pays else narrow


def _apart(kernel: DotKernel, machine: Machine, image: Image | None) -> Iterator[DspPlan]:
    """Blocks of words, for weights of 16 bits and DSP instructions."""
    if not machine.dsp or not has_quads(kernel) or kernel.pixels == 1:
        return
    for pixels, channels in block_sizes(kernel.extents[2], kernel.channels):
        words = in_pixels(kernel, pixels, True) if image is None else in_rows(kernel, image, 1, False, True)
        yield DspPlan(kernel, machine, Tile(pixels, channels), words, 1)


def _ways(kernel: DotKernel, image: Image | None, tile: Tile) -> Iterator[Words]:
    as_they_lie = in_place(kernel)
    if as_they_lie is not None:
        yield as_they_lie
        if kernel.pixels == 1:
            return  # a copy takes more memory than the activations, and serves one row
    if image is None:
        yield in_pixels(kernel, tile.pixels)
        return
    yield in_rows(kernel, image, 1, shared=False)
    if kernel.taps[1] > 1 and tile.channels == 1:
        yield in_rows(kernel, image, 1, shared=True)


def band_of(kernel: DotKernel, machine: Machine, image: Image) -> int:
    """Rows of outputs that one copy serves: what is copied twice is less, as long as the copy is small."""
    limit, rows = copy_limit(kernel, machine), kernel.extents[1]
    bands = [d for d in range(1, rows + 1) if rows % d == 0]
    return max((d for d in bands if in_rows(kernel, image, d, False).words * WORD_BYTES <= limit), default=1)


def cost_of(plan: DspPlan) -> float:
    """Instructions of one row of outputs in closed form."""
    kernel, tile, words = plan.kernel, plan.tile, plan.words
    total = 0.0
    for pixels, rows in pieces(kernel.extents[2], tile.pixels):
        for channels, panels in pieces(kernel.channels, tile.channels):
            total += rows * panels * _tile_cost(plan, Tile(pixels, channels))
    if not words.copied:
        return total
    copied = words.rows * words.pixels if words.image is not None else kernel.extents[2]
    return total + copied * words.depth * (1.25 if words.quads else 2.5)


def pieces(extent: int, size: int) -> list[tuple[int, int]]:
    """Sizes of the pieces of `extent`, and how many there are."""
    return [(piece, count) for piece, count in ((size, extent // size), (extent % size, 1)) if piece and count]


def _tile_cost(plan: DspPlan, tile: Tile) -> float:
    recipe, words, costs = plan.machine.recipe, plan.words, pair_costs(plan.machine)
    if words.apart:
        return _with_loops(plan, tile, step_cost(tile.pixels, tile.channels, words.step))
    wide = plan.bits > BYTE
    widening = 0 if wide else costs.widening
    if words.shared > 1 or (words.copied and tile.channels <= tile.pixels):
        weights = float(words.shared * tile.channels * (1 + widening))
        activations = len(loads_of(words, tile.pixels)) / PAIR
        held = words.pairs * tile.channels + (1 if words.shared > 1 else PAIR)
    else:
        weights = tile.channels * (1 if wide else 1 / PAIR + widening)
        activations = tile.pixels * (1 if words.copied else costs.reading)
        held = PAIR * tile.pixels + PAIR + 1
    if plan.bits == NIBBLE:
        held += 1 + tile.channels % PAIR  # the mask, and a word that two groups share
    missing = max(tile.sums + held + ADDRESSES - costs.registers, 0)
    spilled = missing * (recipe.plain_spill if plan.machine.plain else recipe.dsp_spill)
    return _with_loops(plan, tile, words.pairs * tile.sums * costs.product + weights + activations + spilled)


def _with_loops(plan: DspPlan, tile: Tile, group: float) -> float:
    """Instructions of a tile of which a group takes so many."""
    recipe, (loops, places) = plan.machine.recipe, plan.body
    cost, times = 0.0, 1
    for depth, (extent, _) in enumerate(loops):
        times *= extent
        cost += times * (recipe.dsp_loop + (tile.sums if depth < len(loops) - 1 else 0))
    cost += times * len(places) * group
    return cost + tile.channels * (tile.pixels * recipe.dsp_output + recipe.dsp_channel) + recipe.dsp_tile
