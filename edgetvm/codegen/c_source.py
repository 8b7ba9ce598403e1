"""Kernels as portable C99 text."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir.prim import FloatImm, Max, Min
from tvm.tirx.buffer import BufferType

from edgetvm.codegen.entry import ModelCode, c_type, kernel_prototype
from edgetvm.codegen.lower import LoweredKernel, build

_LITERAL = "edgetvm_literal_"


def emit_kernels(code: ModelCode, target: tvm.target.Target) -> str:
    """One C source file with every kernel of the model.

    TVM prints the bodies; its includes and declarations give way to our own, and floating-point
    constants are written in hexadecimal, since it prints only seven digits of them.
    """
    literals: list[str] = []
    extremes: set[tuple[str, str]] = set()
    kernels = [_for_c(kernel, literals, extremes) for kernel in code.kernels]
    text = build(kernels, target).inspect_source()
    lines = [f'#include "{code.name}.h"', "", "#include <math.h>", "#include <stdbool.h>", "#include <string.h>", ""]
    lines += [_extreme_function(*extreme) for extreme in sorted(extremes)]
    lines += [kernel_prototype(code, kernel) + ";" for kernel in code.kernels]
    for kernel in code.kernels:
        signature, body = _function(text, kernel.name)
        names = re.findall(r"(\w+)\s*(?:,|$)", signature)
        prototype = kernel_prototype(code, kernel)
        for position, name in enumerate(names):
            prototype = re.sub(rf"\bp{position}\b", name, prototype)
        lines += ["", prototype, body]
    return re.sub(rf"{_LITERAL}(\d+)\(\)", lambda found: f"({literals[int(found.group(1))]})", "\n".join(lines)) + "\n"


def _function(text: str, name: str) -> tuple[str, str]:
    """(parameters, body with braces) of the definition of `name` in TVM's C output."""
    found = re.search(rf"\b{re.escape(name)}\(([^)]*)\) (\{{\n.*?\n\}})", text, re.DOTALL)
    if found is None:
        raise AssertionError(f"TVM printed no definition of {name}")
    return found.group(1), found.group(2)


def _for_c(kernel: LoweredKernel, literals: list[str], extremes: set[tuple[str, str]]) -> LoweredKernel:
    """Rewrite what TVM prints badly in C.

    Floating-point constants become calls of `edgetvm_literal_<index>`, replaced in the text later.
    Max and Min become calls of functions of our own: TVM keeps their operands in variables that it
    takes for valid even after the memory they came from has changed.
    Register arrays become plain ones: C has no word for them, and compilers see it for themselves.
    """
    plain: dict[tirx.Buffer, tirx.Buffer] = {}

    def spell(number: FloatImm) -> tvm.ir.Expr:
        literals.append(_c_float(float(number.value), str(number.ty.dtype)))
        return tirx.call_pure_extern(str(number.ty.dtype), f"{_LITERAL}{len(literals) - 1}")

    def extreme(expr: Max | Min) -> tvm.ir.Expr:
        dtype = str(expr.ty.dtype)
        kind = "max" if isinstance(expr, Max) else "min"
        extremes.add((kind, dtype))
        return tirx.call_pure_extern(dtype, f"edgetvm_{kind}_{dtype}", expr.a, expr.b)

    def declare(var: tvm.ir.Var) -> tvm.ir.Var:
        if not isinstance(var.ty, BufferType) or str(var.scope()) != "local":
            return var
        if var not in plain:
            plain[var] = tirx.decl_buffer(var.shape, str(var.dtype), var.name)
        return plain[var]

    body = tvm_ffi.structural_map(kernel.func.body, ((FloatImm, spell), ((Max, Min), extreme), (tvm.ir.Var, declare)))
    return replace(kernel, func=tirx.PrimFunc(kernel.func.params, body, kernel.func.ret_type, kernel.func.attrs))


def _extreme_function(kind: str, dtype: str) -> str:
    ctype, sign = c_type(dtype), ">" if kind == "max" else "<"
    name = f"edgetvm_{kind}_{dtype}"
    return f"static inline {ctype} {name}({ctype} a, {ctype} b)\n{{\n    return a {sign} b ? a : b;\n}}\n"


def _c_float(value: float, dtype: str) -> str:
    suffix = "f" if dtype == "float32" else ""
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return ("-" if value < 0 else "") + ("HUGE_VALF" if suffix else "HUGE_VAL")
    return f"{value!r}{suffix}" if value == int(value) and abs(value) < 1e6 else value.hex() + suffix
