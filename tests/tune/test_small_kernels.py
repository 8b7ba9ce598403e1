"""Kernels that are made for size: which ones, and what is decided about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import edgetvm
from edgetvm.api.schedule_model import ScheduledModel, schedule_model, small_kernels, with_small_kernels
from edgetvm.importers.read import import_model
from edgetvm.passes.pipeline import optimize
from edgetvm.schedule.kernel_key import kernel_key
from edgetvm.schedule.recipe import Machine, machine_for
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target
from tests.tools import require_tool

TARGET = load_target("cortex-m4")
COMPILER = tvm_target(TARGET)


def scheduled(model: Path, machine: Machine) -> ScheduledModel:
    return schedule_model(optimize(import_model(model, {})), TARGET, [machine], "balanced")


def test_they_are_those_without_decisions_and_decided_as_for_size(int8_digits: Path) -> None:
    machine, small = machine_for(TARGET, "library"), machine_for(TARGET, "library", "size")
    undecided = scheduled(int8_digits, machine)
    names = small_kernels(undecided, TARGET, COMPILER, machine)
    assert names and names < set(undecided.kernels[0])
    assert not small_kernels(undecided, TARGET, COMPILER, small)

    keys = [kernel_key(task.func) for kernel in undecided.kernels[0].values() for task in kernel.tasks]
    for_speed, for_size = {"dsp_unrolled": 256}, {"dsp_unrolled": 16}
    decided = replace(machine, decisions=dict.fromkeys(keys, for_speed))
    model = scheduled(int8_digits, decided)
    assert small_kernels(model, TARGET, COMPILER, decided) == names
    small = replace(small, decisions=dict.fromkeys(keys, for_size))
    (kernels,) = with_small_kernels(model, TARGET, COMPILER, [decided], [small]).kernels
    for name, kernel in kernels.items():
        assert {task.decision["dsp_unrolled"] for task in kernel.tasks if task.decision} == {
            16 if name in names else 256
        }


def test_they_are_not_tuned_for_time(int8_digits: Path, tmp_path: Path) -> None:
    require_tool("qemu-system-arm")
    machine, lines = machine_for(TARGET, "library"), list[str]()
    names = small_kernels(scheduled(int8_digits, machine), TARGET, COMPILER, machine)
    report = edgetvm.tune(int8_digits, "cortex-m4", trials=4, records=tmp_path / "r.sqlite", log=lines.append)
    assert report.tasks and not {task.kernel for task in report.tasks} & names
    assert any(line.startswith(f"{len(names)} kernels") for line in lines)
