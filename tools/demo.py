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
COLUMNS = ("target", "accuracy", "latency or\ninstructions", "flash\nKB", "RAM\nKB", "error against\nONNX Runtime")


def kilobytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1000:.1f}"


def speed(bench: BenchReport) -> str:
    """An emulator counts instructions; its latency would say nothing about the board."""
    if bench.instructions is not None:
        return f"{bench.instructions:,}"
    return "-" if bench.latency_us_median is None else f"{bench.latency_us_median:,.1f} us"


def row(target: str, folder: Path) -> tuple[list[str], str | None, bool]:
    """One line of the table, a note to it, and whether the target is as it should be."""
    try:
        package = edgetvm.compile(DEMO / "digits.onnx", target=target, output=folder / target)
    except EdgeTVMError as error:
        return [target, "failed"], error.message, False
    flash, ram = kilobytes(package.manifest["flash_bytes"]), kilobytes(package.manifest["ram_bytes"])
    try:
        accuracy, bench, verify = package.evaluate(EVALUATION), package.bench(), package.verify(data=EVALUATION)
    except ToolError as error:  # an emulator is missing: the other lines are still worth having
        return [target, "not run", "-", flash, ram, "-"], error.message, True
    except EdgeTVMError as error:
        return [target, "failed", "-", flash, ram, "-"], error.message, False
    cells = [f"{100 * accuracy.value:.1f} %", speed(bench), flash, ram, f"{verify.max_rel_error:.1e}"]
    return [target, *cells], None if verify.passed else f"the limit is {verify.tolerance:.0e}", verify.passed


def main() -> int:
    console = Console()
    table = Table(title="digits.onnx", caption="accuracy: top-1 of 360 held-out digits; error: of the output's range")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "target" else "right", no_wrap=True)
    notes: list[str] = []
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for target in TARGETS:
            console.print(f"{target}: compile and run")
            cells, note, passed = row(target, Path(folder))
            table.add_row(*cells)
            notes += [f"{target}: {cells[1]}: {note}"] if note else []
            good &= passed
    console.print(table, *notes, sep="\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
