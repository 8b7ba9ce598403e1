"""Which records the tool ships that tunes for the cores of the project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from edgetvm.api.tune import TunedTask, TuneReport
from edgetvm.tune.best import cost_of
from edgetvm.tune.records import Record
from tests.tune.records import record

TOOLS = Path(__file__).resolve().parents[2] / "tools"
PART, OTHER, ALONE = ("a" * 16, "b" * 16, "c" * 16)
FAST, SMALL = {"dsp_unrolled": 256}, {"scalar_accumulators": 4}


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    import tune_shipped

    return tune_shipped


def sized(kernel: str, decision: dict[str, int], cost: float, code_bytes: int) -> Record:
    return replace(record(kernel, decision, cost), code_bytes=code_bytes)


RECORDS = [
    *(sized(kernel, {}, 100, 1000) for kernel in (PART, OTHER, ALONE)),
    *(sized(kernel, FAST, 90, 1100) for kernel in (PART, ALONE)),
    *(sized(kernel, SMALL, 98, 950) for kernel in (PART, ALONE)),
    sized(PART, {"register_steps": 4}, 99, 960),  # dearer and larger than SMALL
]


def test_none_is_better_in_cost_and_bytes(tool: ModuleType) -> None:
    kept = tool.front(one for one in RECORDS if one.kernel == PART)
    assert [one.decision for one in kept] == [FAST, SMALL]


def test_parts_ship_with_what_a_package_gains(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tasks = [TunedTask(key, "rows", "dsp_tile", 16, 100, 90, FAST) for key in (PART, OTHER)]
    tasks.append(TunedTask(ALONE, "layer", "dsp_tile", 1, 100, 90, FAST))
    report = TuneReport("cortex-m4", "cycles", 8, "r.sqlite", tuple(tasks), ())
    run = tool.Run(tmp_path / "model.onnx", "cortex-m4", "balanced", report, 1.0)

    def bench(run: object, records: list[Record], folder: Path) -> SimpleNamespace:
        decisions = [dict(one.decision) for one in records]
        cycles, flash = (-80, 120) if FAST in decisions else (+320, -40) if SMALL in decisions else (0, 0)
        return SimpleNamespace(modelled_cycles=9000 + cycles, instructions=None, flash_bytes=5000 + flash)

    monkeypatch.setattr(tool, "bench", bench)
    found = {
        (one.kernel, str(one.decision)): (cost_of(one).value, one.code_bytes)
        for one in tool.in_place(run, RECORDS, tmp_path)
    }
    assert found == {
        (PART, "{}"): (100, 1000),
        (PART, str(FAST)): (95, 1120),
        (PART, str(SMALL)): (120, 960),
        (OTHER, "{}"): (100, 1000),
        (ALONE, "{}"): (100, 1000),
        (ALONE, str(FAST)): (90, 1100),
        (ALONE, str(SMALL)): (98, 950),
    }
    # Alone SMALL pays for half of FAST; within the bytes of the rules only one can be had.
    chosen = {choice.own.kernel: dict(choice.best.decision) for choice in tool.shipped([run], RECORDS, tmp_path)}
    assert chosen == {ALONE: SMALL}
