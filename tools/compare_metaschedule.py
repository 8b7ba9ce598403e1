"""Tuned for the same wall time on this machine: our packages against TVM's own MetaSchedule, one thread.

    python tools/compare_metaschedule.py [MODEL.onnx] [--minutes 5]    default: ic01 of the assets; the extra `bench`

`edgetvm tune` runs for so many minutes. MetaSchedule then has exactly the wall time, start included, that this took:
TVM's importer and fusion, `tune_relax` with its rules for LLVM, and a compilation with what was recorded until then. It
runs as shipped, and with what spares it the most: see compare_metaschedule_worker.py. Then all are timed in turn in
this process, after their outputs were compared with ONNX Runtime's.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["TVM_NUM_THREADS"] = "1"

import numpy as np
import onnxruntime
import tvm
from compare_metaschedule_worker import INTRINSICS, fused, host, import_intrinsics
from compare_peers_worker import Engine, measure, ours
from rich.console import Console
from rich.table import Table
from tvm import relax
from tvm.s_tir.meta_schedule.database import JSONDatabase

import edgetvm
from edgetvm.importers.onnx import import_onnx
from edgetvm.oracle.random_data import random_data

TOLERANCE = 1e-4
WORKER = Path(__file__).with_name("compare_metaschedule_worker.py")
TUNE = "import sys; from edgetvm.cli.main import main; sys.exit(main(sys.argv[1:]))"
TUNED, UNTUNED = "EdgeTVM, tuned", "EdgeTVM"
MODES = {"MetaSchedule, as shipped": "as-shipped", "MetaSchedule, helped": "helped"}


def main() -> None:
    """Tune, compile, check and time; print one table, or one JSON object."""
    assets = Path(os.environ.get("EDGETVM_ASSETS", Path(__file__).resolve().parents[2] / "shared" / "assets"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, default=assets / "ic01" / "model.onnx")
    parser.add_argument("--minutes", type=float, default=5.0, help="of `edgetvm tune`")
    parser.add_argument("--rounds", type=int, default=20, help="times that all are timed in turn")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = compare(options.model.resolve(), options.minutes, options.rounds, Path(folder))
    if options.json:
        print(json.dumps(rows))
        return
    table = Table("", "wall time s", "trials", "us", "times ours")
    for name, row in rows.items():
        table.add_row(name, f"{row['seconds']:.0f}", f"{row['trials']:.0f}", f"{row['us']:.1f}", f"{row['ratio']:.2f}")
    Console().print(table)


def compare(model: Path, minutes: float, rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Of each: the wall time it tuned, the trials it measured, median us, and the median over rounds of us by ours."""
    began = time.monotonic()
    records = folder / "records.sqlite"
    limit = ["--minutes", str(minutes), "--records", str(records), "--json"]
    tuned = run([sys.executable, "-c", TUNE, "tune", str(model), "--target", "host", *limit])
    seconds = time.monotonic() - began
    trials = {TUNED: (seconds, int(json.loads(tuned)["trials"])), UNTUNED: (0.0, 0)}
    inputs = inputs_of(model)
    engines = {
        TUNED: package(model, folder / "tuned", inputs, records),
        UNTUNED: package(model, folder / "untuned", inputs),
    }
    import_intrinsics(INTRINSICS)
    for name, mode in MODES.items():
        (folder / mode).mkdir()
        run([sys.executable, str(WORKER), str(model), str(folder / mode), mode], seconds)
        engines[name], measured = stock(model, folder / mode, inputs)
        trials[name] = seconds, measured
    check(model, inputs, engines)
    times = [
        {name: statistics.median(measure(engine, 0.1)) / 1000 for name, engine in engines.items()}
        for _ in range(rounds)
    ]
    return {
        name: {
            "seconds": trials[name][0],
            "trials": trials[name][1],
            "us": statistics.median(row[name] for row in times),
            "ratio": statistics.median(row[name] / row[TUNED] for row in times),
        }
        for name in engines
    }


def run(command: list[str], seconds: float | None = None) -> str:
    """What a command prints. With `seconds` it is to run until it is ended then, with all that it started."""
    piped = subprocess.PIPE
    with subprocess.Popen(command, stdout=piped, stderr=piped, text=True, start_new_session=True) as process:
        try:
            said, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return ""
    if process.returncode or seconds is not None:
        raise RuntimeError(f"{' '.join(command)} ended: {errors[-2000:]}")
    return said


def inputs_of(model: Path) -> dict[str, np.ndarray]:
    """Random inputs of a model."""
    sample = next(iter(random_data(import_onnx(model).inputs, 1, 0)))
    return {name: np.ascontiguousarray(array) for name, array in sample.items()}


def package(model: Path, folder: Path, inputs: dict[str, np.ndarray], records: Path | None = None) -> Engine:
    """Ours, with records or without any."""
    edgetvm.compile(model, "host", folder, records=records, use_records=records is not None)
    return ours(folder, 1, inputs)


def stock(model: Path, folder: Path, inputs: dict[str, np.ndarray]) -> tuple[Engine, int]:
    """TVM's virtual machine with what MetaSchedule recorded, and how many trials it measured."""
    for file in folder.glob("database_*.json"):
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if line.endswith("\n")))  # the last one may be cut off
    database, target = JSONDatabase(work_dir=str(folder)), host()
    measured = sum(max(float(x) for x in record.run_secs) < 1e9 for record in database.get_all_tuning_records())
    # Not `compile_relax`: it fuses once more, and then finds no record of what was fused before.
    with target, database, tvm.transform.PassContext(opt_level=3):
        module = relax.transform.MetaScheduleApplyDatabase()(fused(model, target))
    machine = relax.VirtualMachine(tvm.compile(module, target), tvm.cpu())
    arrays = [tvm.runtime.tensor(array) for array in inputs.values()]
    run_main = machine["main"]
    return Engine(lambda: run_main(*arrays), lambda: first_of(run_main(*arrays))), measured


def first_of(result: object) -> np.ndarray:
    """The first output of what a function of Relax gives."""
    return np.asarray((result if hasattr(result, "numpy") else result[0]).numpy())


def check(model: Path, inputs: dict[str, np.ndarray], engines: dict[str, Engine]) -> None:
    """All outputs must be those of ONNX Runtime, within 1e-4 of their range."""
    wanted = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"]).run(None, inputs)[0]
    for name, engine in engines.items():
        engine.run()
        error = float(np.max(np.abs(engine.output().reshape(wanted.shape) - wanted)) / np.ptp(wanted))
        if not error <= TOLERANCE:
            raise RuntimeError(f"{name}: the output is {error:.1e} of its range from ONNX Runtime's")


if __name__ == "__main__":
    main()
