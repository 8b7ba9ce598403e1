"""What does each kernel call of a package take?"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgetvm.deploy.measurement import Measurement, RunRequest
from edgetvm.deploy.package import Call, Package
from edgetvm.deploy.read_package import read_package
from edgetvm.deploy.runners import choose_target, run
from edgetvm.deploy.variant import running_variant
from edgetvm.report.batches import Run
from edgetvm.report.bench import random_inputs

_SECONDS = 1.0  # how long to time
_FEWEST, _MOST = 10, 1000
_LINES = 100_000  # of the harness's report: one a call and a repeat
_WARMUP = 3


@dataclass(frozen=True)
class CallProfile:
    """One kernel call of an inference: its time on a real machine, its instructions under an emulator, and their
    cycles by the model of its core.

    rule       the schedule rule that made the kernel; None of a copy
    predicted  what the cost model expects, in the unit that was measured: instructions, or of the measured time the
               share that the kernel has of all expected instructions; None of a copy
    """

    kernel: str
    rule: str | None
    nodes: tuple[str, ...]
    latency_us_median: float | None
    latency_us_min: float | None
    instructions: int | None
    modelled_cycles: int | None = None
    predicted: float | None = None

    @property
    def cost(self) -> float | None:
        """What was measured, in microseconds or instructions."""
        return self.instructions if self.latency_us_median is None else self.latency_us_median


@dataclass(frozen=True)
class ProfileReport:
    """The kernel calls of one inference, in their order.

    The first call has on its account what `edgetvm_run` does before it; what the measuring takes is taken off.
    """

    runner: str
    target: str
    threads: int
    calls: tuple[CallProfile, ...]

    @property
    def total(self) -> float | None:
        """The sum of what the calls took, in microseconds or instructions."""
        costs = [call.cost for call in self.calls if call.cost is not None]
        return sum(costs) if costs else None

    @property
    def total_cycles(self) -> int | None:
        """The sum of the modelled cycles of the calls."""
        cycles = [call.modelled_cycles for call in self.calls if call.modelled_cycles is not None]
        return sum(cycles) if cycles else None

    def to_json(self) -> dict[str, object]:
        """What ``edgetvm profile --json`` prints."""
        return {
            "runner": self.runner,
            "target": self.target,
            "threads": self.threads,
            "calls": [
                {
                    "kernel": call.kernel,
                    "rule": call.rule,
                    "nodes": list(call.nodes),
                    "latency_us": {"median": call.latency_us_median, "min": call.latency_us_min},
                    "instructions": call.instructions,
                    "modelled_cycles": call.modelled_cycles,
                    "predicted": call.predicted,
                }
                for call in self.calls
            ],
        }


def profile_package(package_dir: Path, *, threads: int = 1, board: str | None = None, run: Run = run) -> ProfileReport:
    """Measure every kernel call on random inputs: for about a second, or once under an emulator."""
    package = read_package(package_dir.resolve())
    inputs = random_inputs(package)
    # A first look tells what the runner can, and how long one inference takes.
    first = run(
        package.folder,
        RunRequest(inputs, warmup=1, repeats=1, threads=threads, count=True, profile=True),
        board=board,
    )
    measured = first
    if first.call_ns is not None:
        repeats = int(_SECONDS * 1e9 / max(1, sum(first.call_ns[0])))
        repeats = max(_FEWEST, min(repeats, _MOST, _LINES // max(1, len(package.calls))))
        request = RunRequest(inputs, warmup=_WARMUP, repeats=repeats, threads=threads, profile=True)
        measured = run(package.folder, request, board=board)
    kernels = _kernels(package)
    rules = {name: str(kernel["rule"]) for name, kernel in kernels.items()}
    expected = {
        n: kernel["predicted_instructions"] for n, kernel in kernels.items() if "predicted_instructions" in kernel
    }
    variant = running_variant(package, choose_target(package, board)) if package.variants else None
    ran = [replace(call, kernel=variant.replaces.get(call.kernel, call.kernel)) for call in package.calls if variant]
    calls = [_call(measured, i, call, rules.get(call.kernel)) for i, call in enumerate(ran or package.calls)]
    return ProfileReport(first.runner, board or package.target, threads, _predict(calls, expected))


def _predict(calls: Sequence[CallProfile], expected: Mapping[str, int]) -> tuple[CallProfile, ...]:
    """`expected` instructions of each kernel beside what was measured."""
    known = [call for call in calls if call.kernel in expected]
    unit = 1.0
    if any(call.latency_us_median is not None for call in calls):
        total = sum(expected[call.kernel] for call in known)
        unit = sum(call.cost or 0.0 for call in known) / max(1, total)
    return tuple(
        replace(call, predicted=unit * expected[call.kernel] if call.kernel in expected else None) for call in calls
    )


def _call(measured: Measurement, position: int, call: Call, rule: str | None) -> CallProfile:
    median = least = instructions = cycles = None
    if measured.call_ns is not None:
        times = [repeat[position] for repeat in measured.call_ns]
        median, least = statistics.median(times) / 1000, min(times) / 1000
    if measured.call_instructions is not None:
        instructions = measured.call_instructions[position]
    if measured.call_cycles is not None:
        cycles = measured.call_cycles[position]
    return CallProfile(call.kernel, rule, call.nodes, median, least, instructions, cycles)


def _kernels(package: Package) -> Mapping[str, Mapping[str, Any]]:
    """What the manifest tells of each kernel, by its name."""
    manifest = json.loads((package.folder / "manifest.json").read_text(encoding="utf-8"))
    better = [kernel for variant in manifest.get("variants", ()) for kernel in variant["kernels"]]
    return {str(kernel["name"]): kernel for kernel in [*manifest["kernels"], *better]}
