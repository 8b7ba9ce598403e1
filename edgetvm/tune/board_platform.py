"""Programs of trials for a Cortex-M: images for an emulated board, or for one at a serial port."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgetvm.codegen.image import link_image
from edgetvm.deploy.at_port import run_image, wired_board
from edgetvm.deploy.build import serial_macros
from edgetvm.deploy.emulator import emulated_board, find_emulator
from edgetvm.deploy.exchange import OUTPUTS
from edgetvm.deploy.qemu_system import RUNNER, board_command
from edgetvm.errors import RunError, TargetError
from edgetvm.target.load import load_target
from edgetvm.target.types import Target
from edgetvm.tune.platform import Ended, Platform, counted, run_command

MEASURED = "measured cycles"
_ROUNDS, _WARM_UP = 3, 1  # nothing else runs on a board: its times hardly differ


def emulated_platform(target: Target) -> Platform:
    """An emulated board with the target's core, which counts.

    Raises TargetError where there is none, ToolError where its emulator is not installed.
    """
    name = emulated_board(target)
    board = target.board if name == target.name else load_target(name).board if name else None
    if board is None:
        raise TargetError(f"{target.name} has no emulator", "tune for a core that a board with an emulator has")
    emulator = find_emulator(RUNNER)
    unit, figure = counted(target.processor)
    return Platform(
        unit,
        ("cortex_m", "semihosting"),
        None,
        lambda objects, out: link_image(objects, out, target, board),
        lambda program, work, may_go_on: run_command(board_command(emulator, board, program, True), work, may_go_on),
        figure,
        fixed_memory=True,
    )


def platform_at_port(target: Target, port: str) -> Platform:
    """The target's board itself, whose cycles are measured. Raises TargetError where its serial port is not known."""
    board, serial = wired_board(target)

    def run(program: Path, work: Path, may_go_on: Callable[[], bool]) -> Ended:
        try:
            return run_image(program, serial, work, port, may_go_on)
        except RunError as error:
            if not (work / OUTPUTS).exists():  # no trial has begun
                raise
            return 1 if may_go_on() else None, error.message

    return Platform(
        MEASURED,
        ("cortex_m", "serial"),
        None,
        lambda objects, out: link_image(objects, out, target, board),
        run,
        per_us=board.clock_mhz,
        most_rounds=_ROUNDS,
        warm_up=_WARM_UP,
        macros=tuple(serial_macros(target, board, serial)),
        fixed_memory=True,
        slow_line=True,
    )
