"""Tuning on a board at a serial port: an emulated one stands in, whose UART is a socket, with the same firmware."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgetvm
from edgetvm.deploy import at_port
from edgetvm.errors import EdgeTVMError, RunError, TargetError, ToolError
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources
from edgetvm.tune import run_program
from edgetvm.tune.build import Builder
from edgetvm.tune.record_file import RecordFile
from edgetvm.tune.types import HUNG, OK, Candidate, Trial
from tests.deploy.board_at_port import BOARD, appearing_board, own_board
from tests.deploy.test_at_port import Script

TRIALS, HANGS = 6, 2


def test_a_model_is_tuned(int8_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One candidate hangs, by code that really does: all are recorded, and a package takes what is best."""
    board, build = own_board(tmp_path, "cortex-m0plus", "mps2-an386"), Builder.build

    def build_with_one_that_hangs(
        self: Builder, candidates: Sequence[Candidate], inputs: Sequence[dict[int, np.ndarray]], work: Path
    ) -> list[Trial | str]:
        built = build(self, candidates, inputs, work)
        trial = built[HANGS]
        assert isinstance(trial, Trial)
        (work / "hang.c").write_text(f'void {trial.symbol}(void) {{ for (;;) {{ __asm__ volatile(""); }} }}\n')
        (hangs,) = compile_sources([work / "hang.c"], work, load_target(board))
        built[HANGS] = replace(trial, object=hangs)
        return built

    monkeypatch.setattr(Builder, "build", build_with_one_that_hangs)
    monkeypatch.setattr(run_program, "_LIMIT_S", 3.0)
    file = tmp_path / "r.sqlite"
    with appearing_board(monkeypatch) as port:
        report = edgetvm.tune(int8_digits, board, board=f"@{port}", trials=TRIALS, optimize="speed", records=file)
    assert (report.unit, report.trials) == ("measured cycles", TRIALS)
    records = RecordFile(file).read()
    assert [record.outcome.status for record in records].count(HUNG) == 1
    costs = [record.outcome.cost for record in records if record.outcome.status == OK]
    assert len(costs) == TRIALS - 1
    assert all(cost and 0 < cost.low <= cost.value <= cost.high < 1.01 * cost.low for cost in costs)
    package = edgetvm.compile(int8_digits, board, tmp_path / "p", optimize="speed", records=file)
    used = [decision for kernel in package.manifest["kernels"] for decision in kernel["decisions"]]
    assert len(used) == sum(bool(task.decision) for task in report.tasks)


def test_what_is_no_candidates_fault_ends_tuning(
    int8_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board that stands in has the registers of a Cortex-M4's cycle counter, but it does not count."""
    file = tmp_path / "r.sqlite"

    def refused(kind: type[EdgeTVMError], match: str, target: str, board: str) -> None:
        with pytest.raises(kind, match=match):
            edgetvm.tune(int8_digits, target, board=board, trials=1, records=file)
        assert not RecordFile(file).read()

    refused(TargetError, "qemu-mps2-an500 has a cortex-m7: .* cortex-m4", "cortex-m4", "qemu-mps2-an500@/dev/none")
    refused(TargetError, "cortex-m4 has no serial port", "cortex-m4", "@/dev/none")
    with appearing_board(monkeypatch) as port:
        refused(ToolError, "the clock stands still", "cortex-m4", f"{BOARD}@{port}")
    monkeypatch.setattr(at_port, "open_port", lambda port, baud: Script(b""))
    monkeypatch.setattr(run_program, "_LIMIT_S", 0.0)
    refused(RunError, "did not finish in time", BOARD, "@/dev/none")
