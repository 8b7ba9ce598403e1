"""The public header of a model: sizes and places of its arenas, inputs and outputs."""

from __future__ import annotations

from edgetvm.codegen.model_code import ModelCode


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


def _comment(text: str) -> str:
    return repr(text.encode("ascii", "backslashreplace").decode()).replace("*/", "* /").replace("/*", "/ *")
