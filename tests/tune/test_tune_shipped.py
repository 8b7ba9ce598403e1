"""Which records the tool ships that tunes for the cores of the project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from edgetvm.api.tune import TunedTask, TuneReport
from edgetvm.schedule.decision import joint_decision
from edgetvm.tune.records import Record
from tests.tune.records import record

TOOLS = Path(__file__).resolve().parents[2] / "tools"
ROWS, ALONE, PART = ("a" * 16, "b" * 16, "c" * 16)
FAST, SMALL = {"dsp_unrolled": 256}, {"scalar_accumulators": 4}


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    import tune_shipped

    return tune_shipped


def sized(kernel: str, decision: dict[str, int], cost: float, code_bytes: int) -> Record:
    return replace(record(kernel, decision, cost), code_bytes=code_bytes)


def test_a_kernel_over_rows_ships_for_its_parts_and_bytes_are_paid_for(tool: ModuleType, tmp_path: Path) -> None:
    joint = joint_decision({PART: FAST})
    records = [
        *(sized(kernel, {}, 100, 1000) for kernel in (ROWS, ALONE, PART)),
        sized(ROWS, joint, 90, 1050),
        *(
            found
            for kernel in (ALONE, PART)
            for found in (sized(kernel, FAST, 95, 1100), sized(kernel, SMALL, 98, 950))
        ),
    ]
    tasks = [TunedTask(key, "layer", "dsp_tile", 1, 100, 90, {}) for key in (ROWS, ALONE)]
    report = TuneReport("cortex-m4", "cycles", 8, "r.sqlite", tuple(tasks), ())
    run = tool.Run(tmp_path / "model.onnx", "cortex-m4", "balanced", report, 1.0)
    chosen = {choice.own.kernel: dict(choice.best.decision) for choice in tool.shipped([run], records)}
    assert chosen == {ROWS: joint, ALONE: SMALL}
