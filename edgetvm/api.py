"""The public functions: each joins the layers for one thing a user wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgetvm.codegen.assemble import assemble, constant_operands
from edgetvm.codegen.build_package import PackageOptions, build_package
from edgetvm.codegen.fit import check_ram
from edgetvm.codegen.names import model_name
from edgetvm.codegen.package import check_output
from edgetvm.codegen.program import extract_program
from edgetvm.deploy.measurement import RunRequest
from edgetvm.deploy.package import read_package
from edgetvm.deploy.runners import run
from edgetvm.errors import DataError, OutputError, TargetError
from edgetvm.importers.read import import_model
from edgetvm.importers.types import ModelSummary
from edgetvm.passes.pipeline import optimize as optimize_graph
from edgetvm.report.bench import bench_package
from edgetvm.report.evaluate import evaluate_package
from edgetvm.report.types import BenchReport, EvaluateReport, VerifyReport
from edgetvm.report.verify import verify_package
from edgetvm.schedule.apply import schedule_module
from edgetvm.schedule.recipe import machine_for
from edgetvm.target.load import list_targets, load_target
from edgetvm.target.tvm_target import tvm_c_target, tvm_target
from edgetvm.target.types import Target

Progress = Callable[[str, int, int], None]  # (stage, stages done, stages in all)

FORMATS = ("library", "object", "c")
OPTIMIZE = ("size", "speed", "balanced")
LIBCS = ("gnu", "musl")

# Bytes. Linux: a cache line, and the widest vector. Cortex-M: its widest element.
_ARENA_ALIGN = {"linux": 64, "none": 8}
_STAGES = ("import", "optimize", "schedule", "generate", "package")


def compile(  # noqa: A001
    model: str | Path,
    target: str | Path,
    output: str | Path,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    format: str = "library",  # noqa: A002
    optimize: str = "balanced",
    libc: str | None = None,
    recipe: str | Path | None = None,
    reference: bool = True,
    name: str | None = None,
    progress: Progress | None = None,
) -> Package:
    """Compile a model, ONNX or .tflite, for a target and write the package to the new folder `output`.

    target     a board, a processor, or the path of a TOML file of your own
    shapes     freezes dynamic dimensions: {"input": [1, 3, 224, 224]}
    format     "library" (static, and shared for Linux), "object" or "c" (portable C99, kernels included)
    optimize   "size", "speed" or "balanced"
    libc       for Linux: "gnu" (glibc 2.28 or newer, the default) or "musl"
    recipe     a TOML file of schedule numbers instead of the shipped one
    reference  keep the model in the package, for `verify`
    name       prefix of all C names; default: the model file's name

    Raises an EdgeTVMError that says what to do; then nothing was written.
    """
    model, output = Path(model), Path(output)
    stages = iter(range(len(_STAGES)))

    def begin() -> None:
        stage = next(stages)
        if progress is not None:
            progress(_STAGES[stage], stage, len(_STAGES))

    chosen = load_target(str(target))
    libc = _check_options(chosen, format, optimize, libc)
    check_output(output)
    begin()
    imported = import_model(model, shapes or {})
    imported = replace(imported, name=model_name(name or imported.name))
    begin()
    optimized = optimize_graph(imported)
    program = extract_program(optimized.module, optimized.sources)
    begin()
    machine = machine_for(chosen, format, optimize, Path(recipe) if recipe else None)
    scheduled = schedule_module(optimized.module, machine, constant_operands(program))
    begin()
    backend = tvm_c_target(chosen) if format == "c" else tvm_target(chosen)
    code, rules = assemble(imported, program, scheduled, backend, _ARENA_ALIGN[chosen.processor.os])
    check_ram(code, model.name, chosen)
    begin()
    recorded = {
        "target": chosen.name,
        "format": format,
        "optimize": optimize,
        "libc": libc,
        "shapes": {key: [int(extent) for extent in value] for key, value in sorted((shapes or {}).items())},
        "recipe": machine.recipe.sha256 if recipe else None,
        "reference": reference,
        "name": imported.name,
    }
    own_target = Path(target) if str(target).endswith(".toml") else None
    options = PackageOptions(format, libc, reference, own_target, None, optimized.floats, recorded)
    try:
        build_package(code, model, rules, backend, chosen, options, output)
    except OSError as error:
        place = error.filename or "the temporary folder"
        raise OutputError(f"cannot write {place}: {error.strerror or error}") from error
    return load(output)


def load(path: str | Path) -> Package:
    """The package in the folder `path`. Raises PackageError when it is incomplete or damaged."""
    folder = read_package(Path(path)).folder
    return Package(folder, json.loads((folder / "manifest.json").read_text(encoding="utf-8")))


def inspect(model: str | Path, shapes: Mapping[str, Sequence[int]] | None = None) -> ModelSummary:
    """Operators, shapes, MACs and parameters of a model, and every node that cannot be compiled."""
    from edgetvm.importers.summary import summarize

    return summarize(Path(model), shapes or {})


def targets() -> tuple[Target, ...]:
    """Every board and processor that ships with EdgeTVM."""
    return tuple(load_target(name) for name in list_targets())


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
        progress: Progress | None = None,
    ) -> VerifyReport:
        """Compare the package with ONNX Runtime on the original model, on `data` or on seeded random inputs."""
        return verify_package(
            self.path,
            model=_path(model),
            data=_path(data),
            samples=samples,
            board=board,
            preprocess=_path(preprocess),
            progress=progress,
        )

    def bench(self, *, runs: int | None = None, threads: int = 1, board: str | None = None) -> BenchReport:
        """Measure latency (on real machines) or instructions (under emulation), and memory."""
        return bench_package(self.path, runs=runs, threads=threads, board=board)

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


def _check_options(target: Target, form: str, optimize: str, libc: str | None) -> str | None:
    """Check options against each other; gives the C library, None where there is none."""
    for option, value, allowed in (("format", form, FORMATS), ("optimize", optimize, OPTIMIZE)):
        if value not in allowed:
            raise TargetError(f"--{option} {value}: choose from {', '.join(allowed)}")
    if libc is not None and libc not in LIBCS:
        raise TargetError(f"--libc {libc}: choose from {', '.join(LIBCS)}")
    if target.processor.arch == "c" and form != "c":
        raise TargetError(f"target {target.name} has no binary form", "give --format c")
    if libc is not None and not target.is_linux:
        raise TargetError(f"--libc {libc}: target {target.name} runs no Linux", "leave --libc out")
    return (libc or "gnu") if target.is_linux else None


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
