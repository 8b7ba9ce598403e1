"""Which of the recorded decisions a compilation takes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from edgetvm.schedule.decision import decision_text
from edgetvm.tune.records import Place, Record
from edgetvm.tune.types import OK, Cost

_BEYOND = 1 + 1e-9  # a price at which two decisions are not worth the same by rounding
SIZE_UNIT = "bytes"
TIME_UNITS = ("us", "measured cycles", "cycles", "instructions")  # what is nearest to time first


@dataclass(frozen=True)
class Choice:
    """Of one kernel: the record of what its rule decides itself, and of the decision that is best."""

    own: Record
    best: Record


def improvements(records: Iterable[Record], place: Place, units: Iterable[str]) -> dict[str, list[Record]]:
    """For each kernel what costs less than the rule's own choice, the best first, and last that one itself."""
    latest: dict[str, dict[str, dict[str, Record]]] = {}
    for record in records:
        cost = record.outcome.cost
        if record.place == place and record.outcome.status == OK and cost is not None:
            by_unit = latest.setdefault(record.kernel, {})
            by_unit.setdefault(cost.unit, {})[decision_text(record.decision)] = record
    found: dict[str, list[Record]] = {}
    for kernel, by_unit in latest.items():
        measured = next((by_unit[unit] for unit in units if unit in by_unit), {})
        own = measured.get(decision_text({}))
        if own is not None:
            better = [record for record in measured.values() if cost_of(record).high < cost_of(own).low]
            found[kernel] = [*sorted(better, key=_rank), own]
    return found


def choices(records: Iterable[Record], place: Place, units: Iterable[str]) -> dict[str, Choice]:
    """For each kernel its best record in the first of `units` that it has; of equal ones that which decides least.

    A decision counts only where it costs less than what the rule decides itself, beyond the spread of both. Of a
    candidate that was measured several times the last record counts.
    """
    found = improvements(records, place, units)
    return {kernel: _cheapest(known, lambda record: cost_of(record).value) for kernel, known in found.items()}


def choices_within(
    records: Iterable[Record], place: Place, units: Iterable[str], calls: Mapping[str, int], room: int = 0
) -> dict[str, Choice]:
    """Like `choices`, of the kernels in `calls` with how often each is called, but all best records together are of at
    most `room` bytes more than the rules' own.

    A byte has a price, the same in all kernels: the least at which the bytes are within the limit (H. Everett,
    Generalized Lagrange Multiplier Method, 1963).
    """
    found = {kernel: known for kernel, known in improvements(records, place, units).items() if kernel in calls}

    def at(price: float) -> dict[str, Choice]:
        def total(record: Record) -> float:
            return calls[record.kernel] * cost_of(record).value + price * record.code_bytes

        return {kernel: _cheapest(known, total) for kernel, known in found.items()}

    def fits(price: float) -> bool:
        return sum(choice.best.code_bytes - choice.own.code_bytes for choice in at(price).values()) <= room

    prices = sorted({0.0, *(price for kernel, known in found.items() for price in _prices(known, calls[kernel]))})
    return at(prices[bisect_left(prices, True, hi=len(prices) - 1, key=fits)])


def _rank(record: Record) -> tuple[float, int, str]:
    """The same whatever the order of the records, which trials that run side by side leave to chance."""
    return cost_of(record).value, len(record.decision), decision_text(record.decision)


def _cheapest(known: Sequence[Record], cost: Callable[[Record], float]) -> Choice:
    """The record of the rule's own choice, and the first of those that cost least."""
    return Choice(known[-1], min(known, key=cost))


def _prices(known: Sequence[Record], calls: int) -> Iterator[float]:
    """The prices of a byte just beyond which one of these records is worth less than another."""
    for one, other in combinations(known, 2):
        bytes_more = one.code_bytes - other.code_bytes
        saved = calls * (cost_of(other).value - cost_of(one).value)
        if bytes_more and saved / bytes_more > 0:
            yield saved / bytes_more * _BEYOND


def cost_of(record: Record) -> Cost:
    """The cost of a candidate that was right."""
    assert record.outcome.cost is not None
    return record.outcome.cost
