"""Which kernels to join so that a model needs less memory: those around the call that needs the most.

Joined kernels go over rows (`cost/row_plan.py`): of what they pass on only a few rows are kept, and they write
their result over the rows of their input that are not read any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import tvm

from edgetvm.codegen.memory import kernel_memory
from edgetvm.codegen.program import Program
from edgetvm.codegen.row_calls import RowCalls, Spans
from edgetvm.passes.join_rows import Segment
from edgetvm.schedule.place_part import scratch_bytes, without_blocks
from edgetvm.schedule.recipe import Recipe
from edgetvm.schedule.types import ScheduledKernel


def choose_rows(
    module: tvm.IRModule,
    program: Program,
    scheduled: Mapping[str, ScheduledKernel],
    align: int,
    enough: int,
    recipe: Recipe,
) -> tuple[Segment, ...]:
    """The calls of `program` that become kernels over rows, in order, so that its largest live set becomes small.

    The call that needs the most is joined with those neighbours with which it needs least, again and again, until
    that helps no more or the live set has `enough` bytes. How small it can become is found first; then the cheapest
    ways that give about as much are taken (`row_memory_percent` of the recipe). `align` is of tensors, in bytes.
    """
    memory = {
        name: kernel_memory(kernel, (scratch_bytes(without_blocks(kernel.func)),)) for name, kernel in scheduled.items()
    }
    calls = RowCalls(module, program, memory, align, recipe.row_step)
    least, spans = _smallest(calls, recipe, enough, free=True)
    enough = max(enough, least + least * recipe.row_memory_percent // 100)
    _, cheap = _smallest(calls, recipe, enough, free=False)
    # Live sets that lie over one another in turn need more together than each.
    chosen = cheap if calls.arena(cheap) <= max(enough, calls.arena(spans)) else spans
    return tuple(Segment(first, end, tile) for first, end, tile in chosen if tile)


def _smallest(calls: RowCalls, recipe: Recipe, enough: int, free: bool) -> tuple[int, Spans]:
    """(bytes, spans) of the smallest live set that is found; the search ends at `enough` bytes.

    With `free` it counts only what a span needs, else of those that need no more than is enough what they cost.
    """
    spans: Spans = tuple((call, call + 1, 0) for call in range(len(calls.program.calls)))
    best: tuple[int, Spans] | None = None
    while True:
        live = calls.live(spans)
        worst = max(live, key=lambda call: live[call], default=-1)
        peak = live.get(worst, 0)
        if best is None or peak < best[0]:
            best = (peak, spans)
        choices = []
        for at, each in _around(calls, recipe, spans, worst) if peak > enough else ():
            needed = calls.live(each)[at]
            choices.append((max(needed, 0 if free else enough), 0 if free else calls.cost(each), needed, each))
        needed, *_, spans = min(choices, default=(peak, spans))
        if needed >= best[0]:
            return best


def _around(calls: RowCalls, recipe: Recipe, spans: Spans, call: int) -> Iterator[tuple[int, Spans]]:
    """All ways in which a call of `spans` goes by rows, alone or with neighbours: (its number then, spans)."""
    for first in range(call + 1):
        for end in range(call + 1, len(spans) + 1):
            start, stop = spans[first][0], spans[end - 1][1]
            again = end - first == 1 and spans[call][2] > 0
            for tile in () if again or stop - start > recipe.row_stages else range(1, recipe.row_tile + 1):
                if calls.kernel((start, stop, tile)) is not None:
                    yield first, (*spans[:first], (start, stop, tile), *spans[end:])
