"""The entry function: C text that calls the kernels in order on the planned arenas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgetvm.codegen.choice import emit_choice
from edgetvm.codegen.lower import LoweredKernel
from edgetvm.codegen.memory import MemoryPlan, Place
from edgetvm.codegen.program import COPY, Program, Value
from edgetvm.errors import UnsupportedError
from edgetvm.target.types import Variant

_TAP = """
/* Defined by whoever wants to see an output right after its call, before a later one reuses its bytes. */
#ifndef EDGETVM_TAP
#define EDGETVM_TAP(call, output, data, bytes) ((void)0)
#endif
"""

ENTRY = "run"  # the C function that calls the kernels, which nothing but the model's table points to

# Storage in C and name in edgetvm.h of every element type that a model's border may have.
C_TYPES = {
    "bool": ("bool", "EDGETVM_BOOL"),
    "int8": ("int8_t", "EDGETVM_INT8"),
    "uint8": ("uint8_t", "EDGETVM_UINT8"),
    "int16": ("int16_t", "EDGETVM_INT16"),
    "uint16": ("uint16_t", "EDGETVM_UINT16"),
    "int32": ("int32_t", "EDGETVM_INT32"),
    "uint32": ("uint32_t", "EDGETVM_UINT32"),
    "int64": ("int64_t", "EDGETVM_INT64"),
    "uint64": ("uint64_t", "EDGETVM_UINT64"),
    "float16": ("uint16_t", "EDGETVM_FLOAT16"),
    "float32": ("float", "EDGETVM_FLOAT32"),
    "float64": ("double", "EDGETVM_FLOAT64"),
}


@dataclass(frozen=True)
class Border:
    """An input or output as the user sees it: the model's own name, shape and dtype, and where it may lie.

    Of quantized integers ``scale * (code - zero_point)`` is the number that a code stands for.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    place: Place
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class VariantCode:
    """What replaces kernels of a model on cores that have `variant`.

    `kernels` are its own; `names` maps each kernel that is replaced to its own or an earlier variant's.
    """

    variant: Variant
    kernels: tuple[LoweredKernel, ...]
    names: Mapping[str, str]


@dataclass(frozen=True)
class ModelCode:
    """All that the C text of one model is made from."""

    name: str
    program: Program
    plan: MemoryPlan
    kernels: tuple[LoweredKernel, ...]
    inputs: tuple[Border, ...]
    outputs: tuple[Border, ...]
    arena_align: int
    variants: tuple[VariantCode, ...] = ()

    @property
    def all_kernels(self) -> tuple[LoweredKernel, ...]:
        """Those of every core."""
        return (*self.kernels, *(kernel for variant in self.variants for kernel in variant.kernels))

    def kernel(self, name: str) -> LoweredKernel:
        return next(kernel for kernel in self.all_kernels if kernel.name == name)


def c_type(dtype: str) -> str:
    """The C type that stores one element."""
    if dtype not in C_TYPES:
        raise UnsupportedError(f"element type {dtype} has no C type")
    return C_TYPES[dtype][0]


def weight_symbol(code: ModelCode, value: Value) -> str:
    """The C name of a constant."""
    return f"{code.name}_{value.name}"


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
    return "\n".join([*lines, "", *_tables(code)]) + "\n"


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


def kernel_prototype(code: ModelCode, kernel: LoweredKernel) -> str:
    """`void NAME(const float *a, ..., float *out, ..., scratch)` in C."""
    replaced = {own: name for variant in code.variants for name, own in variant.names.items()}
    name = replaced.get(kernel.name, kernel.name)
    call = next(call for call in code.program.calls if call.kernel == name)
    values = code.program.values
    types = [f"const {c_type(values[i].dtype)} *" for i in call.inputs]
    types += [f"{c_type(values[i].dtype)} *" for i in call.outputs]
    types += [f"{c_type(dtype)} *" for dtype in kernel.workspace_types]
    arguments = ", ".join(f"{ctype}p{i}" for i, ctype in enumerate(types))
    return f"{'int32_t' if kernel.returns_status else 'void'} {kernel.name}({arguments})"


def emit_header(code: ModelCode) -> str:
    """The public header of the model."""
    upper = code.name.upper()
    lines = [f"#ifndef {upper}_H", f"#define {upper}_H", "", '#include "edgetvm.h"', ""]
    lines += ["#ifdef __cplusplus", 'extern "C" {', "#endif", ""]
    lines += [*_arena_sizes(code), f"#define {upper}_ARENA_ALIGN {code.arena_align}"]
    for kind, borders in (("INPUT", code.inputs), ("OUTPUT", code.outputs)):
        for position, border in enumerate(borders):
            shape = " x ".join(map(str, border.shape)) or "scalar"
            lines += [
                "",
                f"/* {kind.lower()} {position}, {_comment(border.name)}: {border.dtype}, {shape} */",
                f"#define {upper}_{kind}_{position}_BYTES {border.bytes}",
                f"#define {upper}_{kind}_{position}_OFFSET {border.place.offset}",
            ]
            if len(code.plan.arenas) > 1:
                lines.append(f"#define {upper}_{kind}_{position}_ARENA {border.place.arena}")
            if border.scale is not None:
                lines += [
                    f"#define {upper}_{kind}_{position}_SCALE {border.scale!r}",
                    f"#define {upper}_{kind}_{position}_ZERO_POINT {border.zero_point}",
                ]
    lines += ["", f"extern const edgetvm_model {code.name}_model;", ""]
    lines += ["#ifdef __cplusplus", "}", "#endif", "", "#endif"]
    return "\n".join(lines) + "\n"


def _arena_sizes(code: ModelCode) -> list[str]:
    """Of several arenas each has a number: a program that is written for one does not compile."""
    upper, arenas = code.name.upper(), code.plan.arenas
    if len(arenas) == 1:
        return [f"#define {upper}_ARENA_BYTES {arenas[0].bytes}"]
    lines = [
        "/* One arena for each of these memory regions, for edgetvm_run_in. */",
        f"#define {upper}_ARENA_COUNT {len(arenas)}",
    ]
    for number, arena in enumerate(arenas):
        lines.append(f"#define {upper}_ARENA_{number}_BYTES {arena.bytes} /* {_comment(arena.region or '')} */")
    return lines


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


def _tables(code: ModelCode) -> list[str]:
    lines: list[str] = []
    for kind, borders in (("inputs", code.inputs), ("outputs", code.outputs)):
        for position, border in enumerate(borders):
            if border.shape:
                extents = ", ".join(map(str, border.shape))
                lines.append(f"static const int64_t {kind}_{position}_shape[{len(border.shape)}] = {{{extents}}};")
        rows = []
        for position, border in enumerate(borders):
            shape = f"{kind}_{position}_shape" if border.shape else "NULL"
            fields = [
                _string(border.name),
                C_TYPES[border.dtype][1],
                len(border.shape),
                shape,
                border.bytes,
                border.place.offset,
                border.place.arena,
            ]
            rows.append(f"    {{{', '.join(map(str, fields))}}},")
        if borders:  # C99 has no empty initialiser
            lines += [f"static const edgetvm_tensor {kind}[{len(borders)}] = {{", *rows, "};"]
    sizes = ", ".join(str(arena.bytes) for arena in code.plan.arenas)
    lines += [
        f"static const size_t arena_bytes[{len(code.plan.arenas)}] = {{{sizes}}};",
        "",
        f"const edgetvm_model {code.name}_model = {{",
        f"    EDGETVM_ABI, {_string(code.name)}, {len(code.plan.arenas)}, arena_bytes, {code.arena_align},",
        f"    {len(code.inputs)}, {len(code.outputs)},"
        f" {'inputs' if code.inputs else 'NULL'}, {'outputs' if code.outputs else 'NULL'}, run,",
        "};",
    ]
    return lines


def _string(text: str) -> str:
    """A C string literal; octal escapes, since a hexadecimal one would swallow a digit behind it."""
    plain = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode("utf-8"))
    return f'"{plain}"'


def _comment(text: str) -> str:
    return repr(text.encode("ascii", "backslashreplace").decode()).replace("*/", "* /").replace("/*", "/ *")


def check_types(values: Sequence[Value]) -> None:
    """Raise UnsupportedError for an element type that C cannot hold."""
    for value in values:
        c_type(value.dtype)
