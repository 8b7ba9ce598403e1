"""Small programs for a Cortex-M: built with the product's own toolchain, run on qemu-system-arm."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from edgetvm.codegen.image import link_image
from edgetvm.resources import runtime_dir
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources
from edgetvm.target.types import Target
from tests.tools import require_tool

PORTS = runtime_dir() / "ports"
STARTUP = tuple(PORTS / name for name in ("cortex_m/startup.c", "cortex_m/faults.c", "semihosting/console.c"))


def compile_program(main: Path, target: Target) -> list[Path]:
    """`main` with start-up code; it reports through semihosting."""
    folders = [PORTS, PORTS / "cortex_m", PORTS / "semihosting", runtime_dir() / "include"]
    return compile_sources([main, *STARTUP], main.parent, target, include_dirs=folders)


def link_program(main: Path, target: Target, board: str, objects: Sequence[Path] = ()) -> Path:
    linked = [*compile_program(main, target), *objects]
    return link_image(linked, main.parent / "program.elf", target, load_target(board).board)


def run_image(image: Path, board: str) -> tuple[int, str]:
    """The exit status of the image and what it printed."""
    qemu = require_tool("qemu-system-arm")
    emulator = load_target(board).board.emulator
    command = [qemu, "-M", emulator.machine, "-nographic", "-semihosting-config", "enable=on,target=native"]
    done = subprocess.run([*command, "-kernel", image], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr
