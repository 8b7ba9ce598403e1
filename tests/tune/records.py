"""Records made by hand."""

from __future__ import annotations

from edgetvm.schedule.types import Decision
from edgetvm.tune.records import Place, Record, tools
from edgetvm.tune.types import OK, Cost, Outcome

PLACE = Place("cortex-m4", "vectors=0x0 dsp vcvtr", tools(), "balanced")


def record(
    kernel: str = "0123456789abcdef",
    decision: Decision | None = None,
    cost: float | None = 100.0,
    *,
    status: str = OK,
    spread: float = 0.0,
    unit: str = "cycles",
    place: Place = PLACE,
    note: str = "",
) -> Record:
    """A record of one candidate; without a cost it was not right."""
    outcome = Outcome(status, None if cost is None else Cost(cost, cost - spread, cost + spread, unit), note)
    return Record(kernel, place, "dsp_tile", decision or {}, outcome, 64, 1_700_000_000)
