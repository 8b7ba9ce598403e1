"""Runs a package for Cortex-M on a board that QEMU emulates, with files over semihosting."""

from __future__ import annotations

from pathlib import Path

from edgetvm.deploy.build import build_image, check_bare_metal
from edgetvm.deploy.counting import counting_arguments
from edgetvm.deploy.counts import counted
from edgetvm.deploy.emulator import find_emulator
from edgetvm.deploy.exchange import write_request
from edgetvm.deploy.measurement import Measurement, RunRequest
from edgetvm.deploy.package import Package
from edgetvm.deploy.process import execute
from edgetvm.errors import TargetError
from edgetvm.target.types import Board, Target

RUNNER = "qemu-system-arm"
_ICOUNT = ("-icount", "shift=6")  # time follows the instructions, so that a run repeats exactly
_QUIET = ("-display", "none", "-monitor", "none", "-serial", "none", "-nic", "none")


def run_on_board(package: Package, target: Target, request: RunRequest, work: Path) -> Measurement:
    """Run ``package`` in an image for ``target``, whose board must have an emulator."""
    board = target.board
    if board is None or board.emulator is None:
        raise TargetError(
            f"{target.name} has no emulator", "name a board that has one, such as --board qemu-mps2-an386"
        )
    check_bare_metal(target, request)
    emulator = find_emulator(RUNNER)
    samples = write_request(work, package, request)
    image = build_image(package, target, board, work, header=request.entry_header)
    measurement = execute(board_command(emulator, board, image, request.count), work, package, request, samples, RUNNER)
    return counted(measurement, work, package, request, image, target.processor)


def board_command(emulator: str, board: Board, image: Path, count: bool) -> list[str]:
    """What runs ``image`` on an emulated board, counting its instructions or not."""
    assert board.emulator is not None
    counting = counting_arguments(emulator, image, 4) if count else []
    command = [emulator, "-M", board.emulator.machine, *_QUIET, *_ICOUNT]
    return [*command, "-semihosting-config", "enable=on,target=native", *counting, "-kernel", str(image)]
