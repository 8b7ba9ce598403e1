"""Runs a package on the machine that EdgeTVM itself runs on."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from edgetvm.deploy.build import build_linux
from edgetvm.deploy.exchange import write_request
from edgetvm.deploy.measurement import Measurement, RunRequest
from edgetvm.deploy.package import Package
from edgetvm.deploy.process import execute
from edgetvm.target.types import Processor, Target

RUNNER = "host"
_MACHINES = {"x86_64": ("x86_64", "AMD64"), "aarch64": ("aarch64", "arm64"), "arm": ("armv7l", "armv8l")}


def runs_here(processor: Processor) -> bool:
    """Whether this machine executes the processor's instructions itself; on a Pi, packages for a Pi run on the Pi."""
    return sys.platform == "linux" and platform.machine() in _MACHINES.get(processor.arch, ())


def run_on_host(package: Package, target: Target, request: RunRequest, work: Path) -> Measurement:
    """Run ``package``, compiled for ``target``, in a process of its own."""
    samples = write_request(work, package, request)
    program = build_linux(package, target, work, package.libc, header=request.entry_header)
    return execute([str(program)], work, package, request, samples, RUNNER)
