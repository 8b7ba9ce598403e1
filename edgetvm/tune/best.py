"""Which of the recorded decisions a compilation takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgetvm.schedule.decision import decision_text
from edgetvm.tune.records import Place, Record
from edgetvm.tune.types import OK, Cost

SIZE_UNIT = "bytes"
TIME_UNITS = ("us", "cycles", "instructions")  # what is nearest to time first


@dataclass(frozen=True)
class Choice:
    """Of one kernel: the record of what its rule decides itself, and of the decision that is best."""

    own: Record
    best: Record


def choices(records: Iterable[Record], place: Place, units: Iterable[str]) -> dict[str, Choice]:
    """For each kernel its best record in the first of `units` that it has; of equal ones that which decides least.

    A decision counts only where it costs less than what the rule decides itself, beyond the spread of both. Of a
    candidate that was measured several times the last record counts.
    """
    latest: dict[str, dict[str, dict[str, Record]]] = {}
    for record in records:
        cost = record.outcome.cost
        if record.place == place and record.outcome.status == OK and cost is not None:
            by_unit = latest.setdefault(record.kernel, {})
            by_unit.setdefault(cost.unit, {})[decision_text(record.decision)] = record
    found: dict[str, Choice] = {}
    for kernel, by_unit in latest.items():
        measured = next((by_unit[unit] for unit in units if unit in by_unit), {})
        own = measured.get(decision_text({}))
        if own is not None:
            better = [record for record in measured.values() if cost_of(record).high < cost_of(own).low]
            found[kernel] = Choice(own, min(better, key=_rank, default=own))
    return found


def _rank(record: Record) -> tuple[float, int, str]:
    """The same whatever the order of the records, which trials that run side by side leave to chance."""
    return cost_of(record).value, len(record.decision), decision_text(record.decision)


def cost_of(record: Record) -> Cost:
    """The cost of a candidate that was right."""
    assert record.outcome.cost is not None
    return record.outcome.cost
