"""Constants of a model as linkable data: one binary file and an assembler file that includes it, or C arrays."""

from __future__ import annotations

import numpy as np

from edgetvm.codegen.model_code import ModelCode, c_type, weight_symbol

NO_STACK = '    .section .note.GNU-stack,"",%progbits'  # the last line of an assembler file: no code on the stack
_PER_LINE = 12


def emit_weights_binary(code: ModelCode) -> tuple[str, bytes]:
    """(assembler text, bytes of `NAME_weights.bin`): how a library carries megabytes quickly."""
    lines: list[str] = []
    blob = bytearray()
    for value in code.program.constants:
        assert value.data is not None
        raw = np.ascontiguousarray(value.data).tobytes() or b"\0"
        lines += included(weight_symbol(code, value), f"{code.name}_weights.bin", len(blob), len(raw), code.arena_align)
        blob += raw
    return "\n".join([*lines, NO_STACK, ""]), bytes(blob)


def included(symbol: str, file: str, start: int, size: int, align: int) -> list[str]:
    """The lines of an assembler file for a constant of `size` bytes that lie in `file` from `start` on."""
    return [
        f'    .section .rodata.{symbol},"a",%progbits',
        f"    .balign {align}",
        f"    .globl {symbol}",
        f"    .hidden {symbol}",
        f"    .type {symbol}, %object",
        f"{symbol}:",
        f'    .incbin "{file}", {start}, {size}',
        f"    .size {symbol}, {size}",
    ]


def emit_weights_c(code: ModelCode) -> str:
    """The same constants as C99 arrays, exact to the bit (hexadecimal floats)."""
    lines = ["#include <math.h>", "#include <stdbool.h>", "#include <stdint.h>", ""]
    for value in code.program.constants:
        assert value.data is not None
        flat = value.data.reshape(-1)
        words = [_literal(item, value.dtype) for item in (flat if flat.size else np.zeros(1, flat.dtype))]
        symbol, ctype = weight_symbol(code, value), c_type(value.dtype)
        lines.append(f"extern const {ctype} {symbol}[{len(words)}];")
        lines.append(f"const {ctype} {symbol}[{len(words)}] = {{")
        starts = range(0, len(words), _PER_LINE)
        lines += ["    " + ", ".join(words[start : start + _PER_LINE]) + "," for start in starts]
        lines += ["};", ""]
    return "\n".join(lines)


def _literal(item: np.generic, dtype: str) -> str:
    if dtype in ("float32", "float64"):
        number = float(item)
        suffix = "f" if dtype == "float32" else ""
        if np.isnan(number):
            return "NAN"
        if np.isinf(number):
            return f"{'-' if number < 0 else ''}{'HUGE_VALF' if suffix else 'HUGE_VAL'}"
        return number.hex() + suffix
    if dtype == "float16":
        return str(int(np.asarray(item, np.float16).view(np.uint16)))
    if dtype == "bool":
        return "true" if item else "false"
    number = int(item)
    if dtype == "int64":
        return "INT64_MIN" if number == -(2**63) else f"INT64_C({number})"
    if dtype == "uint64":
        return f"UINT64_C({number})"
    if dtype == "int32" and number == -(2**31):
        return "INT32_MIN"
    return f"{number}u" if dtype == "uint32" else str(number)
