"""Compile the bundled digits model for three targets, run it on each and print one table."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

import edgetvm
from edgetvm.errors import EdgeTVMError, ToolError
from edgetvm.report.types import BenchReport

DEMO = Path(__file__).resolve().parent.parent / "demo"
EVALUATION = DEMO / "evaluation.npz"
TARGETS = ("host", "raspberry-pi-4", "qemu-mps2-an386")


def count(value: int | None, unit: str) -> str:
    return "-" if value is None else f"{value:,} {unit}"


def speed(bench: BenchReport) -> str:
    """An emulator counts instructions; its latency would say nothing about the board."""
    if bench.instructions is not None:
        return count(bench.instructions, "instructions")
    return "-" if bench.latency_us_median is None else f"{bench.latency_us_median:,.1f} us"


def measure(package: edgetvm.Package) -> tuple[list[str], bool]:
    """The cells of one row, and whether the outputs agree with ONNX Runtime's."""
    accuracy = package.evaluate(EVALUATION)
    bench = package.bench()
    verify = package.verify(data=EVALUATION)
    cells = [
        f"{100 * accuracy.value:.1f} % of {accuracy.samples}",
        speed(bench),
        count(bench.flash_bytes, "B"),
        count(bench.ram_bytes, "B"),
        f"{verify.max_rel_error:.1e} (limit {verify.tolerance:.0e})",
    ]
    return cells, verify.passed


def main() -> int:
    console = Console()
    table = Table("target", "accuracy", "one inference", "flash", "RAM", "error against ONNX Runtime", title="digits")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for target in TARGETS:
            console.print(f"{target}: compile and run")
            try:
                package = edgetvm.compile(DEMO / "digits.onnx", target=target, output=Path(folder) / target)
                cells, passed = measure(package)
                failed |= not passed
                table.add_row(target, *cells)
            except ToolError as error:  # an emulator is missing: the other lines are still worth having
                table.add_row(target, *["-"] * 4, f"not run: {error.message}")
            except EdgeTVMError as error:
                failed = True
                table.add_row(target, *["-"] * 4, f"failed: {error.message}")
    console.print(table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
