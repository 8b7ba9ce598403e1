"""Finds the emulators, which are programs of the system, and the boards that they stand in for."""

from __future__ import annotations

import shutil

from edgetvm.errors import ToolError
from edgetvm.target.load import list_targets, load_target
from edgetvm.target.types import Target

_DEBIAN_PACKAGES = {"qemu-aarch64": "qemu-user", "qemu-arm": "qemu-user", "qemu-system-arm": "qemu-system-arm"}


def find_emulator(name: str) -> str:
    """The path of ``name``. Raises ToolError that says what to install."""
    found = shutil.which(name) or shutil.which(f"{name}-static")
    if found is None:
        raise ToolError(f"{name} is not installed", f"on Debian or Ubuntu: apt install {_DEBIAN_PACKAGES[name]}")
    return found


def emulated_board(target: Target) -> str | None:
    """A board with an emulator and the target's Cortex-M core: itself, or the first that ships."""
    if target.processor.arch != "thumb":
        return None
    if target.board is not None and target.board.emulator is not None:
        return target.name
    core = target.board.processor if target.board else target.processor.name
    boards = (load_target(name).board for name in list_targets())
    return next((board.name for board in boards if board and board.emulator and board.processor == core), None)
