"""Our packages against stock TVM on this machine, one thread, interleaved in one run.

Stock TVM is `tvm.compile` of the same imported Relax module for the same LLVM target, run by its virtual machine.

    python tools/compare_stock_tvm.py [MODEL.onnx ...]      default: ic01, vww01, squeezenet1_1 of the assets
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["TVM_NUM_THREADS"] = "1"

import numpy as np
import tvm
from rich.console import Console
from rich.table import Table
from tvm import relax

import edgetvm
from edgetvm.importers.onnx import import_onnx
from edgetvm.importers.types import TensorInfo
from edgetvm.oracle.random_data import random_data
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target

MODELS = ("ic01", "vww01", "squeezenet1_1")


def main() -> None:
    """Measure every model given and print one table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=5, help="times that the two are measured in turn")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    assets = Path(os.environ.get("EDGETVM_ASSETS", Path(__file__).resolve().parents[2] / "shared" / "assets"))
    models = options.models or [assets / name / "model.onnx" for name in MODELS]
    rows = {(path.parent.name if path.stem == "model" else path.stem): compare(path, options.rounds) for path in models}
    if options.json:
        print(json.dumps(rows))
        return
    table = Table("model", "EdgeTVM us", "stock TVM us", "stock / ours")
    for name, row in rows.items():
        table.add_row(name, f"{row['ours_us']:.0f}", f"{row['stock_us']:.0f}", f"{row['ratio']:.1f}")
    Console().print(table)


def compare(model: Path, rounds: int) -> dict[str, float]:
    """Median latencies in us, and the median over rounds of their ratio."""
    imported = import_onnx(model)
    stock = stock_vm(imported.module, imported.inputs)
    with tempfile.TemporaryDirectory() as folder:
        package = edgetvm.compile(model, "host", Path(folder) / "package")
        pairs = []
        for _ in range(rounds):
            ours = package.bench(runs=20).latency_us_median
            assert ours is not None
            pairs.append((ours, stock()))
    return {
        "ours_us": statistics.median(a for a, _ in pairs),
        "stock_us": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(b / a for a, b in pairs),
    }


def stock_vm(module: tvm.IRModule, inputs: tuple[TensorInfo, ...]) -> Callable[[], float]:
    """A function that gives the median latency in us of a few runs of `tvm.compile`'s result."""
    executable = tvm.compile(module, tvm_target(load_target("host")))
    machine = relax.VirtualMachine(executable, tvm.cpu())
    sample = next(iter(random_data(inputs, 1, 0)))
    arrays = [tvm.runtime.tensor(np.ascontiguousarray(sample[info.name])) for info in inputs]

    def measure() -> float:
        machine["main"](*arrays)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            machine["main"](*arrays)
            times.append((time.perf_counter() - start) * 1e6)
        return statistics.median(times)

    return measure


if __name__ == "__main__":
    main()
