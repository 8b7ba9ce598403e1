"""An emulated board that stands in for a real one, its UART a socket of this machine."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from edgetvm.deploy import at_port
from edgetvm.resources import targets_dir
from tests.tools import require_tool, start, unavailable

BOARD = "qemu-mps2-an386"


@contextmanager
def appearing_board(monkeypatch: pytest.MonkeyPatch, machine: str = "mps2-an386") -> Iterator[str]:
    """The port at which the board appears when a program is loaded into it, instead of the program before."""
    qemu = require_tool("qemu-system-arm")
    if find_spec("serial") is None:
        unavailable("pyserial is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    running: list[subprocess.Popen[str]] = []

    def switch_off() -> None:
        while running:
            running[-1].kill()
            running.pop().communicate()

    def load(image: Path, probe: str | None) -> None:
        switch_off()
        command = [qemu, "-M", machine, "-display", "none", "-monitor", "none", "-nic", "none"]
        command += ["-icount", "shift=6"]  # without it a program that polls its UART starves the emulator's own thread
        command += ["-serial", f"tcp:127.0.0.1:{number},server=on,wait=on", "-kernel", str(image)]
        emulator = start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        running.append(emulator)
        assert emulator.stdout is not None
        assert "waiting for connection" in emulator.stdout.readline()

    monkeypatch.setattr(at_port, "load", load)
    yield f"socket://127.0.0.1:{number}"
    switch_off()


def own_board(folder: Path, processor: str, machine: str, more: str = "") -> str:
    """A board file like the shipped one, with another core."""
    text = (targets_dir() / "boards" / f"{BOARD}.toml").read_text()
    for old, new in ((BOARD, "own"), ("cortex-m4", processor), ("mps2-an386", machine)):
        assert f'"{old}"' in text
        text = text.replace(f'"{old}"', f'"{new}"')
    path = folder / "own.toml"
    path.write_text(text.replace("clock_mhz", f"{more}\nclock_mhz"))
    return str(path)
