"""What was found for the parts of a kernel over rows is taken where the whole gains by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from edgetvm.passes.join_rows import Segment
from edgetvm.schedule.apply import schedule_kernel
from edgetvm.schedule.decision import is_decision, joint_decision, part_decisions
from edgetvm.schedule.kernel_key import kernel_key
from edgetvm.schedule.types import Decision
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target
from edgetvm.tune.best import choices
from edgetvm.tune.budget import Budget
from edgetvm.tune.build import Builder
from edgetvm.tune.confirm import next_trial
from edgetvm.tune.measure import Measurer
from edgetvm.tune.record_file import RecordFile
from edgetvm.tune.records import Record, name_of
from edgetvm.tune.run_program import program_runner
from edgetvm.tune.search import Search
from edgetvm.tune.tasks import calls_outside, collect_tasks
from edgetvm.tune.types import TuningTask
from tests.schedule.int8_layers import Layer
from tests.schedule.kernels import Scheduled, machine, schedule
from tests.schedule.reference import Window
from tests.schedule.row_layers import body_of, follow
from tests.tools import require_tool
from tests.tune.layers import conv_layer
from tests.tune.records import PLACE, record

CORE = "cortex-m4"
A, B = "a" * 16, "b" * 16
FAST, LESS = {"dsp_unrolled": 256}, {"dsp_unrolled": 128}
NUMBERS = {"dsp_unrolled": (32, 128), "scalar_accumulators": (4,)}


@pytest.fixture(scope="module")
def rows() -> Scheduled:
    """Two layers in one kernel."""
    first = Layer((1, 10, 8, 16), 16, Window((3, 3), pads=(1, 1, 1, 1)), "relu")
    layers = [first, follow(first, 24, Window((1, 1)))]
    scheduled = schedule(body_of(layers), [first.inputs()[0]], CORE, [Segment(0, 2, 2)])
    assert scheduled.rules == ["row_stages"]
    return scheduled


def measured(whole: TuningTask, parts: list[Record], price: Mapping[str, float]) -> list[Decision]:
    """The decisions that are measured of a whole, each with what it costs by `price`."""
    known: dict[tuple[str, str], list[Record]] = {}
    for each in parts:
        known.setdefault(name_of(each), []).append(each)
    made: list[Decision] = []
    while trial := next_trial(whole, known, PLACE, "cycles"):
        made.append(trial.decision)
        cost = 1000 + sum(price[f"{name} {value}"] for name, value in trial.decision.items())
        known.setdefault(name_of(trial), []).append(record(whole.key, trial.decision, cost))
    return made


def test_what_gains_alone_and_loses_in_the_whole_is_not_kept() -> None:
    func, constants = conv_layer()
    whole = TuningTask("c" * 16, "rows", func, constants, "row_stages", 1, {A: 1, B: 4})
    alone = [record(part, decision, cost) for part in (A, B) for decision, cost in ((FAST, 80), (LESS, 90), ({}, 100))]
    fast, less = (joint_decision({B: decision}) for decision in (FAST, LESS))
    price = {
        f"{part}.dsp_unrolled {n}": cost for part, n, cost in ((A, 256, 9), (A, 128, 5), (B, 256, 7), (B, 128, -8))
    }
    both = [joint_decision({B: LESS, A: decision}) for decision in (FAST, LESS)]
    assert measured(whole, alone, price) == [{}, fast, less, *both]  # B is called more often
    assert measured(whole, [record(part) for part in (A, B)], price) == []


def test_a_joint_decision_names_its_parts() -> None:
    joint = joint_decision({A: {**FAST, "tile.pixels": 2}, B: LESS})
    assert part_decisions(joint) == {A: {**FAST, "tile.pixels": 2}, B: LESS}
    assert part_decisions(FAST) == part_decisions({"tile.pixels": 2}) == {}
    assert is_decision(joint) and not is_decision({f"{A}.beauty": 1}) and not is_decision({f"{A[1:]}.dsp_unrolled": 1})


def test_what_is_decided_about_the_whole_comes_before_its_parts(rows: Scheduled) -> None:
    whole = rows.only.whole
    assert whole is not None
    key, (first, *_, last) = kernel_key(whole.func), [kernel_key(task.func) for task in rows.only.tasks]

    def decided(decisions: dict[str, Decision]) -> dict[str, Decision]:
        own = replace(machine(CORE), decisions=decisions)
        tasks = schedule_kernel(whole.func, own, whole.constants).tasks
        return {kernel_key(task.func): task.decision for task in tasks if task.decision is not None}

    assert decided({first: FAST}) == {first: FAST}
    assert decided({first: FAST, key: joint_decision({last: LESS})}) == {last: LESS}
    assert decided({first: FAST, key: {}}) == {}


def test_how_many_rows_a_step_has_is_part_of_the_key(rows: Scheduled) -> None:
    func = rows.only.whole.func if rows.only.whole else pytest.fail("it goes over rows")
    assert kernel_key(func.with_attr("edgetvm.tile_rows", 3)) != kernel_key(func) == kernel_key(func.with_attr("x", 3))


def test_a_tuned_kernel_over_rows_is_right_and_never_slower(rows: Scheduled, tmp_path: Path) -> None:
    require_tool("qemu-system-arm")
    target, file = load_target(CORE), RecordFile(tmp_path / "r.sqlite")
    tasks = collect_tasks(rows.program, rows.kernels)
    *parts, whole = tasks
    assert list(whole.parts) == [part.key for part in parts]
    measurer = Measurer(Builder(machine(CORE), tvm_target(target)), program_runner(target, tmp_path), PLACE)

    def tune() -> Search:
        search = Search(measurer, file, lambda _: None, Budget(trials=10))
        search.add(tasks, machine(CORE), NUMBERS, seed=0)
        search.run()
        return search

    assert tune().trials > 10
    made = file.read()
    assert {each.outcome.status for each in made if each.kernel == whole.key} == {"ok"}
    found = choices(made, PLACE, ["cycles"])
    own, best = (each.outcome.cost for each in (found[whole.key].own, found[whole.key].best))
    assert own is not None and best is not None and best.value <= own.value
    assert tune().trials == 0 and file.read() == made
    assert [task.key for task, _ in calls_outside(tasks, found)] == [whole.key]
    assert [task.key for task, _ in calls_outside(tasks, {})] == [task.key for task in tasks]
