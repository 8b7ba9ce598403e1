"""Tune for the cores whose records ship, and write `schedules/tuned/CORE/records.jsonl`.

    python tools/tune_shipped.py [--cores cortex-a53,cortex-m4] [--optimize balanced,speed] [--models ic01,kws01]
        [--trials 150] [--records FILE] [--output schedules/tuned]

All trials are kept in FILE: a run that was ended goes on where it was, what was measured is not measured again, and a
core begins with what was good on those before it. What ships is what a compilation can use: of each kernel the best
decision, and beside it what the rule's own choice costs. But for `speed`, decisions that save bytes pay for those
that take more: who has not tuned pays no flash or disk for speed, and instructions are not yet time on a board.

One row a model: minutes of search, kernels with a decision, and what an inference takes by packages without and with
these records, which are read back from the text; the latter's kernels are compared with the interpreter.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from quantization_table import CASES

import edgetvm
from edgetvm import api
from edgetvm.api.tune import TuneReport
from edgetvm.report.types import BenchReport
from edgetvm.resources import schedules_dir
from edgetvm.schedule.recipe import machine_for
from edgetvm.target.load import load_target
from edgetvm.tune.best import Choice, choices, choices_within
from edgetvm.tune.record_file import RecordFile
from edgetvm.tune.records import Record, place_of
from edgetvm.tune.text import FILE_NAME, write_text

BOARDS = {  # the one with an emulator; Linux cores need none
    "cortex-a53": None,
    "cortex-a76": None,
    "cortex-m4": "qemu-mps2-an386",
    "cortex-m7": "qemu-mps2-an500",
    "cortex-m55": "qemu-mps3-an547",
}
TINY = ("ad01", "ic01", "kws01", "vww01")
PUBLISHED, FLOAT, QUANTIZED = "reference_int8.tflite", "model.onnx", "quantized by EdgeTVM"
MICRO = tuple((name, PUBLISHED) for name in TINY)
LINUX = (*MICRO, *((name, FLOAT) for name in (*TINY, "mobilenet_v1_025")), ("mobilenet_v1_025", QUANTIZED))
HEADER = ("core", "mode", "model", "trials", "min", "decisions", "before", "after", "ratio", "flash B", "RAM B")


@dataclass(frozen=True)
class Run:
    """One model tuned for one core in one mode of `compile`, in so many minutes."""

    model: Path
    core: str
    optimize: str
    report: TuneReport
    minutes: float


def main() -> None:
    """Tune, write, and print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", default=",".join(BOARDS))
    parser.add_argument("--optimize", default="balanced")
    parser.add_argument("--models", default=",".join(dict(LINUX)))
    parser.add_argument("--trials", type=int, default=150, help="of a model for a core in a mode")
    parser.add_argument("--records", type=Path, default=Path("shipped.sqlite"))
    parser.add_argument("--output", type=Path, default=schedules_dir() / "tuned")
    options = parser.parse_args()
    print(f"| {' | '.join(HEADER)} |\n|{' --- |' * len(HEADER)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for core in options.cores.split(","):
            cases = [case for case in (MICRO if BOARDS[core] else LINUX) if case[0] in options.models.split(",")]
            runs = [
                search(model_file(*case, folder), core, optimize, options.trials, options.records)
                for optimize in options.optimize.split(",")
                for case in cases
            ]
            text = options.output / core / FILE_NAME
            text.parent.mkdir(parents=True, exist_ok=True)
            text.unlink(missing_ok=True)  # what shipped before is not what is measured
            chosen = shipped(runs, RecordFile(options.records).read())
            text.write_text(write_text(record for choice in chosen for record in (choice.own, choice.best)))
            back = folder / f"{core}.sqlite"
            api.merge_records([text], back)
            for run in runs:
                print(f"| {' | '.join(row(run, back, folder))} |", flush=True)
            print(f"\n{text}: {len(chosen)} decisions, {text.stat().st_size:,} bytes\n", flush=True)


def model_file(name: str, form: str, folder: Path) -> Path:
    """A model of the assets, in `folder` if it has to be quantized first."""
    root = Path(os.environ.get("EDGETVM_ASSETS", Path(__file__).resolve().parents[2] / "shared" / "assets"))
    if form != QUANTIZED:
        return root / name / form
    path = folder / name / "quantized.onnx"
    if not path.exists():
        path.parent.mkdir()
        rule = folder / f"{name}.toml"
        rule.write_text(CASES[name].preprocess)
        edgetvm.quantize(root / name / FLOAT, path, root / "images" / "calibration", preprocess=rule)
    return path


def search(model: Path, core: str, optimize: str, trials: int, records: Path) -> Run:
    """Tune, or find that it has been done."""
    start = time.monotonic()
    objective = "size" if optimize == "size" else "latency"
    report = edgetvm.tune(model, core, trials=trials, objective=objective, optimize=optimize, records=records)
    return Run(model, core, optimize, report, (time.monotonic() - start) / 60)


def shipped(runs: Iterable[Run], records: list[Record]) -> list[Choice]:
    """The decisions that ship, once where models share a kernel."""
    found: dict[tuple[str, str], Choice] = {}
    for run in runs:
        machine = machine_for(load_target(run.core), "library", run.optimize)
        calls = {task.key: task.calls for task in run.report.tasks}
        place, units = place_of(run.core, machine, run.optimize), [run.report.unit]
        known = [record for record in records if record.kernel in calls]
        best = choices(known, place, units) if run.optimize == "speed" else choices_within(known, place, units, calls)
        for kernel, choice in best.items():
            if choice.best.decision:
                found.setdefault((kernel, run.optimize), choice)
    return list(found.values())


def cost_of_bench(report: BenchReport) -> int:
    """Modelled cycles, else instructions."""
    return report.modelled_cycles or report.instructions or 0


def row(run: Run, records: Path, folder: Path) -> list[str]:
    """What two packages take of a board; the second must be right."""
    measured: list[BenchReport] = []
    for options in ({"use_records": False}, {"records": records}):
        with tempfile.TemporaryDirectory(dir=folder) as output:
            package = edgetvm.compile(run.model, run.core, Path(output) / "package", optimize=run.optimize, **options)
            measured.append(package.bench(board=BOARDS[run.core]))
            right = package.verify(board=BOARDS[run.core], samples=1).passed
            decisions = sum(bool(kernel["decisions"]) for kernel in package.manifest["kernels"])
    costs = [cost_of_bench(report) for report in measured]
    before, after = measured
    return [
        run.core,
        run.optimize,
        f"{run.model.parent.name} {run.model.name}{'' if right else ' FAILED'}",
        str(run.report.trials),
        f"{run.minutes:.1f}",
        str(decisions),
        *(f"{cost:,}" for cost in costs),
        f"{costs[1] / costs[0]:.3f}",
        f"{before.flash_bytes:,} {after.flash_bytes:,}",
        f"{before.ram_bytes:,} {after.ram_bytes:,}",
    ]


if __name__ == "__main__":
    main()
