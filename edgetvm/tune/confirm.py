"""What a search has found is measured once more where it counts.

A part of a kernel over rows is tuned alone. Among others in one function the compiler has fewer registers for it: what
gains alone may lose in the whole, which is therefore measured too, by decisions about its parts together.
"""

from __future__ import annotations

from collections.abc import Iterable

from edgetvm.schedule.decision import joint_decision
from edgetvm.schedule.types import Decision
from edgetvm.tune.best import cost_of, improvements
from edgetvm.tune.records import Known, Place, name_of
from edgetvm.tune.task_search import TaskSearch
from edgetvm.tune.types import Candidate, TuningTask

_FINALISTS = 3


def timed_once(searches: Iterable[TaskSearch], known: Known) -> list[Candidate]:
    """What was found, and the rules' own choices beside it, as far as they were measured but once."""
    again: list[Candidate] = []
    for search in searches:
        found = search.leaders(_FINALISTS)
        if any(found):
            again += [Candidate(search.space.task, decision) for decision in ({}, *filter(None, found))]
    return [candidate for candidate in again if len(known[name_of(candidate)]) == 1]


def next_trial(whole: TuningTask, known: Known, place: Place, unit: str) -> Candidate | None:
    """What is to be measured next of a kernel over rows; None when it is known which decisions it is best with.

    First come the rules' own choices, then the parts one after another, the largest gain first: of the decisions that
    are better alone the first is kept with which the whole costs less, beyond the spread. What is known is passed by:
    wherever a run was interrupted, the next one goes on there.
    """
    finalists = _finalists(whole, known, place, unit)
    own = Candidate(whole, {})
    if not finalists or name_of(own) not in known:
        return own if finalists else None
    least = known[name_of(own)][-1].outcome.cost
    kept: dict[str, Decision] = {}
    for part, decisions in finalists if least else ():
        for decision in decisions:
            trial = Candidate(whole, joint_decision({**kept, part: decision}))
            if name_of(trial) not in known:
                return trial
            cost = known[name_of(trial)][-1].outcome.cost
            if cost is not None and least is not None and cost.high < least.low:
                kept[part], least = decision, cost
                break
    return None


def _finalists(whole: TuningTask, known: Known, place: Place, unit: str) -> list[tuple[str, list[Decision]]]:
    """Of each part that gains alone the best decisions, the part that the whole gains most by first."""
    records = [record for (kernel, _), found in known.items() if kernel in whole.parts for record in found]
    gains: dict[str, float] = {}
    finalists: dict[str, list[Decision]] = {}
    for part, (*better, own) in improvements(records, place, [unit]).items():
        if better:
            gains[part] = whole.parts[part] * (cost_of(own).value - cost_of(better[0]).value)
            finalists[part] = [record.decision for record in better[:_FINALISTS]]
    return [(part, finalists[part]) for part in sorted(finalists, key=lambda part: (-gains[part], part))]
