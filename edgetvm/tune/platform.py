"""What runs programs of trials: this machine, an emulator, or a board."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetvm.deploy.counts import Figure, cycle_model, instructions
from edgetvm.target.types import Processor

Ended = tuple[int | None, str]  # the exit status of a program, None of one that had to be stopped, and what it said
_LOOK_S = 0.01


@dataclass(frozen=True)
class Platform:
    """How programs are made and run.

    unit           what a call costs is told in
    ports, macros  those of the harness, and the flags that they are compiled with
    libc, link     the C library, and what makes a program of objects
    run            is given the program, the folder of its files, and what it asks every moment: whether the program may
                   go on
    figure         counts what a program's code takes; without it, times are measured,
    per_us         of which a microsecond has so many units,
    most_rounds    in no more rounds than these; None is any number;
    warm_up        each after so many calls that do not count
    fixed_memory   the program has to bring its memory
    slow_line      what it writes takes long: a CRC-32 stands for outputs of integers
    """

    unit: str
    ports: tuple[str, ...]
    libc: str | None
    link: Callable[[Sequence[Path], Path], Path]
    run: Callable[[Path, Path, Callable[[], bool]], Ended]
    figure: Callable[[Path], Figure] | None = None
    per_us: float = 1.0
    most_rounds: int | None = None
    warm_up: int = 2
    macros: tuple[str, ...] = ()
    fixed_memory: bool = False
    slow_line: bool = False


def counted(processor: Processor) -> tuple[str, Callable[[Path], Figure]]:
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
