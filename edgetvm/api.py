"""The public functions: each joins the layers for one thing a user wants."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import tvm

from edgetvm.codegen.assemble import assemble, constant_operands
from edgetvm.codegen.build_package import PackageOptions, build_package
from edgetvm.codegen.package import check_output
from edgetvm.codegen.program import extract_program
from edgetvm.importers.onnx import import_onnx
from edgetvm.passes.pipeline import optimize
from edgetvm.schedule.apply import schedule_module
from edgetvm.schedule.recipe import machine_for
from edgetvm.target.types import Processor, Target


def compile(  # noqa: A001
    model: str | Path,
    target: str,
    output: str | Path,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    format: str = "library",  # noqa: A002
    libc: str | None = None,
    reference: bool = True,
    name: str | None = None,
) -> None:
    check_output(Path(output))
    t = Target("host", Processor("host", "x86_64", "linux", "x86_64-linux-gnu", "znver4", "", zig_cpu="x86_64_v3", vector_bytes=64, vector_registers=32))
    tt = tvm.target.Target({"kind": "c"} if format == "c" else {"kind": "llvm", "mcpu": "znver4", "cl-opt": ["-enable-tbaa:bool=0"], "num-cores": 1})
    imported = import_onnx(Path(model), shapes or {})
    optimized = optimize(imported)
    program = extract_program(optimized.module, optimized.sources)
    scheduled = schedule_module(optimized.module, machine_for(t, format), constant_operands(program))
    code, rules = assemble(imported, program, scheduled, tt, 64)
    options = PackageOptions(format, libc, reference, {"format": format, "libc": libc})
    build_package(code, Path(model), rules, tt, t, options, Path(output))
