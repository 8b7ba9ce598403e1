"""ModelCode -> the complete folder of a package for one target."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tvm

from edgetvm.codegen.arena_blocks import arena_blocks
from edgetvm.codegen.arena_picture import arena_svg
from edgetvm.codegen.entry import emit_entry
from edgetvm.codegen.header import emit_header
from edgetvm.codegen.manifest import make_manifest
from edgetvm.codegen.model_code import ModelCode
from edgetvm.codegen.objects import compile_objects, link_relocatable, runtime_headers, runtime_sources, source_files
from edgetvm.codegen.package import copy_files, staged_folder, to_json, write_files
from edgetvm.codegen.sizes import Sizes, measure
from edgetvm.codegen.templates import emit_cmake, emit_example
from edgetvm.importers.tflite_file import is_tflite
from edgetvm.passes.dead_channels.remove import DeadChannels
from edgetvm.passes.integer.in_float import FloatOperator
from edgetvm.schedule.types import ScheduledKernel
from edgetvm.target.toolchain import archive, link_shared
from edgetvm.target.types import Target


@dataclass(frozen=True)
class PackageOptions:
    """How a package is written. `form` is library, object or c; `libc` gnu or musl, None without Linux.

    `own_target` is the user's file that describes the target, if it is not one that ships with EdgeTVM.
    `quantized` is the graph that was compiled where EdgeTVM quantized the model; `floats` what a quantized
    model computes in float, None for a float model; `dead` the channels of a quantized one that were removed.
    """

    form: str
    libc: str | None
    reference: bool
    own_target: Path | None
    quantized: Path | None
    floats: Sequence[FloatOperator] | None
    dead: DeadChannels | None
    recorded: Mapping[str, object]  # all options in normal form, for the manifest


def build_package(
    code: ModelCode,
    model: Path,
    scheduled: Mapping[str, ScheduledKernel],
    tvm_target: tvm.target.Target,
    target: Target,
    options: PackageOptions,
    output: Path,
) -> None:
    """Compile, check that the model fits its board, and write the package to `output`.

    Nothing appears at `output` unless all of it worked. Raises DoesNotFitError, OutputError, ToolError.
    """
    with tempfile.TemporaryDirectory(prefix="edgetvm-") as temporary:
        work = Path(temporary)
        if options.form == "c":
            files: dict[str, str | bytes] = dict(source_files(code, tvm_target))
            sizes = measure(code, None, target, work, model.name)
        else:
            own, runtime = compile_objects(code, target, work, options.libc)
            files = _binaries(code, own, runtime, target, options, work)
            sizes = measure(code, [*own, *runtime], target, work, model.name)
        files |= _texts(code, target, options.form)
        files["manifest.json"] = _manifest(code, model, scheduled, target, options, sizes)
        with staged_folder(output) as stage:
            write_files(stage, files)
            copy_files(runtime_headers(target), stage / "include")
            if options.form != "library":
                copy_files(runtime_sources(target), stage / "runtime" / "src")
            if options.own_target is not None:
                shutil.copyfile(options.own_target, stage / "target.toml")
            if options.reference:
                (stage / "reference").mkdir()
                kept = "model.tflite" if is_tflite(model) else "model.onnx"
                shutil.copyfile(model, stage / "reference" / kept)
                if options.quantized is not None:
                    shutil.copyfile(options.quantized, stage / "reference" / "quantized.onnx")


def _binaries(
    code: ModelCode, own: list[Path], runtime: list[Path], target: Target, options: PackageOptions, work: Path
) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {f"src/{code.name}.c": emit_entry(code)}
    if options.form == "object":
        files[f"lib/{code.name}.o"] = link_relocatable(own, work / f"{code.name}_joined.o").read_bytes()
        return files
    objects = [*own, *runtime]
    library = archive(objects, work / f"lib{code.name}.a")
    files[f"lib/{library.name}"] = library.read_bytes()
    if target.is_linux:
        shared = link_shared(objects, work / f"lib{code.name}.so", target, libc=options.libc)
        files[f"lib/{shared.name}"] = shared.read_bytes()
    return files


def _texts(code: ModelCode, target: Target, form: str) -> dict[str, str | bytes]:
    sources = [f"runtime/src/{path.name}" for path in runtime_sources(target)]
    if form == "c":
        sources += [f"src/{code.name}{part}.c" for part in ("", "_kernels", "_weights")]
    return {
        f"include/{code.name}.h": emit_header(code),
        "main.c": emit_example(code),
        "arena.svg": arena_svg(
            arena_blocks(code), code.plan.arenas, [call.kernel for call in code.program.calls], code.name
        ),
        "CMakeLists.txt": emit_cmake(code.name, form, sources, target.is_linux),
    }


def _manifest(
    code: ModelCode,
    model: Path,
    scheduled: Mapping[str, ScheduledKernel],
    target: Target,
    options: PackageOptions,
    sizes: Sizes,
) -> str:
    amounts = {"flash_bytes": sizes.flash_bytes, "ram_bytes": sizes.ram_bytes, "stack_bytes": sizes.stack_bytes}
    return to_json(
        make_manifest(
            code, model, target, options.recorded, sizes.sections, amounts, scheduled, options.floats, options.dead
        )
    )
