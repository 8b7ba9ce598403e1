"""Chooses where a package runs: on this machine, or on an emulator of its target."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgetvm.deploy.at_port import name_and_port, run_at_port
from edgetvm.deploy.host import run_on_host, runs_here
from edgetvm.deploy.measurement import Measurement, RunRequest
from edgetvm.deploy.package import Package
from edgetvm.deploy.qemu_system import run_on_board
from edgetvm.deploy.qemu_user import run_under_qemu
from edgetvm.deploy.read_package import read_package
from edgetvm.errors import TargetError
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import missing_instructions
from edgetvm.target.types import Target


def run(package_dir: Path, request: RunRequest, *, board: str | None = None) -> Measurement:
    """Run the package at ``package_dir`` on the samples of ``request``.

    It runs on its own target, or on ``board``, whose core must execute the target's instructions: on an emulator of
    it, or, for "NAME@PORT", on the board itself at the serial port PORT ("@PORT": the target's own).
    Always in a process of its own: a model that crashes or hangs is a RunError.
    """
    package = read_package(package_dir.resolve())
    target = choose_target(package, board)
    _, port = name_and_port(board or "")
    with tempfile.TemporaryDirectory(prefix="edgetvm-run-") as work:
        if port:
            return run_at_port(package, target, request, Path(work), port)
        if not target.is_linux:
            return run_on_board(package, target, request, Path(work))
        if runs_here(target.processor):
            return run_on_host(package, target, request, Path(work))
        return run_under_qemu(package, target, request, Path(work))


def choose_target(package: Package, board: str | None) -> Target:
    """The target to build the harness for. Portable C fits any: without ``board`` it runs on this machine."""
    board, _ = name_and_port(board or "")
    described = package.folder / "target.toml"  # a board of the user's own travels with the package
    own = load_target(str(described) if described.is_file() else package.target)
    portable = own.processor.arch == "c"
    if not board:
        return load_target("host") if portable else own
    chosen = load_target(board)
    if not portable and chosen.processor.arch != own.processor.arch:
        raise TargetError(
            f"{board} has {chosen.processor.arch} instructions, {package.name} was compiled for {own.name}",
            f"compile it with --target {board}",
        )
    missing = missing_instructions(chosen.processor, own.processor) if own.processor.arch == "thumb" else ()
    if missing:
        raise TargetError(
            f"{board} has no {', '.join(missing)}, {package.name} was compiled for {own.name} and may use it",
            f"compile it with --target {board}",
        )
    return chosen
