"""Programs of trials for Linux: on this machine, or under user-mode emulation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgetvm.deploy.counts import Figure
from edgetvm.deploy.emulator import find_emulator
from edgetvm.deploy.host import runs_here
from edgetvm.deploy.qemu_user import user_command
from edgetvm.errors import TargetError
from edgetvm.target.toolchain import link_program
from edgetvm.target.types import Target
from edgetvm.tune.platform import Platform, counted, run_command


def linux_platform(target: Target) -> Platform:
    """This machine if it executes the target's instructions, whose times are measured, else an emulator of its core.

    Raises TargetError where there is none, ToolError where it is not installed.
    """
    processor = target.processor
    if runs_here(processor):
        return _platform(target, "us", "gnu", lambda program: [str(program)], None)
    if processor.qemu_cpu is None:
        raise TargetError(f"processor {processor.name} has no emulator", "tune for it on such a machine")
    emulator = find_emulator(f"qemu-{processor.arch}")
    unit, figure = counted(processor)
    return _platform(target, unit, "musl", lambda program: user_command(emulator, processor, program, True), figure)


def _platform(
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
        lambda program, work, may_go_on: run_command(command(program), work, may_go_on),
        figure,
    )
