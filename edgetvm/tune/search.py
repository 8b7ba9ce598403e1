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
from edgetvm.tune.status import Status, cost_text, status_of
from edgetvm.tune.task_search import TaskSearch
from edgetvm.tune.types import LARGE, OK, Candidate, Outcome, TuningTask

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
    """Searches for all tasks. `log` is told what happens, a line each; `watch` how far it is, batch by batch."""

    measurer: Measurer
    file: RecordFile
    log: Callable[[str], None]
    budget: Budget
    watch: Callable[[Status], None] | None = None
    searches: dict[str, TaskSearch] = field(default_factory=dict)
    known: dict[tuple[str, str], list[Record]] = field(default_factory=dict)  # by kernel and decision, oldest first
    curve: list[Point] = field(default_factory=list)
    trials: int = 0  # that were made
    told: int = 0  # candidates of which the searches know what became, recorded earlier or now
    began: float = field(default_factory=time.monotonic)

    def add(
        self, tasks: Sequence[TuningTask], machine: Machine, space: Mapping[str, tuple[int, ...]], seed: int
    ) -> None:
        """Begin with these tasks, but for those of which nobody knows the output."""
        found = self.file.read()
        for task in tasks:
            try:
                self.measurer.data(task)
            except UnreadableError as error:
                self.log(f"{task.kernel}: not tuned, it cannot be checked: {error}")
                continue
            hints = of_other_cores([record for record in found if record.kernel == task.key], self.measurer.place)
            hints.sort(key=lambda pair: (pair[1], decision_text(pair[0])))  # trials end in any order
            self.searches[task.key] = TaskSearch(Space(task, machine, space), seed, hints)
        for record in found:
            cost = record.outcome.cost
            if record.place == self.measurer.place and (cost is None or cost.unit == self.measurer.unit):
                self._keep(record)

    def run(self) -> None:
        """Until the budget is spent or nothing helps any more. What is measured is recorded at once.

        The search always goes the same way, from its beginning, and what the file knows is not measured again:
        wherever a run was interrupted, the next one comes by there.
        """
        while batch := self._batch():
            made = self.trials
            self._measure([candidate for candidate in batch if _key(candidate) not in self.known], _ROUNDS)
            before = {key: search.best for key, search in self.searches.items()}
            for candidate in batch:
                self.searches[candidate.task.key].tell([self.known[_key(candidate)][0]])
            self.told += len(batch)
            status = self.status
            if self.trials > made:
                self._say(before, status)
            if self.watch is not None:
                self.watch(status)
        if self.measurer.unit == "us":
            self._confirm()

    def _batch(self) -> list[Candidate]:
        """The next candidates, from the tasks with the most to gain; none when it is over."""
        room = self.budget.room(self.told, self._seconds, _BATCH)
        batch: list[Candidate] = []
        for search in sorted(self.searches.values(), key=_hope, reverse=True):
            if len(batch) >= room:
                break
            if not search.done:
                batch += search.propose(min(_SHARE, room - len(batch)))
        return batch

    def _measure(self, candidates: Sequence[Candidate], rounds: int) -> None:
        bases = {key: search.base for key, search in self.searches.items() if search.base is not None}
        if candidates:
            self.measurer.measure(candidates, rounds, self._take, bases)

    def _take(self, record: Record) -> None:
        """Record what became of a trial that has just ended."""
        record = self._within(record)
        self.file.append([record])
        self.trials += not self.known.get(_key(record))
        self._keep(record)
        if (outcome := record.outcome).status not in (OK, LARGE):
            kernel = self.searches[record.kernel].space.task.kernel
            self.log(f"{kernel}: {decision_text(record.decision)} {outcome.status}: {outcome.note}")

    def _keep(self, record: Record) -> None:
        self.known.setdefault(_key(record), []).append(record)

    def _say(self, before: Mapping[str, tuple[Decision, float] | None], status: Status) -> None:
        """What a batch has brought."""
        unit = self.measurer.unit
        for key, search in self.searches.items():
            was, now = before[key], search.best
            if was is not None and now is not None and now[1] < was[1]:
                costs = f"{cost_text(was[1])} -> {cost_text(now[1])} {unit} a call"
                self.log(f"{search.space.task.kernel}: {costs}: {decision_text(now[0])}")
        if status.best is not None:
            self.curve.append(Point(self.trials, status.seconds, status.best))
            left = "" if status.left is None else f", {time_text(status.left)} left"
            spent = f"{self.trials} trials, {time_text(status.seconds)}"
            self.log(f"{spent}: {cost_text(status.best)} {unit} an inference{left}")

    @property
    def status(self) -> Status:
        """How far it is."""
        seconds = self._seconds
        left = self.budget.left(self.told, self.trials, seconds)
        return status_of(self.searches.values(), self.measurer.unit, self.told, self.trials, seconds, left)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self.began

    def _within(self, record: Record) -> Record:
        """The record, which says so if it is right but takes more bytes than the recipe allows."""
        percent = self.measurer.builder.machine.recipe.tuned_percent
        own = next(iter(self.known.get((record.kernel, decision_text({})), ())), record).code_bytes
        if not percent or record.outcome.status != OK or 100 * record.code_bytes <= percent * own:
            return record
        return replace(record, outcome=Outcome(LARGE, note=f"{record.code_bytes} bytes instead of {own}"))

    def _confirm(self) -> None:
        """Time what was found beside what the rule chooses, again and for longer: the last record counts."""
        again: list[Candidate] = []
        for search in self.searches.values():
            found = [decision for decision, _ in sorted(search.costs, key=lambda pair: pair[1])[:_FINALISTS]]
            if any(found):
                again += [Candidate(search.space.task, decision) for decision in ({}, *filter(None, found))]
        once = [candidate for candidate in again if len(self.known[_key(candidate)]) == 1]
        for first in range(0, len(once), _BATCH):
            self._measure(once[first : first + _BATCH], _FINAL_ROUNDS)


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


def _key(of: Candidate | Record) -> tuple[str, str]:
    """The kernel and the decision."""
    return of.task.key if isinstance(of, Candidate) else of.kernel, decision_text(of.decision)


def _hope(search: TaskSearch) -> float:
    """What trials of a task could gain: its share of the time, less the longer nothing has helped.

    First of all come the rules' own choices, and what was good elsewhere.
    """
    if search.best is None or search.hinted:
        return float("inf")
    return search.space.task.calls * search.best[1] / (1 + search.since_gain)
