"""Runs a built harness, by itself or inside an emulator, and turns what happened into a Measurement or an error."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from edgetvm.deploy.exchange import call_times, finished_samples, read_arenas, read_outputs, read_report, read_taps
from edgetvm.deploy.measurement import Measurement, RunRequest
from edgetvm.deploy.package import Package
from edgetvm.errors import RunError

# The exit statuses of the harness and of the Cortex-M fault handler.
_MODEL_FAILED = 6
_HARNESS_ERRORS = {
    2: "the harness could not read its request",
    3: "the harness could not read or write a file",
    4: "there was no memory for the arena and the buffers",
    5: "the threads could not be started",
}
_STATUS = {
    1: "EDGETVM_BAD_ARGUMENT",
    2: "EDGETVM_ARENA_TOO_SMALL",
    3: "EDGETVM_ARENA_MISALIGNED",
    4: "EDGETVM_BUFFER_MISALIGNED",
    5: "EDGETVM_KERNEL_FAILED",
    6: "EDGETVM_OTHER_ABI",
}


def execute(
    command: Sequence[str], folder: Path, package: Package, request: RunRequest, samples: int, runner: str
) -> Measurement:
    """Run ``command`` in ``folder``, where the request lies. Raises RunError for a crash, a hang or a failure."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=request.timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        where = _progress(folder, package, samples)
        raise RunError(
            f"{package.name} did not finish on {runner} in {request.timeout_s:g} s; {where}",
            "ask for fewer samples or a longer time limit",
        ) from error
    except OSError as error:
        raise RunError(f"{package.name} cannot be started on {runner}: {error.strerror}") from error
    return collect(done.returncode, done.stdout + done.stderr, folder, package, request, samples, runner)


def collect(
    status: int, printed: str, folder: Path, package: Package, request: RunRequest, samples: int, runner: str
) -> Measurement:
    """What a harness left in ``folder`` when it ended with ``status``. Raises RunError for a failure."""
    if status != 0:
        reason = _reason(status, printed, folder)
        raise RunError(f"{package.name} failed on {runner}: {reason}; {_progress(folder, package, samples)}")
    report = read_report(folder)
    available = report.one("stack_available")
    stack = report.one("stack_bytes")
    if stack is not None and stack == available:
        raise RunError(f"{package.name} overflowed its stack of {available} bytes on {runner}")
    return Measurement(
        runner=runner,
        outputs=read_outputs(folder, package, samples),
        taps=read_taps(folder, package, samples) if request.taps else None,
        arenas=read_arenas(folder, package, samples) if request.arenas else None,
        latency_ns=report.values.get("latency_ns"),
        call_ns=call_times(report, package) if request.profile else None,
        stack_bytes=stack,
        arena_touched=report.one("arena_touched"),
        guard_ok=report.flag("guard_ok"),
        repeatable=report.flag("repeatable"),
    )


def _reason(status: int, printed: str, folder: Path) -> str:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    if status < 0:
        fatal = next((f" ({line})" for line in lines if "fatal" in line), "")  # the emulator gave up, not the model
        return f"it crashed with {signal.Signals(-status).name}{fatal}"
    if status == _MODEL_FAILED:
        code = read_report(folder).one("status")
        return f"edgetvm_run returned {_STATUS.get(code or 0, code)}"
    return _HARNESS_ERRORS.get(status) or (lines[-1] if lines else f"exit status {status}")


def _progress(folder: Path, package: Package, samples: int) -> str:
    finished = finished_samples(folder, package)
    if finished is None:
        return "it is not known in which sample"
    if finished < samples:
        return f"it was in sample {finished + 1} of {samples}"
    return f"all {samples} samples had run, it was being timed"
