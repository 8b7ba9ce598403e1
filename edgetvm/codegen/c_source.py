"""Kernels as portable C99 text."""

from __future__ import annotations

import re

import tvm

from edgetvm.codegen.c_forms import LITERAL, Needs, extreme_function, for_c
from edgetvm.codegen.entry import ModelCode, kernel_prototype
from edgetvm.codegen.lower import build


def emit_kernels(code: ModelCode, target: tvm.target.Target) -> str:
    """One C source file with every kernel of the model.

    TVM prints the bodies; its includes and declarations give way to our own.
    """
    needs = Needs()
    kernels = [for_c(kernel, needs) for kernel in code.kernels]
    text = build(kernels, target).inspect_source()
    lines = [f'#include "{code.name}.h"', "", "#include <math.h>", "#include <stdbool.h>", "#include <string.h>", ""]
    lines += [extreme_function(*extreme) for extreme in sorted(needs.extremes)]
    lines += [kernel_prototype(code, kernel) + ";" for kernel in code.kernels]
    for kernel in code.kernels:
        signature, body = _function(text, kernel.name)
        names = re.findall(r"(\w+)\s*(?:,|$)", signature)
        prototype = kernel_prototype(code, kernel)
        for position, name in enumerate(names):
            prototype = re.sub(rf"\bp{position}\b", name, prototype)
        lines += ["", prototype, body]

    def literal(found: re.Match[str]) -> str:
        return f"({needs.literals[int(found.group(1))]})"

    return re.sub(rf"{LITERAL}(\d+)\(\)", literal, "\n".join(lines)) + "\n"


def _function(text: str, name: str) -> tuple[str, str]:
    """(parameters, body with braces) of the definition of `name` in TVM's C output."""
    found = re.search(rf"\b{re.escape(name)}\(([^)]*)\) (\{{\n.*?\n\}})", text, re.DOTALL)
    if found is None:
        raise AssertionError(f"TVM printed no definition of {name}")
    return found.group(1), found.group(2)
