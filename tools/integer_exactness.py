"""Compile quantized models for several targets and compare every kernel with the integer interpreter.

    python tools/integer_exactness.py QUANTIZED.onnx [...] [--data NAME=evaluation.npz] [--targets host,cortex-a53]
        [--samples 100]

Half of the samples are evaluation data, where given, half are uniform random integers. Prints one row a model
and target: kernels compared, values that differ, and what the package weighs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import edgetvm
from edgetvm.errors import EdgeTVMError
from edgetvm.importers.onnx import interface
from edgetvm.importers.read import read_model
from edgetvm.oracle.data import load_data
from edgetvm.report.border import codes

HEADER = ("model", "target", "samples", "kernels", "differ", "in float", "flash", "weights", "arena", "stack", "s")
TARGETS = "host,cortex-a53,cortex-a76,qemu-mps2-an386,qemu-mps3-an547"


def samples_of(package: edgetvm.Package, data: Path | None, preprocess: Path | None, count: int, folder: Path) -> Path:
    """An `.npz` of codes for every input of a package with integer borders."""
    from edgetvm.deploy.read_package import read_package

    inputs = read_package(package.path).inputs
    rng = np.random.default_rng(0)
    real = 0 if data is None else count // 2
    arrays: dict[str, list[np.ndarray]] = {tensor.name: [] for tensor in inputs}
    if data is not None:
        numbers, _ = interface(read_model(package.path / "reference" / "model.onnx", {})[0])
        for _, sample in zip(range(real), load_data(data, numbers, preprocess), strict=False):
            for tensor in inputs:
                arrays[tensor.name].append(codes(tensor, sample[tensor.name]))
    for tensor in inputs:
        info = np.iinfo(tensor.dtype)
        while len(arrays[tensor.name]) < count:
            arrays[tensor.name].append(rng.integers(info.min, info.max, tensor.shape, tensor.dtype, endpoint=True))
    path = folder / "codes.npz"
    np.savez(path, **{name: np.stack(rows) for name, rows in arrays.items()})
    return path


def row(model: Path, target: str, data: Path | None, preprocess: Path | None, count: int) -> list[str]:
    """Compile, run and compare."""
    with tempfile.TemporaryDirectory() as work:
        try:
            package = edgetvm.compile(model, target, Path(work) / "package", integer_io=True)
        except EdgeTVMError as error:
            return [model.stem, target, f"not compiled: {error.message}", *["-"] * 8]
        samples = samples_of(package, data, preprocess, count, Path(work))
        start = time.perf_counter()
        report = package.verify(data=samples)
        seconds = time.perf_counter() - start
        judged = [kernel for kernel in report.kernels if kernel.wrong is not None]
        manifest = package.manifest
        floats = len(manifest["integer"]["float_operators"])
        return [
            model.stem,
            target,
            str(report.samples),
            f"{len(judged)} of {len(report.kernels)}",
            str(report.integer_mismatches),
            str(floats),
            str(manifest["flash_bytes"]),
            str(manifest["weight_bytes"]),
            str(manifest["arena"]["bytes"]),
            str(package.bench().stack_bytes),
            f"{seconds:.0f}",
        ]


def main() -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--data", action="append", default=[], metavar="NAME=DATA", help="data of the model NAME")
    parser.add_argument("--preprocess", type=Path)
    parser.add_argument("--targets", default=TARGETS)
    parser.add_argument("--samples", type=int, default=100)
    given = parser.parse_args()
    data = dict(entry.split("=", 1) for entry in given.data)
    print(f"| {' | '.join(HEADER)} |\n|{' --- |' * len(HEADER)}")
    for model in given.models:
        found = Path(data[model.stem]) if model.stem in data else None
        for target in given.targets.split(","):
            print(f"| {' | '.join(row(model, target, found, given.preprocess, given.samples))} |", flush=True)


if __name__ == "__main__":
    main()
