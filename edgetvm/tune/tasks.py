"""The kernels of a model -> what there is to tune, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from edgetvm.codegen.program import Program
from edgetvm.schedule.kernel_key import kernel_key
from edgetvm.schedule.types import ScheduledKernel
from edgetvm.tune.types import TuningTask


def collect_tasks(program: Program, scheduled: Mapping[str, ScheduledKernel]) -> list[TuningTask]:
    """What the rules scheduled, in the order of the first call; what is equal is one task, called as often as all."""
    calls = Counter(call.kernel for call in program.calls if call.kernel in scheduled)
    tasks: dict[str, TuningTask] = {}
    for kernel, times in calls.items():
        for task in scheduled[kernel].tasks:
            key, count = kernel_key(task.func), times * task.times
            known = tasks.get(key, TuningTask(key, kernel, task.func, task.constants, task.rule, 0))
            tasks[key] = replace(known, calls=known.calls + count)
    return list(tasks.values())
