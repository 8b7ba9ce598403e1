"""A compiled model that can be run, verified, timed and scored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgetvm.api.progress import Progress
from edgetvm.deploy.export.write import export_package
from edgetvm.deploy.measurement import RunRequest
from edgetvm.deploy.read_package import read_package
from edgetvm.deploy.runners import run
from edgetvm.errors import DataError
from edgetvm.report.bench import bench_package
from edgetvm.report.evaluate import evaluate_package
from edgetvm.report.footprint import Footprint, footprint_of
from edgetvm.report.foresee import Foreseen, foresee_package
from edgetvm.report.profile import ProfileReport, profile_package
from edgetvm.report.types import BenchReport, EvaluateReport, VerifyReport
from edgetvm.report.verify import verify_package


def load(path: str | Path) -> Package:
    """The package in the folder `path`. Raises PackageError when it is incomplete or damaged."""
    folder = read_package(Path(path)).folder
    return Package(folder, json.loads((folder / "manifest.json").read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Package:
    """A compiled model: its folder and its manifest."""

    path: Path
    manifest: Mapping[str, Any]

    def run(self, inputs: Mapping[str, np.ndarray], *, board: str | None = None) -> dict[str, np.ndarray]:
        """Run once on `inputs` (by the model's names, in its shapes and dtypes) and give the outputs by name.

        Runs in a process of its own, on this machine or on the target's emulator.
        """
        arrays = tuple(_checked(inputs, entry)[np.newaxis] for entry in self.manifest["inputs"])
        unknown = sorted(set(inputs) - {entry["name"] for entry in self.manifest["inputs"]})
        if unknown:
            known = ", ".join(entry["name"] for entry in self.manifest["inputs"])
            raise DataError(f"input '{unknown[0]}' is not one of the model's inputs: {known}")
        result = run(self.path, RunRequest(arrays), board=board)
        names = [entry["name"] for entry in self.manifest["outputs"]]
        return {name: output[0] for name, output in zip(names, result.outputs, strict=True)}

    def verify(
        self,
        *,
        model: str | Path | None = None,
        data: str | Path | None = None,
        samples: int | None = None,
        board: str | None = None,
        preprocess: str | Path | None = None,
        canary: bool = False,
        progress: Progress | None = None,
    ) -> VerifyReport:
        """Compare the package with ONNX Runtime on the original model, on `data` or on seeded random inputs.

        `canary` also looks at the arena after every kernel call: none may write outside its output and its scratch.
        """
        return verify_package(
            self.path,
            model=_path(model),
            data=_path(data),
            samples=samples,
            board=board,
            preprocess=_path(preprocess),
            canary=canary,
            progress=progress,
        )

    def bench(
        self, *, runs: int | None = None, threads: int = 1, bound: bool = False, board: str | None = None
    ) -> BenchReport:
        """Measure latency (on real machines) or instructions (under emulation), and memory.

        `bound` keeps each thread on a core of its own, the fastest ones.
        """
        return bench_package(self.path, runs=runs, threads=threads, bound=bound, board=board)

    def footprint(self) -> Footprint | None:
        """What it takes of each memory of its board, and of the arena at each call; None where Linux runs."""
        return footprint_of(self.path)

    def foresee(self) -> Foreseen | None:
        """What an inference will take on a Cortex-M board, by running it on an emulator of the same core."""
        return foresee_package(self.path)

    def export(self, system: str, output: str | Path) -> None:
        """Write it to the new folder `output` for another build system: "zephyr", "arduino" or "cmsis-pack".

        Only packages of `format="c"`.
        """
        export_package(self.path, system, Path(output))

    def profile(self, *, threads: int = 1, board: str | None = None) -> ProfileReport:
        """Measure every kernel call: its time (on real machines) or its instructions (under emulation)."""
        return profile_package(self.path, threads=threads, board=board)

    def evaluate(
        self,
        data: str | Path,
        *,
        metric: str = "top1",
        window: int | None = None,
        output: str | None = None,
        board: str | None = None,
        preprocess: str | Path | None = None,
        progress: Progress | None = None,
    ) -> EvaluateReport:
        """Score the package on labelled data: metric "top1", "auc" or "mse"."""
        return evaluate_package(
            self.path,
            Path(data),
            metric=metric,
            window=window,
            output=output,
            board=board,
            preprocess=_path(preprocess),
            progress=progress,
        )


def _checked(inputs: Mapping[str, np.ndarray], entry: Mapping[str, Any]) -> np.ndarray:
    name, shape, dtype = entry["name"], tuple(entry["shape"]), entry["dtype"]
    if name not in inputs:
        raise DataError(f"input '{name}' is missing", f"give an array of shape {list(shape)}, {dtype}")
    array = np.asarray(inputs[name])
    if array.shape != shape:
        raise DataError(f"input '{name}' has shape {list(array.shape)}; the model takes {list(shape)}")
    if str(array.dtype) != dtype:
        raise DataError(f"input '{name}' has dtype {array.dtype}; the model takes {dtype}")
    return array


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)
