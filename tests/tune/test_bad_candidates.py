"""Candidates that are wrong, crash or hang, built and run like others, are recorded as such and never chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tvm import tirx

from edgetvm.codegen.lower import LoweredKernel
from edgetvm.schedule.apply import schedule_kernel
from edgetvm.schedule.decision import decision_text
from edgetvm.schedule.kernel_key import kernel_key
from edgetvm.schedule.recipe import Machine, alternatives, machine_for, recipe_files
from edgetvm.schedule.types import Constants, Decision, ScheduledKernel
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources
from edgetvm.target.tvm_target import tvm_target
from edgetvm.tune import build, run_program, space
from edgetvm.tune.best import choices
from edgetvm.tune.budget import Budget
from edgetvm.tune.build import Builder, symbol_name
from edgetvm.tune.measure import Measurer
from edgetvm.tune.record_file import RecordFile
from edgetvm.tune.records import place_of
from edgetvm.tune.run_program import program_runner
from edgetvm.tune.search import Search
from edgetvm.tune.space import Space
from edgetvm.tune.task_search import TaskSearch
from edgetvm.tune.types import CRASHED, HUNG, OK, WRONG, TuningTask
from tests.tune.layers import conv_layer

BODIES = {WRONG: "", CRASHED: "__builtin_trap();", HUNG: 'for (;;) { __asm__ volatile(""); }'}


def test_they_are_recorded_and_never_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = load_target("host")
    machine = machine_for(target, "library")
    func, constants = conv_layer(channels=16, outputs=16)
    task = TuningTask(kernel_key(func), "layer", func, constants, "", 1)
    bad = dict(zip(BODIES, first_proposed(Space(task, machine, {}), len(BODIES)), strict=True))
    monkeypatch.setattr(build, "write_object", written_with(task, bad, build.write_object))
    monkeypatch.setattr(run_program, "_LIMIT_S", 2.0)
    place = place_of("host", machine, "balanced")
    file, said = RecordFile(tmp_path / "r.sqlite"), list[str]()
    measurer = Measurer(Builder(machine, tvm_target(target)), program_runner(target, tmp_path), place)
    search = Search(measurer, file, said.append, Budget(trials=6))
    search.add([task], machine, {}, seed=0)
    search.run()
    status = {decision_text(record.decision): record.outcome.status for record in file.read()}
    assert status == {**status, **{decision_text(decision): name for name, decision in bad.items()}}
    assert sorted(status.values()) == sorted([*BODIES, OK, OK, OK])
    (choice,) = choices(file.read(), place, ["us"]).values()
    assert choice.best.decision not in bad.values()
    assert all(any(f" {name}: " in line for line in said) for name in BODIES)


def test_a_number_with_which_a_rule_fails_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = load_target("host")
    machine, numbers = machine_for(target, "library"), alternatives(recipe_files(target, "library"))
    func, constants = conv_layer(channels=16, outputs=16)
    task = TuningTask(kernel_key(func), "layer", func, constants, "", 1)
    name, (_, value, *_) = next(iter(Space(task, machine, numbers).moves.items()))

    def schedule(func: tirx.PrimFunc, machine: Machine, constants: Constants) -> ScheduledKernel:
        if getattr(machine.recipe, name) == value:
            raise KeyError(name)
        return schedule_kernel(func, machine, constants)

    for module in (space, build):
        monkeypatch.setattr(module, "schedule_kernel", schedule)
    file = RecordFile(tmp_path / "r.sqlite")
    place = place_of("host", machine, "balanced")
    measurer = Measurer(Builder(machine, tvm_target(target)), program_runner(target, tmp_path), place)
    search = Search(measurer, file, lambda _: None, Budget(trials=4))
    search.add([task], machine, {name: (value,)}, seed=0)
    search.searches[task.key].hints = [({name: value}, 0.5)]  # it is tried at once
    search.run()
    (record,) = [record for record in file.read() if record.decision == {name: value}]
    assert (record.outcome.status, record.outcome.note) == (CRASHED, f"not built: KeyError: '{name}'")
    assert sum(record.outcome.status == OK for record in file.read()) >= 3


def first_proposed(space: Space, count: int) -> list[Decision]:
    """What a search tries first after the rule's own choice."""
    search = TaskSearch(space, 0)
    search.propose(1)
    search.tried.add(decision_text({}))
    return [candidate.decision for candidate in search.propose(count)]


def written_with(
    task: TuningTask, bad: dict[str, Decision], write: Callable[[LoweredKernel, Path], None]
) -> Callable[[LoweredKernel, Path], None]:
    """As `write`, but for the kernels of bad decisions, which are compiled from C."""
    bodies = {symbol_name(task.key, decision): BODIES[name] for name, decision in bad.items()}

    def write_object(kernel: LoweredKernel, path: Path) -> None:
        if (body := bodies.get(kernel.name)) is None:
            write(kernel, path)
            return
        path.with_suffix(".c").write_text(f"void {kernel.name}(void) {{ {body} }}\n")
        compile_sources([path.with_suffix(".c")], path.parent, load_target("host"), libc="gnu")

    return write_object
