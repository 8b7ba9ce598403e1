"""What a package will take on its board, before there is one: run on an emulator of the same core."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetvm.deploy.emulator import emulated_board
from edgetvm.deploy.read_package import read_package
from edgetvm.deploy.runners import choose_target, run
from edgetvm.report.batches import Run
from edgetvm.report.bench import bench_package


@dataclass(frozen=True)
class Foreseen:
    """One inference as the emulated board `emulated` ran it.

    modelled_cycles  None of a core whose manual has no prices
    milliseconds     these cycles at the board's own clock, if memory never waits
    """

    emulated: str
    clock_mhz: float | None
    instructions: int | None
    modelled_cycles: int | None
    stack_bytes: int | None

    @property
    def milliseconds(self) -> float | None:
        if self.modelled_cycles is None or self.clock_mhz is None:
            return None
        return self.modelled_cycles / (1000 * self.clock_mhz)


def foresee_package(package_dir: Path, *, run: Run = run) -> Foreseen | None:
    """Run one inference on the emulated board; None where there is none. Raises ToolError without the emulator."""
    package = read_package(package_dir.resolve())
    target = choose_target(package, None)
    board = emulated_board(target)
    if board is None:
        return None
    bench = bench_package(package.folder, board=None if board == target.name else board, run=run)
    clock = target.board.clock_mhz if target.board else None
    return Foreseen(board, clock, bench.instructions, bench.modelled_cycles, bench.stack_bytes)
