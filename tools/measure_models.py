"""Compile the models of the assets for several targets, verify each package and print what it costs.

    python tools/measure_models.py [--targets host,cortex-a53] [--models ic01,kws01] [--samples 2]

Errors are relative to the range of ONNX Runtime's output. Host latencies are medians of this machine, on one
thread; emulated targets give executed instructions of one inference, which repeat exactly.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import edgetvm

ALL = (
    "ad01",
    "ic01",
    "kws01",
    "vww01",
    "resnet20_cifar10",
    "mobilenet_v1_025",
    "mobilenet_v2",
    "squeezenet1_1",
    "minilm_l6",
)
TINY = ("ad01", "ic01", "kws01", "vww01")
MATRIX = {
    "host": ALL,
    "cortex-a53": (*TINY, "mobilenet_v1_025", "squeezenet1_1"),
    "cortex-a8": TINY,
    "qemu-mps2-an386": TINY,
    "qemu-mps2-an500": TINY,
    "qemu-mps3-an547": TINY,
}
HEADER = (
    "target",
    "model",
    "compile s",
    "max rel. error",
    "us or instructions",
    "flash B",
    "RAM B",
    "arena / live",
    "stack B",
)


def main() -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", default=",".join(MATRIX))
    parser.add_argument("--models", default=",".join(ALL))
    parser.add_argument("--samples", type=int, default=2)
    options = parser.parse_args()
    assets = Path(os.environ.get("EDGETVM_ASSETS", Path(__file__).resolve().parents[2] / "shared" / "assets"))
    print(f"| {' | '.join(HEADER)} |\n|{' --- |' * len(HEADER)}")
    for target in options.targets.split(","):
        for model in MATRIX.get(target, TINY):
            if model in options.models.split(","):
                print(
                    f"| {' | '.join(measure(assets / model / 'model.onnx', model, target, options.samples))} |",
                    flush=True,
                )


def measure(path: Path, model: str, target: str, samples: int) -> list[str]:
    """One row: compile, verify on seeded random inputs, bench."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        try:
            package = edgetvm.compile(path, target, Path(folder) / "package")
        except edgetvm.EdgeTVMError as error:
            return [target, model, error.message, *[""] * (len(HEADER) - 3)]
        seconds = time.perf_counter() - start
        verified = package.verify(samples=samples)
        bench = package.bench()
    cost = f"{bench.instructions} insn" if bench.latency_us_median is None else f"{bench.latency_us_median:.0f} us"
    ratio = package.manifest["arena"]["bytes"] / package.manifest["arena"]["live_bytes"]
    error = f"{verified.max_rel_error:.1e}{'' if verified.passed else ' FAILED'}"
    return [
        target,
        model,
        f"{seconds:.1f}",
        error,
        cost,
        *map(str, (bench.flash_bytes, bench.ram_bytes)),
        f"{ratio:.2f}",
        str(bench.stack_bytes),
    ]


if __name__ == "__main__":
    main()
