"""A model becomes a package."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from edgetvm.api.check_options import check_options, check_precision, check_threads
from edgetvm.api.max_drop import quantize_within
from edgetvm.api.package import Package, load
from edgetvm.api.progress import Progress
from edgetvm.api.quantize import options_of, pixel_input, quantize_to
from edgetvm.api.recorded import file_entry, held_entries, int4_entry
from edgetvm.api.schedule_model import ARENA_ALIGN, schedule_model, with_small_kernels
from edgetvm.codegen.assemble import VariantSchedule, assemble
from edgetvm.codegen.build_package import PackageOptions, build_package
from edgetvm.codegen.fit import arena_rooms, check_ram
from edgetvm.codegen.manifest import sha256
from edgetvm.codegen.names import model_name
from edgetvm.codegen.package import check_output
from edgetvm.errors import DataError, OutputError, UnsupportedError
from edgetvm.importers.read import import_model
from edgetvm.oracle.pixels import Pixels
from edgetvm.passes.pipeline import OptimizedModel
from edgetvm.passes.pipeline import optimize as optimize_graph
from edgetvm.passes.quantize.options import SCHEMES
from edgetvm.schedule.recipe import machine_for
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_c_target, tvm_target
from edgetvm.target.types import Target
from edgetvm.tune.use import tuned_for

_STAGES = ("import", "optimize", "schedule", "generate", "package")


def compile(  # noqa: A001
    model: str | Path,
    target: str | Path | Target,
    output: str | Path,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    format: str = "library",  # noqa: A002
    optimize: str = "balanced",
    precision: str = "fp32",
    libc: str | None = None,
    recipe: str | Path | None = None,
    quantize: str | None = None,
    calibration: str | Path | None = None,
    calibrator: str = "auto",
    preprocess: str | Path | None = None,
    window: int | None = None,
    input_type: str | None = None,
    equalize: bool = True,
    tensor_calibrators: Mapping[str, str] | None = None,
    float_nodes: Collection[str] = (),
    int16_nodes: Collection[str] = (),
    int8_weights: Collection[str] = (),
    max_drop: float | None = None,
    metric: str = "top1",
    score: str | None = None,
    require_integer: bool = False,
    integer_io: bool = False,
    keep_dead_channels: bool = False,
    reference: bool = True,
    threads: int = 1,
    records: str | Path | None = None,
    use_records: bool = True,
    name: str | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
) -> Package:
    """Compile a model, ONNX or .tflite, for a target and write the package to the new folder `output`.

    target           a board, a processor, or the path of a TOML file of your own
    shapes           freezes dynamic dimensions: {"input": [1, 3, 224, 224]}
    format           "library" (static, and shared for Linux), "object" or "c" (portable C99, kernels included)
    optimize         "size", "speed" or "balanced"
    precision        arithmetic of a float model: "fp32", or "fp16" on a core that has it
    libc             for Linux: "gnu" (glibc 2.28 or newer, the default) or "musl"
    recipe           a TOML file of schedule numbers that replace the shipped ones
    quantize         "int8", "int4", "int8x16" or "int8-dynamic": quantize a float model first (see
                     `edgetvm.quantize`, also for all from `calibration` to `int8_weights`)
    max_drop         the accuracy that may be lost, in hundredths of the metric (0.5 is half a point of top-1): the
                     most sensitive layers get int16 activations, or stay float, until it holds on the labels of
                     `calibration`
    metric, score    what `max_drop` is about: "top1" or "auc" of the output `score` (default: the first)
    require_integer  fail when an operator is left in float
    integer_io       inputs and outputs as quantized integers instead of float
    keep_dead_channels  compute also the channels of a quantized model that no input can change, or nothing reads
    reference        keep the model in the package, for `verify`
    threads          on how many the package will mostly run, which records tell of; it runs on any number
    records          a file that `tune` wrote; default: ./edgetvm-records.sqlite if there is one, then those that ship
    use_records      False: whatever was tuned, rules decide
    name             prefix of all C names; default: the model file's name
    note             is told, a line each, what a user should know of the records

    Raises an EdgeTVMError that says what to do; then nothing was written.
    """
    model, output, shapes = Path(model), Path(output), shapes or {}
    chosen = target if isinstance(target, Target) else load_target(str(target))
    libc = check_options(chosen, format, optimize, libc)
    check_threads(threads)
    check_precision(chosen, format, precision, quantize)
    if quantize is None and calibration is not None:
        raise DataError(f"--calibration {calibration} is for quantizing", f"give --quantize {SCHEMES[0]} too")
    if quantize is None and input_type is not None:
        raise DataError(f"--input-type {input_type} is for quantizing", f"give --quantize {SCHEMES[0]} too")
    if quantize is None and max_drop is not None:
        raise DataError(f"--max-drop {max_drop:g} is for quantizing", f"give --quantize {SCHEMES[0]} too")
    check_output(output)
    pixels = None if input_type is None else pixel_input(model, input_type, preprocess, shapes)
    recorded: dict[str, object] = {
        "target": chosen.name,
        "format": format,
        "optimize": optimize,
        "precision": precision,
        "libc": libc,
        "shapes": {key: [int(extent) for extent in value] for key, value in sorted(shapes.items())},
        "recipe": sha256(Path(recipe)) if recipe and Path(recipe).is_file() else None,
        "quantize": quantize,
        "calibration": file_entry(calibration),
        "calibrator": calibrator if quantize else None,
        "preprocess": file_entry(preprocess),
        "window": window,
        "input_type": input_type,
        "pixels": None if pixels is None else asdict(pixels),
        "equalize": equalize if quantize else None,
        "tensor_calibrators": dict(sorted((tensor_calibrators or {}).items())),
        "float_nodes": sorted(float_nodes),
        "int16_nodes": sorted(int16_nodes),
        "int4": None,
        "max_drop": None,
        "require_integer": require_integer,
        "integer_io": integer_io,
        "keep_dead_channels": keep_dead_channels,
        "threads": threads,
        "reference": reference,
    }
    stages = _Stages(progress)
    with tempfile.TemporaryDirectory(prefix="edgetvm-") as work:
        quantized = None
        if quantize is not None:
            quantized = Path(work) / "quantized.onnx"
            options = options_of(
                quantize, calibrator, equalize, tensor_calibrators, float_nodes, int16_nodes, int8_weights, pixels
            )
            if max_drop is None:
                made = quantize_to(
                    model,
                    quantized,
                    calibration,
                    options,
                    preprocess=preprocess,
                    window=window,
                    shapes=shapes,
                    progress=progress,
                )
                recorded["int4"] = int4_entry(made) if made.int4 else None
            else:
                held = quantize_within(
                    model,
                    quantized,
                    calibration,
                    options,
                    max_drop,
                    metric=metric,
                    score=score,
                    preprocess=preprocess,
                    window=window,
                    shapes=shapes,
                    progress=progress,
                )
                recorded |= held_entries(held, max_drop)
        stages.begin()
        imported = import_model(quantized or model, {} if quantized else shapes)
        imported = replace(imported, name=model_name(name or model.stem))
        stages.begin()
        kinds = [chosen, *(chosen.with_variant(variant) for variant in chosen.processor.variants)]
        machines = [machine_for(kind, format, optimize, Path(recipe) if recipe else None) for kind in kinds]
        multiple = None if keep_dead_channels else machines[0].recipe.channel_multiple or None
        optimized = _with_pixels(optimize_graph(imported, integer_io, precision == "fp16", multiple), pixels)
        if require_integer:
            _refuse_floats(model, optimized)
        stages.begin()
        small = [machine_for(kind, format, "size", Path(recipe) if recipe else None) for kind in kinds]
        if use_records:
            core, file = chosen.processor.name, Path(records) if records else None
            for_threads = [replace(machine, threads=threads) for machine in machines]
            tuned = tuned_for(core, for_threads, optimize, file)
            machines, small = list(tuned.machines), list(tuned_for(core, small, "size", file).machines)
            for line in tuned.notes:
                if note is not None:
                    note(line)
        model_kernels = schedule_model(optimized, chosen, machines, optimize)
        backend = tvm_c_target(chosen) if format == "c" else tvm_target(chosen)
        model_kernels = with_small_kernels(model_kernels, chosen, backend, machines, small)
        optimized, (scheduled, *others) = model_kernels.optimized, model_kernels.kernels
        recorded["records"] = tuned.digest(model_kernels.kernels) if use_records else None
        stages.begin()
        better = zip(chosen.processor.variants, others, map(tvm_target, kinds[1:]), strict=True)
        variants = [VariantSchedule(*each) for each in better]
        align, rooms = ARENA_ALIGN[chosen.processor.os], arena_rooms(chosen, machines[0].recipe.reserved_ram)
        code, rules = assemble(optimized.model, model_kernels.program, scheduled, backend, align, variants, rooms)
        check_ram(code, model.name, chosen)
        stages.begin()
        own_target = Path(str(target)) if str(target).endswith(".toml") else None
        recorded["name"] = imported.name
        package = PackageOptions(
            format, libc, reference, own_target, quantized, optimized.floats, optimized.dead, recorded
        )
        try:
            build_package(code, model, rules, backend, chosen, package, output)
        except OSError as error:
            place = error.filename or "the temporary folder"
            raise OutputError(f"cannot write {place}: {error.strerror or error}") from error
    return load(output)


class _Stages:
    """Tells a user's function which stage begins."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.done = 0

    def begin(self) -> None:
        if self.progress is not None:
            self.progress(_STAGES[self.done], self.done, len(_STAGES))
        self.done += 1


def _with_pixels(optimized: OptimizedModel, pixels: Pixels | None) -> OptimizedModel:
    """The model whose bytes mean pixels: one scale and zero point where they say it, else none."""
    if pixels is None:
        return optimized
    scale, zero = pixels.affine or (None, None)
    inputs = tuple(replace(info, scale=scale, zero_point=zero) for info in optimized.model.inputs)
    return replace(optimized, model=replace(optimized.model, inputs=inputs))


def _refuse_floats(model: Path, optimized: OptimizedModel) -> None:
    if optimized.floats is None:
        raise UnsupportedError(f"{model.name} is a float model", "give --quantize int8 and --calibration DATA")
    lines = [f"{', '.join(entry.nodes)} ({entry.operator}): {entry.reason}" for entry in optimized.floats]
    if lines:
        count = "1 operator is" if len(lines) == 1 else f"{len(lines)} operators are"
        raise UnsupportedError(f"{model.name}: {count} left in float: {lines[0]}", "\n".join(lines[1:]) or None)
