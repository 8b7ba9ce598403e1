"""Runs a package on a real Cortex-M board at a serial port."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from edgetvm.deploy.build import build_image, check_bare_metal
from edgetvm.deploy.exchange import write_request
from edgetvm.deploy.measurement import Measurement, RunRequest
from edgetvm.deploy.package import Package
from edgetvm.deploy.process import collect
from edgetvm.deploy.serial_line import Line, serve
from edgetvm.errors import TargetError, ToolError
from edgetvm.target.types import Board, Serial, Target

RUNNER = "board"
_EXTRA = "pip install 'edgetvm[boards]'"
_POLL_S = 0.2
_LOAD_S = 120


def run_at_port(package: Package, target: Target, request: RunRequest, work: Path, port: str) -> Measurement:
    """Load the harness and ``package`` into the target's board, and serve its files at the serial port ``port``."""
    board, serial = wired_board(target)
    check_bare_metal(target, request)
    samples = write_request(work, package, request)
    image = build_image(package, target, board, work, header=request.entry_header, serial=serial)
    deadline = time.monotonic() + request.timeout_s
    status, said = run_image(image, serial, work, port, lambda: time.monotonic() < deadline)
    return collect(status, said, work, package, request, samples, RUNNER)


def run_image(image: Path, serial: Serial, work: Path, port: str, may_go_on: Callable[[], bool]) -> tuple[int, str]:
    """Load an image into a board, and serve the files of ``work`` at its ``port``, as `serve` does."""
    load(image, serial.probe)
    with closing(open_port(port, serial.baud)) as line:
        return serve(line, work, may_go_on)


def wired_board(target: Target) -> tuple[Board, Serial]:
    """The target's board and its serial port. Raises TargetError where none is described."""
    board = target.board
    if board is None or board.serial is None:
        raise TargetError(f"{target.name} has no serial port that is known", "describe it in its file under [serial]")
    return board, board.serial


def name_and_port(board: str) -> tuple[str, str]:
    """The parts of "NAME@PORT", either of which may be missing: "" then. Raises TargetError for "NAME@"."""
    name, at, port = board.partition("@")
    if at and not port:
        raise TargetError(f"'{board}' names no port behind its @", "such as @/dev/ttyACM0")
    return name, port


def load(image: Path, probe: str | None) -> None:
    """Write an image into the flash of the chip that pyocd calls ``probe``, and start it; None: it is there already."""
    if probe is None:
        return
    pyocd = shutil.which("pyocd")
    if pyocd is None:
        raise ToolError("pyocd is not installed", _EXTRA)
    command = [pyocd, "load", "--target", probe, str(image)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LOAD_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"pyocd did not load {probe} in {_LOAD_S} s", "is the board plugged in?") from error
    if done.returncode != 0:
        raise ToolError(f"pyocd could not load {probe}: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")


def open_port(port: str, baud: int) -> Line:
    """Open a serial port with pyserial: a device, or a URL that it knows, as `socket://HOST:PORT`."""
    try:
        from serial import SerialException, serial_for_url
    except ImportError as error:
        raise ToolError("pyserial is not installed", _EXTRA) from error
    try:
        line: Line = serial_for_url(port, baud, timeout=_POLL_S)
    except (SerialException, ValueError) as error:
        raise ToolError(f"serial port {port} cannot be opened: {error}") from error
    return line
