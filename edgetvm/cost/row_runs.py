"""Steps in which a stage of a plan does alike, so that one piece of code serves them all."""

from __future__ import annotations

from dataclasses import dataclass

from edgetvm.cost.row_plan import RowPlan


@dataclass(frozen=True)
class Run:
    """Steps `first` to `end` in each of which a stage computes `count` rows, from `row` on in the first of them."""

    first: int
    end: int
    row: int
    count: int


def runs_of(plan: RowPlan, stage: int) -> tuple[Run, ...]:
    """All steps of a stage, in order."""
    runs: list[Run] = []
    for step in range(plan.steps):
        row, end = plan.rows(stage, step)
        last = runs[-1] if runs else None
        if last is not None and last.count == end - row:
            runs[-1] = Run(last.first, step + 1, last.row, last.count)
        else:
            runs.append(Run(step, step + 1, row, end - row))
    return tuple(runs)
