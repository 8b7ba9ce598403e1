"""How fast is a package, and how much does it occupy?"""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import numpy as np

from edgetvm.deploy.measurement import RunRequest
from edgetvm.deploy.package import Package
from edgetvm.deploy.read_package import read_package
from edgetvm.deploy.runners import run
from edgetvm.errors import PackageError
from edgetvm.oracle.random_data import random_data
from edgetvm.oracle.ranges import index_ranges
from edgetvm.report.batches import Run
from edgetvm.report.types import BenchReport

_SECONDS = 1.0  # how long to time when nobody says how often
_FEWEST, _MOST = 10, 10_000  # each time is one line of the harness's report
_WARMUP = 3


def bench_package(
    package_dir: Path,
    *,
    runs: int | None = None,
    threads: int = 1,
    bound: bool = False,
    board: str | None = None,
    run: Run = run,
) -> BenchReport:
    """Measure one inference on random inputs: `runs` times, or for about a second but at most 10,000 times.

    `bound` keeps each thread on a core of its own, the fastest ones. An emulator is asked once, for its count of
    instructions, which repeats exactly.
    """
    package = read_package(package_dir.resolve())
    inputs = random_inputs(package)
    # A first look tells what the runner can, and how long one inference takes.
    first = run(
        package.folder, RunRequest(inputs, warmup=1, repeats=1, threads=threads, bound=bound, count=True), board=board
    )
    latency = first.latency_ns
    if latency is not None:
        repeats = runs or min(_MOST, max(_FEWEST, int(_SECONDS * 1e9 / max(1, latency[0]))))
        request = RunRequest(inputs, warmup=_WARMUP, repeats=repeats, threads=threads, bound=bound)
        latency = run(package.folder, request, board=board).latency_ns
    flash, ram = _occupied(package)
    return BenchReport(
        runner=first.runner,
        target=board or package.target,
        threads=threads,
        latency_us_median=statistics.median(latency) / 1000 if latency else None,
        latency_us_min=min(latency) / 1000 if latency else None,
        instructions=first.instructions,
        modelled_cycles=first.cycles,
        flash_bytes=flash,
        ram_bytes=ram,
        arena_bytes=package.arena_bytes,
        stack_bytes=first.stack_bytes,
    )


def random_inputs(package: Package) -> tuple[np.ndarray, ...]:
    """One random sample, indices within their ranges."""
    model = package.reference_model()
    ranges = index_ranges(model) if model is not None else {}
    sample = random_data(package.inputs, 1, ranges=ranges).fetch(0)
    return tuple(sample[tensor.name][None] for tensor in package.inputs)


def _occupied(package: Package) -> tuple[int | None, int | None]:
    """Flash and RAM as the compiler wrote them down."""
    manifest = json.loads((package.folder / "manifest.json").read_text(encoding="utf-8"))
    sizes = []
    for key in ("flash_bytes", "ram_bytes"):
        value = manifest.get(key)
        if value is not None and type(value) is not int:
            raise PackageError(f"{package.folder}/manifest.json is damaged: {key} is {value!r}", "compile it again")
        sizes.append(value)
    return sizes[0], sizes[1]
