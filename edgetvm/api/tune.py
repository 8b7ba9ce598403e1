"""A model is tuned for a target: what is found goes to a file of records that `compile` reads."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edgetvm.api.check_options import check_threads
from edgetvm.api.schedule_model import schedule_model, small_kernels
from edgetvm.errors import DataError, TargetError
from edgetvm.importers.read import import_model
from edgetvm.passes.pipeline import optimize as optimize_graph
from edgetvm.schedule.recipe import alternatives, machine_for, recipe_files
from edgetvm.schedule.types import Decision
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target
from edgetvm.target.types import Target
from edgetvm.tune.best import Choice, choices, cost_of
from edgetvm.tune.budget import Budget, time_text
from edgetvm.tune.build import Builder
from edgetvm.tune.cost_model import xgboost
from edgetvm.tune.measure import Measurer
from edgetvm.tune.record_file import DEFAULT_FILE, RecordFile
from edgetvm.tune.records import place_of
from edgetvm.tune.room import in_room
from edgetvm.tune.run_program import program_runner
from edgetvm.tune.search import Point, Search
from edgetvm.tune.status import Status, TaskStatus, cost_text, gain_text
from edgetvm.tune.tasks import calls_outside, collect_tasks
from edgetvm.tune.types import TuningTask
from edgetvm.tune.use import unused

__all__ = [
    "OBJECTIVES",
    "Status",
    "TaskStatus",
    "TuneReport",
    "TunedTask",
    "cost_text",
    "gain_text",
    "time_text",
    "tune",
]

OBJECTIVES = ("latency", "size")
_FORM = "library"


@dataclass(frozen=True)
class TunedTask:
    """A function that an inference calls `calls` times: what a call costs as the rules decide, and at best.

    `key` is its name in records, `kernel` that of a kernel that has it.
    """

    key: str
    kernel: str
    rule: str
    calls: int
    before: float
    after: float
    decision: Decision


@dataclass(frozen=True)
class TuneReport:
    """What was found: costs in `unit`, all trials of this run, and how the cost of an inference fell with them.

    A kernel over rows stands for its parts where it was measured as a whole.
    """

    target: str
    unit: str
    trials: int
    records: str
    tasks: tuple[TunedTask, ...]
    curve: tuple[Point, ...]

    @property
    def before(self) -> float:
        """What the tasks of an inference cost as the rules decide."""
        return sum(task.calls * task.before for task in self.tasks)

    @property
    def after(self) -> float:
        """The same at best."""
        return sum(task.calls * task.after for task in self.tasks)

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "before": self.before, "after": self.after}


def tune(
    model: str | Path,
    target: str | Path | Target,
    *,
    board: str | None = None,
    minutes: float | None = None,
    trials: int | None = None,
    objective: str = "latency",
    optimize: str = "balanced",
    threads: int = 1,
    records: str | Path = DEFAULT_FILE,
    shapes: Mapping[str, Sequence[int]] | None = None,
    integer_io: bool = False,
    seed: int = 0,
    log: Callable[[str], None] | None = None,
    watch: Callable[[Status], None] | None = None,
) -> TuneReport:
    """Search for better decisions than the rules' own about the kernels of a model, float or quantized.

    board            where to measure instead: a board with the target's core that is emulated, or, for "NAME@PORT", the
                     board itself at the serial port PORT ("@PORT": the target's own)
    minutes, trials  when to stop: after so many minutes, or candidates, of which earlier runs may have recorded some;
                     without either, when nothing helps any more
    objective        "latency": time on this machine, cycles on a board, modelled cycles or instructions under
                     emulation; "size": bytes of code
    optimize         the mode of `compile` that the records are for; "size" for the objective "size"
    threads          on how many the kernels will run: more than 1 on this machine only, for `compile(threads=...)`
    records          the file that what is measured is added to, trial by trial; what it holds is not measured again
    shapes, integer_io  as for `compile`
    seed             decides about what is left to chance
    log              is told what happens, a line each
    watch            is told how far it is, again and again

    Raises an EdgeTVMError that says what to do.
    """
    if objective not in OBJECTIVES:
        raise TargetError(f"--objective {objective}: choose from {', '.join(OBJECTIVES)}")
    check_threads(threads)
    if (trials is not None and trials < 1) or (minutes is not None and minutes <= 0):
        raise DataError("there is no trial to make", "give --trials of 1 or more, --minutes of more than 0, or neither")
    say, path = log or (lambda _: None), Path(model)
    chosen = target if isinstance(target, Target) else load_target(str(target))
    if chosen.processor.arch == "c":
        raise TargetError(f"{chosen.name} has no core to tune for", "name the processor that the C code is for")
    xgboost()  # if it is missing, nothing is measured in vain
    by_size = objective == "size"
    machine = machine_for(chosen, _FORM, "size" if by_size else optimize)
    machine = replace(machine, threads=1 if by_size else threads)
    place = place_of(chosen.processor.name, machine, "size" if by_size else optimize)
    file = RecordFile(Path(records))
    for line in [*file.notes, *unused(file.read(), [place], file.path.name)]:
        say(line)
    imported = import_model(path, shapes or {})
    optimized = optimize_graph(imported, integer_io, False, machine.recipe.channel_multiple or None)
    scheduled = schedule_model(optimized, chosen, [machine], place.optimize)
    compiler = tvm_target(chosen)
    small = small_kernels(scheduled, chosen, compiler, machine)
    if small:
        say(f"{len(small)} kernels take little and are made for size: `--objective size` tunes them")
    tasks = collect_tasks(
        scheduled.program, {name: kernel for name, kernel in scheduled.kernels[0].items() if name not in small}
    )
    with tempfile.TemporaryDirectory(prefix="edgetvm-tune-") as work, in_room(Path(work)):
        runner = program_runner(chosen, Path(work), board, machine.threads)
        measurer = Measurer(Builder(machine, compiler), runner, place, by_size)
        budget = Budget(trials, None if minutes is None else 60 * minutes)
        search = Search(measurer, file, say, budget, watch)
        search.add(tasks, machine, alternatives(recipe_files(chosen, _FORM), machine.threads), seed)
        search.run()
    found = choices(file.read(), place, [measurer.unit])
    tuned = [_tuned(task, calls, found[task.key]) for task, calls in calls_outside(tasks, found) if task.key in found]
    report = TuneReport(chosen.name, measurer.unit, search.trials, str(file.path), tuple(tuned), tuple(search.curve))
    say(f"{report.trials} trials: {gain_text(report.before, report.after, report.unit)}")
    return report


def _tuned(task: TuningTask, calls: int, choice: Choice) -> TunedTask:
    before, after = cost_of(choice.own).value, cost_of(choice.best).value
    return TunedTask(task.key, task.kernel, task.rule, calls, before, after, choice.best.decision)
