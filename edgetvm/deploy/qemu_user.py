"""Runs a package for Arm Linux under QEMU's user-mode emulation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgetvm.deploy.build import build_linux
from edgetvm.deploy.counting import counting_arguments
from edgetvm.deploy.counts import counted
from edgetvm.deploy.emulator import find_emulator
from edgetvm.deploy.exchange import write_request
from edgetvm.deploy.measurement import Measurement, RunRequest
from edgetvm.deploy.package import Package
from edgetvm.deploy.process import execute
from edgetvm.errors import TargetError
from edgetvm.target.types import Processor, Target


def run_under_qemu(package: Package, target: Target, request: RunRequest, work: Path) -> Measurement:
    """Run ``package`` on an emulated core. Its times are the emulator's, so none are reported."""
    processor = target.processor
    if processor.qemu_cpu is None:
        raise TargetError(f"processor {processor.name} has no emulator", "run it on the device itself")
    runner = f"qemu-{processor.arch}"
    emulator = find_emulator(runner)
    samples = write_request(work, package, request)
    # Static, because the emulated machine has no C library of its own.
    program = build_linux(package, target, work, "musl", header=request.entry_header)
    # Of several threads the count would depend on who waits for whom.
    counts = request.count and request.threads == 1
    measurement = execute(user_command(emulator, processor, program, counts), work, package, request, samples, runner)
    return counted(replace(measurement, latency_ns=None, call_ns=None), work, package, request, program, processor)


def user_command(emulator: str, processor: Processor, program: Path, count: bool) -> list[str]:
    """What runs ``program`` on an emulated core, counting its instructions or not."""
    counting = counting_arguments(emulator, program, 8 if processor.arch == "aarch64" else 4) if count else []
    return [emulator, "-cpu", str(processor.qemu_cpu), *counting, str(program)]
