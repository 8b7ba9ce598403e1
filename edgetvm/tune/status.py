"""How far a search is, for whoever waits for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from edgetvm.tune.task_search import TaskSearch

WAITING, SEARCHING, DONE = STATES = ("waiting", "searching", "done")
_EXACT = 99.95  # from here on whole numbers have three digits


@dataclass(frozen=True)
class TaskStatus:
    """One task: what a call costs as the rule decides and at best, None as long as it is not known, after so many
    `trials`; `share` is its part of what an inference costs at best, of 1. `state` is one of `STATES`.
    """

    kernel: str
    rule: str
    calls: int
    share: float
    before: float | None
    best: float | None
    trials: int
    state: str


@dataclass(frozen=True)
class Status:
    """All tasks, the largest share first.

    trials   of which it is known what became, recorded earlier or now
    made     those of this run, in so many `seconds`
    left     seconds until the end that is to be expected; None without a limit
    before   what an inference costs as the rules decide, in `unit`, and at `best`; None until all tasks are measured
    """

    unit: str
    trials: int
    made: int
    seconds: float
    left: float | None
    before: float | None
    best: float | None
    tasks: tuple[TaskStatus, ...]

    @property
    def rate(self) -> float:
        """Trials a minute."""
        return 60 * self.made / self.seconds if self.seconds else 0.0

    @property
    def done(self) -> int:
        """Tasks of which nothing is left to try, or that long nothing has helped."""
        return sum(task.state == DONE for task in self.tasks)


def status_of(
    searches: Iterable[TaskSearch], unit: str, trials: int, made: int, seconds: float, left: float | None
) -> Status:
    """The status of a search that consists of these."""
    tasks = [_task(search) for search in searches]
    known = sum(task.calls * task.best for task in tasks if task.best is not None)
    shares = [task.calls * (task.best or 0.0) / known if known else 0.0 for task in tasks]
    ordered = sorted(
        (replace(task, share=share) for task, share in zip(tasks, shares, strict=True)),
        key=lambda task: -task.share,
    )
    complete = all(task.best is not None for task in tasks)
    before = sum(task.calls * (task.before or task.best or 0.0) for task in tasks) if complete else None
    return Status(unit, trials, made, seconds, left, before, known if complete else None, tuple(ordered))


def _task(search: TaskSearch) -> TaskStatus:
    task, best = search.space.task, search.best
    state = WAITING if not search.decisions else DONE if search.done else SEARCHING
    cost = None if best is None else best[1]
    return TaskStatus(task.kernel, task.rule, task.calls, 0.0, search.base, cost, len(search.decisions), state)


def cost_text(value: float | None) -> str:
    """At least three significant digits, and no more than whole numbers."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= _EXACT else f"{value:#.3g}"


def gain_text(before: float, after: float, unit: str) -> str:
    """What an inference costs as the rules decide and as tuned."""
    if not before:
        return "nothing was measured"
    return f"{cost_text(before)} -> {cost_text(after)} {unit} an inference ({after / before:.3f})"
