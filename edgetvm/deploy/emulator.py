"""Finds the emulators, which are programs of the system."""

from __future__ import annotations

import shutil

from edgetvm.errors import ToolError

_DEBIAN_PACKAGES = {"qemu-aarch64": "qemu-user", "qemu-arm": "qemu-user", "qemu-system-arm": "qemu-system-arm"}


def find_emulator(name: str) -> str:
    """The path of ``name``. Raises ToolError that says what to install."""
    found = shutil.which(name) or shutil.which(f"{name}-static")
    if found is None:
        raise ToolError(f"{name} is not installed", f"on Debian or Ubuntu: apt install {_DEBIAN_PACKAGES[name]}")
    return found
