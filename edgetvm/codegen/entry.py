"""The entry function: C text that calls the kernels in order on the planned arenas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgetvm.codegen.choice import emit_choice
from edgetvm.codegen.memory import Place
from edgetvm.codegen.model_code import Border, ModelCode, c_type, kernel_prototype, weight_symbol
from edgetvm.codegen.program import COPY, Program, Value
from edgetvm.codegen.tables import emit_tables

_TAP = """
/* Defined by whoever wants to see an output right after its call, before a later one reuses its bytes. */
#ifndef EDGETVM_TAP
#define EDGETVM_TAP(call, output, data, bytes) ((void)0)
#endif
"""

ENTRY = "run"  # the C function that calls the kernels, which nothing but the model's table points to


def emit_entry(code: ModelCode) -> str:
    """The source file of the entry function and the model's tables."""
    program = code.program
    lines = [f'#include "{code.name}.h"', "", "#include <stdbool.h>", "#include <string.h>"]
    lines += ["#include <sys/auxv.h>"] * bool(code.variants) + [_TAP]
    lines += [_weight_declaration(code, value) for value in program.constants]
    lines += ["", *(kernel_prototype(code, kernel) + ";" for kernel in code.all_kernels), ""]
    if code.variants:
        for entry in code.variants:
            lines += [*_run(code, f"run_{entry.variant.name}", entry.names), ""]
        lines += [*_run(code, "run_base", {}), "", *emit_choice([entry.variant for entry in code.variants])]
    else:
        lines += _run(code, ENTRY, {})
    return "\n".join([*lines, "", *emit_tables(code)]) + "\n"


def _run(code: ModelCode, name: str, names: Mapping[str, str]) -> list[str]:
    """The function that calls the kernels in order; those of `names` by another name."""
    program = code.program
    lines = [
        f"static int32_t {name}(const edgetvm_arena *arenas, const void *const *inputs, void *const *outputs)",
        "{",
        *(f"    uint8_t *const arena_{number} = arenas[{number}].memory;" for number in range(len(code.plan.arenas))),
        *_addresses("const void", "in", code.inputs),
        *_addresses("void", "out", code.outputs),
        *(f"    (void)arena_{number};" for number in range(len(code.plan.arenas))),
        *([f"    (void)in{position};" for position in range(len(code.inputs))] or ["    (void)inputs;"]),
    ]
    pointers = _pointers(code)
    for step, call in enumerate(program.calls):
        if call.kernel == COPY:
            source, result = (pointers[program.root(value)] for value in (call.inputs[0], call.outputs[0]))
            lines.append(f"    memcpy({result}, {source}, {program.values[call.outputs[0]].bytes});")
            lines += _taps(program, step, pointers)
            continue
        kernel = code.kernel(names.get(call.kernel, call.kernel))
        arguments = [pointers[program.root(value)] for value in (*call.inputs, *call.outputs)]
        workspaces = code.plan.workspaces[step][: len(kernel.workspaces)]
        arguments += map(_address, workspaces)
        text = f"{kernel.name}({', '.join(arguments)})"
        lines.append(f"    if ({text} != 0) {{\n        return 1;\n    }}" if kernel.returns_status else f"    {text};")
        lines += _taps(program, step, pointers)
    return [*lines, "    return 0;", "}"]


def _address(place: Place) -> str:
    return f"(void *)(arena_{place.arena} + {place.offset})"


def _pointers(code: ModelCode) -> dict[int, str]:
    """The C expression for the address of every value that owns memory."""
    program = code.program
    pointers = {root: _address(place) for root, place in code.plan.values.items()}
    for index, value in enumerate(program.values):
        if value.data is not None:
            pointers[index] = weight_symbol(code, value)
    pointers |= {program.root(value): f"out{position}" for position, value in enumerate(program.outputs)}
    pointers |= {index: f"in{position}" for position, index in enumerate(program.inputs)}
    return pointers


def _addresses(ctype: str, name: str, borders: Sequence[Border]) -> list[str]:
    """A variable for each tensor of the border: the caller's buffer, or without one its place in an arena."""
    array = f"{name}puts"
    given = [f"{array} != NULL && {array}[{i}] != NULL ? {array}[{i}]" for i in range(len(borders))]
    return [
        f"    {ctype} *const {name}{i} = {given[i]} : {_address(border.place)};" for i, border in enumerate(borders)
    ]


def _taps(program: Program, step: int, pointers: Mapping[int, str]) -> list[str]:
    """A line for each output of call `step`: call, output, address and bytes."""
    return [
        f"    EDGETVM_TAP({step}, {position}, {pointers[program.root(value)]}, {program.values[value].bytes});"
        for position, value in enumerate(program.calls[step].outputs)
    ]


def _weight_declaration(code: ModelCode, value: Value) -> str:
    elements = max(value.data.size if value.data is not None else 0, 1)
    return f"extern const {c_type(value.dtype)} {weight_symbol(code, value)}[{elements}];"
