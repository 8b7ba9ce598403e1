"""ModelCode -> object files of one target, and the C sources that they come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tvm

from edgetvm.codegen.c_source import emit_kernels
from edgetvm.codegen.entry import emit_entry
from edgetvm.codegen.header import emit_header
from edgetvm.codegen.kernel_objects import kernel_objects
from edgetvm.codegen.model_code import ModelCode
from edgetvm.codegen.weights import emit_weights_binary, emit_weights_c
from edgetvm.resources import runtime_dir
from edgetvm.target.toolchain import compile_sources
from edgetvm.target.types import Target
from edgetvm.target.zig import run_zig


def runtime_sources(target: Target) -> list[Path]:
    """The C files that a package needs beside its own."""
    names = ["edgetvm.c", "thread_pool.c", "thread_cores.c"] if target.is_linux else ["edgetvm.c"]
    return [runtime_dir() / "src" / name for name in names]


def runtime_headers(target: Target) -> list[Path]:
    """The public headers of the runtime for `target`."""
    names = ["edgetvm.h", "edgetvm_threads.h"] if target.is_linux else ["edgetvm.h"]
    return [runtime_dir() / "include" / name for name in names]


def source_files(code: ModelCode, target: tvm.target.Target) -> dict[str, str]:
    """`--format c`: kernels, weights and entry as portable C99, by path in the package."""
    return {
        f"src/{code.name}.c": emit_entry(code),
        f"src/{code.name}_kernels.c": emit_kernels(code, target),
        f"src/{code.name}_weights.c": emit_weights_c(code),
    }


def compile_objects(code: ModelCode, target: Target, work: Path, libc: str | None) -> tuple[list[Path], list[Path]]:
    """Compile into `work`; gives the objects of the model (kernels, entry, weights) and those of the runtime."""
    assembler, blob = emit_weights_binary(code)
    sources = work / "src"
    sources.mkdir()
    files: dict[str, str | bytes] = {
        f"{code.name}.c": emit_entry(code),
        f"{code.name}.h": emit_header(code),
        f"{code.name}_weights.S": assembler,
        f"{code.name}_weights.bin": blob,
    }
    for name, content in files.items():
        (sources / name).write_bytes(content.encode() if isinstance(content, str) else content)
    objects = kernel_objects(code.all_kernels, work)
    roots = [kernel.name for kernel in code.all_kernels]
    kernels = [link_relocatable(objects, work / f"{code.name}_kernels.o", roots)] if objects else []
    include = runtime_dir() / "include"
    texts = [sources / f"{code.name}.c", sources / f"{code.name}_weights.S"]
    glue = compile_sources(texts, work, target, include_dirs=[include, sources], libc=libc)
    flags = ["-O2", "-DEDGETVM_THREADS"] if target.is_linux else ["-Os"]
    runtime = compile_sources(runtime_sources(target), work, target, include_dirs=[include], flags=flags, libc=libc)
    return [*kernels, *glue], runtime


def link_relocatable(objects: list[Path], out: Path, roots: Sequence[str] = ()) -> Path:
    """Join object files into one; with `roots`, what none of these symbols needs is left out."""
    kept = ["--gc-sections", *(part for root in roots for part in ("-u", root))] if roots else []
    run_zig(["ld.lld", "-r", *kept, *map(str, objects), "-o", str(out)])
    return out
