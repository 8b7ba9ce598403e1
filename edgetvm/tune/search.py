"""The search over all tasks of a model: trials go where the time is and where they still help."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgetvm.oracle.kernels import UnreadableError
from edgetvm.schedule.decision import decision_text
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.types import Decision
from edgetvm.tune.best import choices, cost_of
from edgetvm.tune.budget import Budget, time_text
from edgetvm.tune.confirm import next_trial, timed_once
from edgetvm.tune.measure import Measurer
from edgetvm.tune.record_file import RecordFile
from edgetvm.tune.records import Place, Record, name_of
from edgetvm.tune.space import Space
from edgetvm.tune.status import Status, cost_text, status_of
from edgetvm.tune.task_search import TaskSearch
from edgetvm.tune.types import LARGE, OK, Candidate, Outcome, TuningTask

_BATCH = 16  # candidates in one program
_SHARE = 8  # of one task
_ROUNDS, _FINAL_ROUNDS = 15, 60  # of timing


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
    tasks: dict[str, TuningTask] = field(default_factory=dict)  # by key
    searches: dict[str, TaskSearch] = field(default_factory=dict)  # of those that a rule schedules
    known: dict[tuple[str, str], list[Record]] = field(default_factory=dict)  # by `name_of`, oldest first
    curve: list[Point] = field(default_factory=list)
    trials: int = 0  # that were made
    told: int = 0  # candidates of which the searches know what became, recorded earlier or now
    began: float = field(default_factory=time.monotonic)

    def add(
        self, tasks: Sequence[TuningTask], machine: Machine, space: Mapping[str, tuple[int, ...]], seed: int
    ) -> None:
        """Begin with these tasks, but for those of which nobody knows the output."""
        found = self.file.read()
        self.tasks = {task.key: task for task in tasks}
        for task in tasks:
            if task.parts or not self._can_check(task):
                continue
            hints = of_other_cores([record for record in found if record.kernel == task.key], self.measurer.place)
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
            self._measure([candidate for candidate in batch if name_of(candidate) not in self.known], _ROUNDS)
            before = {key: search.best for key, search in self.searches.items()}
            for candidate in batch:
                self.searches[candidate.task.key].tell([self.known[name_of(candidate)][0]])
            self.told += len(batch)
            status = self.status
            if self.trials > made:
                self._say(before, status)
            if self.watch is not None:
                self.watch(status)
        if self.measurer.unit == "us":
            self._time_again()
        self._confirm_rows()

    def _can_check(self, task: TuningTask) -> bool:
        """Whether somebody knows the output of a task."""
        try:
            self.measurer.data(task)
        except UnreadableError as error:
            self.log(f"{task.kernel}: not tuned, it cannot be checked: {error}")
            return False
        return True

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
        own = {key: found[0].outcome.cost for key in self.tasks if (found := self.known.get((key, decision_text({}))))}
        bases = {key: cost.value for key, cost in own.items() if cost is not None}
        if candidates:
            self.measurer.measure(candidates, rounds, self._take, bases)

    def _take(self, record: Record) -> None:
        """Record what became of a trial that has just ended."""
        record = self._within(record)
        self.file.append([record])
        self.trials += name_of(record) not in self.known
        self._keep(record)
        if (outcome := record.outcome).status not in (OK, LARGE):
            kernel = self.tasks[record.kernel].kernel
            self.log(f"{kernel}: {decision_text(record.decision)} {outcome.status}: {outcome.note}")

    def _keep(self, record: Record) -> None:
        self.known.setdefault(name_of(record), []).append(record)

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

    def _time_again(self) -> None:
        """Time what was found beside what the rule chooses, again and for longer: the last record counts."""
        once = timed_once(self.searches.values(), self.known)
        for first in range(0, len(once), _BATCH):
            self._measure(once[first : first + _BATCH], _FINAL_ROUNDS)

    def _confirm_rows(self) -> None:
        """Measure kernels over rows as wholes, by what was found for their parts."""
        wholes = [whole for whole in self.tasks.values() if self._next(whole) and self._can_check(whole)]
        while trials := list(filter(None, map(self._next, wholes))):
            self._measure(trials, _FINAL_ROUNDS)
        own = {whole.key for whole in wholes}
        records = (record for (kernel, _), found in self.known.items() if kernel in own for record in found)
        for key, choice in choices(records, self.measurer.place, [self.measurer.unit]).items():
            costs = f"{cost_text(cost_of(choice.own).value)} -> {cost_text(cost_of(choice.best).value)}"
            self.log(f"{self.tasks[key].kernel}: {costs} {self.measurer.unit} a call as a whole")

    def _next(self, whole: TuningTask) -> Candidate | None:
        return next_trial(whole, self.known, self.measurer.place, self.measurer.unit) if whole.parts else None


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


def _hope(search: TaskSearch) -> float:
    """What trials of a task could gain: its share of the time, less the longer nothing has helped.

    First of all come the rules' own choices, and what was good elsewhere.
    """
    if search.best is None or search.hinted:
        return float("inf")
    return search.space.task.calls * search.best[1] / (1 + search.since_gain)
