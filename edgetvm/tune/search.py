"""The search over all tasks of a model: trials go where the time is and where they still help."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgetvm.oracle.kernels import UnreadableError
from edgetvm.schedule.decision import decision_text
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.types import Decision
from edgetvm.tune.budget import Budget, time_text
from edgetvm.tune.measure import Measurer
from edgetvm.tune.record_file import RecordFile
from edgetvm.tune.records import Place, Record
from edgetvm.tune.space import Space
from edgetvm.tune.task_search import TaskSearch
from edgetvm.tune.types import LARGE, OK, Candidate, Cost, Outcome, TuningTask

_BATCH = 16  # candidates in one program
_SHARE = 8  # of one task
_ROUNDS, _FINAL_ROUNDS = 15, 60  # of timing
_FINALISTS = 3


@dataclass(frozen=True)
class Point:
    """The search curve: after so many trials and seconds, what all tasks of an inference cost."""

    trials: int
    seconds: float
    cost: float


@dataclass
class Search:
    """Searches for all tasks. `log` is told what happens, a line each; `progress` what is done of how much."""

    measurer: Measurer
    file: RecordFile
    log: Callable[[str], None]
    budget: Budget
    progress: Callable[[str, int, int], None] | None = None
    searches: dict[str, TaskSearch] = field(default_factory=dict)
    curve: list[Point] = field(default_factory=list)
    trials: int = 0
    own_bytes: dict[str, int] = field(default_factory=dict)  # of what the rules decide, by task
    began: float = field(default_factory=time.monotonic)

    def add(
        self, tasks: Sequence[TuningTask], machine: Machine, space: Mapping[str, tuple[int, ...]], seed: int
    ) -> None:
        """Begin with what the file knows of these tasks; those are left out of which nobody knows the output."""
        found = self.file.read()
        known = [record for record in found if record.place == self.measurer.place]
        for task in tasks:
            try:
                self.measurer.data(task)
            except UnreadableError as error:
                self.log(f"{task.kernel}: not tuned, it cannot be checked: {error}")
                continue
            hints = of_other_cores([record for record in found if record.kernel == task.key], self.measurer.place)
            search = TaskSearch(Space(task, machine, space), seed, hints)
            search.tell(
                record
                for record in known
                if record.kernel == task.key
                and (record.outcome.cost is None or record.outcome.cost.unit == self.measurer.unit)
            )
            self.searches[task.key] = search
            self.own_bytes |= {r.kernel: r.code_bytes for r in known if r.kernel == task.key and not r.decision}

    def run(self) -> None:
        """Until the budget is spent or nothing helps any more. What is measured is recorded at once."""
        touched: dict[str, TaskSearch] = {}
        while batch := self._batch():
            touched |= {candidate.task.key: self.searches[candidate.task.key] for candidate in batch}
            self._measure(batch, _ROUNDS)
        if self.measurer.unit == "us":
            self._confirm(touched.values())

    def _batch(self) -> list[Candidate]:
        """The next candidates, from the tasks with the most to gain; none when it is over."""
        room = self.budget.room(self.trials, self._seconds, _BATCH)
        batch: list[Candidate] = []
        for search in sorted(self.searches.values(), key=_hope, reverse=True):
            if len(batch) >= room:
                break
            if not search.done:
                batch += search.propose(min(_SHARE, room - len(batch)))
        return batch

    def _measure(self, batch: Sequence[Candidate], rounds: int) -> None:
        records = self._records(batch, rounds)
        self.file.append(records)
        for candidate, record in zip(batch, records, strict=True):
            self.searches[candidate.task.key].tell([record])
            if (outcome := record.outcome).status not in (OK, LARGE):
                tried = decision_text(candidate.decision)
                self.log(f"{candidate.task.kernel}: {tried} {outcome.status}: {outcome.note}")
        self.trials += len(batch)
        best = ""
        if (total := self.total) is not None:
            self.curve.append(Point(self.trials, self._seconds, total))
            best = f"{total:,.0f} {self.measurer.unit} an inference"
            self.log(f"{self.trials} trials: {best}")
        if self.progress is not None:
            self._show(self.progress, best)

    def _show(self, progress: Callable[[str, int, int], None], best: str) -> None:
        """What is done, the best so far, and the end if one is to be expected: steps are seconds, else tasks."""
        done = sum(search.done for search in self.searches.values())
        stage = [f"{self.trials} trials", f"{done} of {len(self.searches)} tasks done", *([best] if best else [])]
        seconds, left = self._seconds, self.budget.left(self.trials, self._seconds)
        if left is None:
            progress(", ".join(stage), done, len(self.searches))
        else:
            stage.append(f"{time_text(left)} left")
            progress(", ".join(stage), round(seconds), max(round(seconds + left), 1))

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self.began

    def _records(self, candidates: Sequence[Candidate], rounds: int) -> list[Record]:
        """A record for each candidate.

        Where times are measured the rule's own choice is timed beside them, and they count by as much as it has become
        slower or faster since it was first measured: a machine is not the same from minute to minute.
        """
        if self.measurer.unit != "us":
            return self._within(self.measurer.measure(candidates, rounds))
        tasks = {candidate.task.key: candidate.task for candidate in candidates}
        own = {candidate.task.key for candidate in candidates if not candidate.decision}
        beside = [Candidate(task, {}) for key, task in tasks.items() if key not in own]
        records = self.measurer.measure([*candidates, *beside], rounds)
        now = {record.kernel: record.outcome.cost for record in records if not record.decision}
        return [
            _scaled(record, self.searches[record.kernel].base, now.get(record.kernel))
            for record in self._within(records[: len(candidates)])
        ]

    def _within(self, records: Sequence[Record]) -> list[Record]:
        """The records, where those that are right but take more bytes than the recipe allows say so."""
        self.own_bytes |= {record.kernel: record.code_bytes for record in records if not record.decision}
        percent = self.measurer.builder.machine.recipe.tuned_percent
        return [
            replace(record, outcome=Outcome(LARGE, note=f"{record.code_bytes} bytes instead of {own}"))
            if percent and own and record.outcome.status == OK and 100 * record.code_bytes > percent * own
            else record
            for record in records
            for own in [self.own_bytes.get(record.kernel, 0)]
        ]

    def _confirm(self, searches: Iterable[TaskSearch]) -> None:
        """Time what was found beside what the rule chooses, again and for longer: the last record counts."""
        for search in searches:
            found = [decision for decision, _ in sorted(search.costs, key=lambda pair: pair[1])[:_FINALISTS]]
            if found and any(found):
                decisions = [{}, *(decision for decision in found if decision)]
                pairs = [Candidate(search.space.task, decision) for decision in decisions]
                self.file.append(self._records(pairs, _FINAL_ROUNDS))

    @property
    def total(self) -> float | None:
        """What the tasks of an inference cost, as far as it is known; None before all of them were measured once."""
        best = [(search.space.task.calls, search.best) for search in self.searches.values()]
        if any(pair is None for _, pair in best):
            return None
        return sum(calls * pair[1] for calls, pair in best if pair is not None)


def of_other_cores(records: Iterable[Record], place: Place) -> list[tuple[Decision, float]]:
    """What was measured of one kernel on other cores, by the same tools and in the same mode: decisions, and their
    cost as a multiple of what the rule's own choice costs there.
    """
    own: dict[tuple[Place, str], float] = {}
    found: list[tuple[Decision, float]] = []
    for record in records:
        cost = record.outcome.cost
        there = (record.place.tools, record.place.optimize) == (place.tools, place.optimize)
        if not there or record.place.core == place.core or cost is None:
            continue
        base = own.setdefault((record.place, cost.unit), cost.value)
        if record.decision:
            found.append((record.decision, cost.value / base))
    return found


def _scaled(record: Record, first: float | None, now: Cost | None) -> Record:
    """The record of a cost that was measured beside `now`, as if that were `first`."""
    cost = record.outcome.cost
    if cost is None or first is None or now is None:
        return record
    by = first / now.value
    scaled = Cost(cost.value * by, cost.low * by, cost.high * by, cost.unit)
    return replace(record, outcome=replace(record.outcome, cost=scaled))


def _hope(search: TaskSearch) -> float:
    """What trials of a task could gain: its share of the time, less the longer nothing has helped."""
    if search.best is None:
        return float("inf")
    return search.space.task.calls * search.best[1] / (1 + search.since_gain)
