"""Where to measure what is tuned for a target."""

from __future__ import annotations

from edgetvm.deploy.at_port import name_and_port
from edgetvm.errors import TargetError
from edgetvm.target.load import load_target
from edgetvm.target.types import Target
from edgetvm.tune.board_platform import emulated_platform, platform_at_port
from edgetvm.tune.linux_platform import linux_platform
from edgetvm.tune.platform import Platform


def choose_platform(target: Target, board: str | None = None) -> Platform:
    """This machine or an emulator of the target, or `board` instead: one with the same core that is emulated, or, for
    "NAME@PORT", the board itself at a serial port ("@PORT": the target's own).

    Raises TargetError where there is none, ToolError for an emulator that is not installed.
    """
    name, port = name_and_port(board or "")
    there = load_target(name) if name else target
    if there.processor.name != target.processor.name:
        raise TargetError(
            f"{name} has a {there.processor.name}: what it measures says nothing of a {target.processor.name}",
            f"tune with --target {name}",
        )
    if port:
        return platform_at_port(there, port)
    return linux_platform(there) if there.is_linux else emulated_platform(there)
