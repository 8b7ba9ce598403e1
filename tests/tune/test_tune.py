"""Tuning from a model to a package."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import edgetvm
from edgetvm import api
from edgetvm.errors import DataError, EdgeTVMError, TargetError
from edgetvm.schedule.apply import schedule_kernel
from edgetvm.schedule.decision import decision_text
from edgetvm.schedule.kernel_key import kernel_key
from edgetvm.schedule.recipe import machine_for
from edgetvm.target.load import load_target
from edgetvm.tune import run_program, task_search
from edgetvm.tune.record_file import RecordFile
from edgetvm.tune.search import of_other_cores
from edgetvm.tune.space import Space
from edgetvm.tune.status import Status, cost_text, gain_text
from edgetvm.tune.task_search import TaskSearch
from edgetvm.tune.types import TuningTask
from tests.tools import require_tool
from tests.tune.layers import conv_layer
from tests.tune.records import PLACE, record

TRIALS = 16


@pytest.fixture(scope="module")
def shown() -> list[Status]:
    """What the run that made the records showed."""
    return []


@pytest.fixture(scope="module")
def said() -> list[str]:
    """The lines that it said."""
    return []


@pytest.fixture(scope="module")
def tuned(
    int8_digits: Path, shown: list[Status], said: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, api.TuneReport]:
    """The demo model's records for cortex-m4, and what was found."""
    require_tool("qemu-system-arm")
    file = tmp_path_factory.mktemp("tuned") / "r.sqlite"
    return file, edgetvm.tune(
        int8_digits, "cortex-m4", trials=TRIALS, optimize="speed", records=file, log=said.append, watch=shown.append
    )


def test_the_report(tuned: tuple[Path, api.TuneReport]) -> None:
    file, report = tuned
    assert (report.target, report.unit, report.trials) == ("cortex-m4", "cycles", TRIALS)
    assert len(RecordFile(file).read()) == TRIALS
    assert report.after < report.before
    assert [point.trials for point in report.curve] == sorted({point.trials for point in report.curve})
    assert report.curve[-1].cost == pytest.approx(report.after)
    better = [task for task in report.tasks if task.decision]
    assert better and all(task.after < task.before for task in better)
    json.dumps(report.to_json(), allow_nan=False)


def test_whoever_waits_sees_how_far_it_is(tuned: tuple[Path, api.TuneReport], shown: list[Status]) -> None:
    report, last = tuned[1], shown[-1]
    assert (last.trials, last.made, last.left, last.unit) == (TRIALS, TRIALS, 0, "cycles")
    assert (last.before, last.best) == (pytest.approx(report.before), pytest.approx(report.after))
    assert last.rate == pytest.approx(60 * TRIALS / last.seconds)
    assert sum(task.trials for task in last.tasks) == TRIALS
    assert sum(task.share for task in last.tasks) == pytest.approx(1)
    assert [task.share for task in last.tasks] == sorted((task.share for task in last.tasks), reverse=True)
    assert {(task.kernel, task.before, task.best) for task in last.tasks} == {
        (task.kernel, task.before, task.after) for task in report.tasks
    }


def test_the_log_tells_the_story(tuned: tuple[Path, api.TuneReport], said: list[str]) -> None:
    report = tuned[1]
    best = next(task for task in report.tasks if task.decision)
    gain = f"-> {cost_text(best.after)} cycles a call: {decision_text(best.decision)}"
    assert any(line.startswith(f"{best.kernel}: ") and line.endswith(gain) for line in said)
    assert any(line.endswith(f": {cost_text(report.after)} cycles an inference, 0 s left") for line in said)
    assert said[-1] == f"{TRIALS} trials: {gain_text(report.before, report.after, 'cycles')}"


def test_a_package_of_records(tuned: tuple[Path, api.TuneReport], int8_digits: Path, tmp_path: Path) -> None:
    file, report = tuned

    def package(name: str, **options: object) -> edgetvm.Package:
        return edgetvm.compile(int8_digits, "cortex-m4", tmp_path / name, optimize="speed", **options)  # type: ignore[arg-type]

    once, again, plain = package("a", records=file), package("b", records=file), package("c", use_records=False)
    used = [decision for kernel in once.manifest["kernels"] for decision in kernel["decisions"]]
    assert used and all(decision in [dict(task.decision) for task in report.tasks] for decision in used)
    assert once.manifest["options"]["records"] and plain.manifest["options"]["records"] is None
    assert not any(kernel["decisions"] for kernel in plain.manifest["kernels"])
    for path in (path for path in once.path.rglob("*") if path.is_file()):
        assert path.read_bytes() == (again.path / path.relative_to(once.path)).read_bytes()
    board = "qemu-mps2-an386"
    assert once.verify(board=board, samples=2).passed
    cycles = [each.bench(board=board).modelled_cycles for each in (once, plain)]
    assert cycles[0] is not None and cycles[1] is not None and cycles[0] < cycles[1]


def test_what_is_known_is_not_measured_again(
    tuned: tuple[Path, api.TuneReport], int8_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_search, "_PATIENCE", 3)
    file = Path(shutil.copy(tuned[0], tmp_path / "r.sqlite"))
    report = edgetvm.tune(int8_digits, "cortex-m4", optimize="speed", records=file)
    assert report.after <= tuned[1].after
    monkeypatch.setattr(run_program.ProgramRunner, "run", lambda *_: pytest.fail("measured again"))
    last = edgetvm.tune(int8_digits, "cortex-m4", optimize="speed", records=file)
    assert last.trials == 0
    assert (last.after, last.tasks) == (report.after, report.tasks)


def test_records_are_listed_merged_pruned_and_exported(tuned: tuple[Path, api.TuneReport], tmp_path: Path) -> None:
    (summary,) = api.list_records(tuned[0])
    assert (summary.core, sum(summary.statuses.values())) == ("cortex-m4", TRIALS)
    other = tmp_path / "other.sqlite"
    assert api.merge_records([tuned[0], tuned[0]], other) == TRIALS
    assert api.merge_records([tuned[0]], other) == 0
    (text,) = api.export_records(tmp_path / "tuned", other)
    assert text == tmp_path / "tuned" / "cortex-m4" / "records.jsonl"
    dropped = api.prune_records(other)
    kept = RecordFile(other).read()
    assert len(kept) == TRIALS - dropped == len(text.read_text().splitlines()) - 1
    assert api.prune_records(other) == 0
    assert api.list_records(other)[0].improved == summary.improved
    from_text = tmp_path / "from-text.sqlite"
    assert api.merge_records([text], from_text) == len(kept)


def test_bad_input(int8_digits: Path, tmp_path: Path) -> None:
    def refused(kind: type[EdgeTVMError], target: str = "cortex-m4", **options: object) -> None:
        with pytest.raises(kind):
            edgetvm.tune(int8_digits, target, records=tmp_path / "r.sqlite", **options)  # type: ignore[arg-type]

    refused(DataError, trials=0)
    refused(DataError, minutes=0)
    refused(TargetError, objective="beauty")
    refused(TargetError, target="generic-c")
    with pytest.raises(EdgeTVMError, match="does not exist"):
        api.list_records(tmp_path / "none.sqlite")


def searched(layer: TuningTask, price: dict[str, float], limit: int) -> TaskSearch:
    """A search whose candidates cost 1, but for what `price` says of numbers in them, to its end or `limit` trials."""
    target = load_target("cortex-m4")
    space = Space(layer, machine_for(target, "library"), {"dsp_unrolled": (16, 32, 128), "register_steps": (4,)})
    search = TaskSearch(space, seed=3)
    while not search.done and len(search.tried) < limit:
        for candidate in search.propose(4):
            names = [f"{name} {value}" for name, value in candidate.decision.items()]
            cost = 100.0 + sum(price.get(name, 0.0) for name in names)
            search.tell([record(decision=candidate.decision, cost=cost)])
    return search


def test_a_search_finds_the_number_that_helps_and_ends() -> None:
    func, constants = conv_layer(channels=32, outputs=32)
    task = TuningTask("ab" * 8, "layer", func, constants, "dsp_tile", 1)
    assert schedule_kernel(func, machine_for(load_target("cortex-m4"), "library"), constants).rule == "dsp_tile"
    search = searched(task, {"dsp_unrolled 128": -20.0}, 400)
    assert search.done and search.best is not None
    assert search.best[0]["dsp_unrolled"] == 128
    assert "register_steps" not in search.space.moves  # `dsp_tile` has none
    assert [decision for decision, _ in search.costs] == [
        decision for decision, _ in searched(task, {"dsp_unrolled 128": -20.0}, 400).costs
    ]


def test_how_far_llvm_optimizes_is_decided_for_one_kernel() -> None:
    func, constants = conv_layer()
    machine = machine_for(load_target("host"), "library")
    key = kernel_key(func)
    space = Space(TuningTask(key, "layer", func, constants, "dot_tile", 1), machine, {"llvm_level": (1, 2)})
    assert space.moves == {"llvm_level": [0, 1, 2]}
    assert space.written({}) != space.written({"llvm_level": 1})
    decided = replace(machine, decisions={key: {"llvm_level": 1}})
    assert schedule_kernel(func, decided, constants).llvm_level == 1
    assert schedule_kernel(conv_layer(size=7)[0], decided, constants).llvm_level == 0


def test_what_another_core_found_is_tried_first() -> None:
    func, constants = conv_layer(channels=32, outputs=32)
    target = load_target("cortex-m4")
    numbers = {"dsp_unrolled": (16, 32, 128, 256), "scalar_accumulators": (4, 6, 10)}
    space = Space(
        TuningTask("cd" * 8, "layer", func, constants, "dsp_tile", 1), machine_for(target, "library"), numbers
    )
    there = replace(PLACE, core="cortex-m7")
    tiles = space.tiles({})
    records = [record(place=there), *(record(decision=tile, cost=100 + n, place=there) for n, tile in enumerate(tiles))]
    records.append(record(decision=tiles[-1], cost=60, place=there))
    hints = of_other_cores([*records, record(decision=tiles[1], cost=1)], PLACE)
    assert hints[-1] == (tiles[-1], 0.6) and len(hints) == len(tiles) + 1
    search = TaskSearch(space, 0, hints)
    assert [candidate.decision for candidate in search.propose(8)] == [{}, tiles[-1]]
    assert search.hinted == [tiles[-1]]
    search.tell([record()])
    assert search.propose(1)[0].decision == tiles[-1]
    search.tell([record(decision=tiles[-1], cost=120)])
    assert search.hinted == []
    assert TaskSearch(space, 0, [(tiles[0], 0.5)]).hinted == []  # the rule's own choice here
    worse = TaskSearch(space, 0, [(tiles[-1], 1.2)])
    assert [candidate.decision for candidate in worse.propose(8)] == [{}]
