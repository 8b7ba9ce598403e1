"""The kernels of a model -> what there is to tune, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

from edgetvm.codegen.program import Program
from edgetvm.schedule.kernel_key import kernel_key
from edgetvm.schedule.types import ScheduledKernel
from edgetvm.tune.types import TuningTask


def collect_tasks(program: Program, scheduled: Mapping[str, ScheduledKernel]) -> list[TuningTask]:
    """What the rules scheduled, in the order of the first call; what is equal is one task, called as often as all.

    A kernel over rows comes behind its parts.
    """
    calls = Counter(call.kernel for call in program.calls if call.kernel in scheduled)
    tasks: dict[str, TuningTask] = {}
    for kernel, times in calls.items():
        parts: Counter[str] = Counter()
        for task in scheduled[kernel].tasks:
            parts[key := kernel_key(task.func)] += task.times
            known = tasks.get(key, TuningTask(key, kernel, task.func, task.constants, task.rule, 0))
            tasks[key] = replace(known, calls=known.calls + times * task.times)
        if (whole := scheduled[kernel].whole) is not None and parts:
            key = kernel_key(whole.func)
            known = tasks.get(key, TuningTask(key, kernel, whole.func, whole.constants, whole.rule, 0, parts))
            tasks[key] = replace(known, calls=known.calls + times)
    return list(tasks.values())


def calls_outside(tasks: Sequence[TuningTask], wholes: Container[str]) -> list[tuple[TuningTask, int]]:
    """The tasks that are called outside of the kernels over rows whose keys are in `wholes`, each with how often."""
    inside: Counter[str] = Counter()
    for task in tasks:
        if task.key in wholes:
            inside.update({part: task.calls * times for part, times in task.parts.items()})
    left = [(task, task.calls - inside[task.key]) for task in tasks]
    return [(task, calls) for task, calls in left if calls]
