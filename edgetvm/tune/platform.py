"""Where programs of trials run: on this machine, under user-mode emulation, or on an emulated board."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetvm.codegen.image import link_image
from edgetvm.deploy.counts import Figure, cycle_model, instructions
from edgetvm.deploy.emulator import emulated_board, find_emulator
from edgetvm.deploy.host import runs_here
from edgetvm.deploy.qemu_system import RUNNER, board_command
from edgetvm.deploy.qemu_user import user_command
from edgetvm.errors import TargetError
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import link_program
from edgetvm.target.types import Board, Processor, Target

Ended = tuple[int | None, str]  # the exit status of a program, None of one that had to be stopped, and what it said
_LOOK_S = 0.05


@dataclass(frozen=True)
class Platform:
    """How programs are made and run. `figure` counts what a program's code takes; without it, times are measured.

    `ports` are those of the harness; `fixed_memory` tells that the program has to bring its memory. `run` is given
    the program, the folder of its files, and what it asks every moment: whether the program may go on.
    """

    unit: str
    ports: tuple[str, ...]
    libc: str | None
    link: Callable[[Sequence[Path], Path], Path]
    run: Callable[[Path, Path, Callable[[], bool]], Ended]
    figure: Callable[[Path], Figure] | None
    fixed_memory: bool = False


def platform_for(target: Target) -> Platform:
    """This machine if it executes the target's instructions, else an emulator of the target.

    Raises TargetError where there is none, ToolError where it is not installed.
    """
    if not target.is_linux:
        name = emulated_board(target)
        board = load_target(name).board if name else None
        if board is None:
            raise TargetError(f"{target.name} has no emulator", "tune for a core that a board with an emulator has")
        return _emulated_board(target, board)
    if runs_here(target.processor):
        return _linux(target, "us", "gnu", lambda program: [str(program)], None)
    return _emulated_linux(target)


def _emulated_board(target: Target, board: Board) -> Platform:
    emulator = find_emulator(RUNNER)
    unit, figure = _counted(target.processor)
    return Platform(
        unit,
        ("cortex_m", "semihosting"),
        None,
        lambda objects, out: link_image(objects, out, target, board),
        lambda program, work, may: run_command(board_command(emulator, board, program, count=True), work, may),
        figure,
        fixed_memory=True,
    )


def _emulated_linux(target: Target) -> Platform:
    processor = target.processor
    if processor.qemu_cpu is None:
        raise TargetError(f"processor {processor.name} has no emulator", "tune for it on such a machine")
    emulator = find_emulator(f"qemu-{processor.arch}")
    unit, figure = _counted(processor)
    return _linux(target, unit, "musl", lambda program: user_command(emulator, processor, program, count=True), figure)


def _linux(
    target: Target,
    unit: str,
    libc: str,
    command: Callable[[Path], list[str]],
    figure: Callable[[Path], Figure] | None,
) -> Platform:
    return Platform(
        unit,
        ("posix",),
        libc,
        lambda objects, out: link_program(objects, out, target, libc=libc),
        lambda program, work, may: run_command(command(program), work, may),
        figure,
    )


def _counted(processor: Processor) -> tuple[str, Callable[[Path], Figure]]:
    """What an emulator counts, and how: modelled cycles of a core that has prices, else instructions."""
    if processor.cycles:
        return "cycles", lambda program: cycle_model(program, processor)
    return "instructions", lambda _: instructions


def run_command(command: Sequence[str], work: Path, may_go_on: Callable[[], bool]) -> Ended:
    """Run a command in the folder `work` as long as it may.

    It has a session of its own: a Ctrl-C at the terminal is for this process, which ends it.
    """
    with subprocess.Popen(
        command,
        cwd=work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            while may_go_on():
                try:
                    said, _ = process.communicate(timeout=_LOOK_S)
                except subprocess.TimeoutExpired:
                    continue
                return process.returncode, said.strip()
        finally:
            process.kill()
    return None, ""
