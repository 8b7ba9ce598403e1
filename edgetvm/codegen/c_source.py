"""Kernels as portable C99 text."""

from __future__ import annotations

import re

import tvm

from edgetvm.codegen import acle, mve
from edgetvm.codegen.c_forms import LITERAL, Needs, extreme_function, for_c, word_function
from edgetvm.codegen.lower import build
from edgetvm.codegen.model_code import ModelCode, kernel_prototype


def emit_kernels(code: ModelCode, target: tvm.target.Target) -> str:
    """One C source file with every kernel of the model.

    TVM prints the bodies; its includes and declarations give way to our own.
    """
    needs = Needs()
    kernels = [for_c(kernel, needs) for kernel in code.kernels]
    text = mve.with_vector_types(build(kernels, target).inspect_source())
    lines = [
        f'#include "{code.name}.h"',
        "",
        *([acle.HEADER] if needs.acle else []),
        *([mve.HEADER] if needs.vectors else []),
        "#include <math.h>",
        "#include <stdbool.h>",
        "#include <string.h>",
        "",
    ]
    lines += [extreme_function(*extreme) for extreme in sorted(needs.extremes)]
    lines += [word_function()] if needs.words else []
    lines += [mve.four_words_function()] if needs.vectors else []
    lines += [kernel_prototype(code, kernel) + ";" for kernel in code.kernels]
    views: set[str] = set()
    functions: list[str] = []
    for kernel in code.kernels:
        signature, body = _function(text, kernel.name)
        body, types = _alias_anything(body)
        views |= types
        names = re.findall(r"(\w+)\s*(?:,|$)", signature)
        prototype = kernel_prototype(code, kernel)
        for position, name in enumerate(names):
            prototype = re.sub(rf"\bp{position}\b", name, prototype)
        functions += ["", prototype, body]
    lines += [f"typedef {ctype} __attribute__((may_alias)) {_view(ctype)};" for ctype in sorted(views)]
    lines += functions

    def literal(found: re.Match[str]) -> str:
        return f"({needs.literals[int(found.group(1))]})"

    return re.sub(rf"{LITERAL}(\d+)\(\)", literal, "\n".join(lines)) + "\n"


def _alias_anything(body: str) -> tuple[str, set[str]]:
    """The body with pointers to views of other types marked so, and the types of their elements.

    Kernels view one buffer as several types, which C allows for bytes only.
    """
    views: set[str] = set()

    def mark(found: re.Match[str]) -> str:
        ctype, name = found.groups()
        views.add(ctype)
        return f"{_view(ctype)}* {name} = (({_view(ctype)}*)"

    return re.sub(r"\b(int16_t|int32_t|int64_t)\* (\w+) = \(\(\1\*\)", mark, body), views


def _view(ctype: str) -> str:
    return f"edgetvm_{ctype.removesuffix('_t')}_view"


def _function(text: str, name: str) -> tuple[str, str]:
    """(parameters, body with braces) of the definition of `name` in TVM's C output."""
    found = re.search(rf"\b{re.escape(name)}\(([^)]*)\) (\{{\n.*?\n\}})", text, re.DOTALL)
    if found is None:
        raise AssertionError(f"TVM printed no definition of {name}")
    return found.group(1), found.group(2)
