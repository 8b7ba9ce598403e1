"""The tables of a model in C: what `edgetvm.h` tells of it at run time."""

from __future__ import annotations

from edgetvm.codegen.model_code import C_TYPES, ModelCode


def emit_tables(code: ModelCode) -> list[str]:
    """Lines that end in the definition of `NAME_model`, which points to a function `run`."""
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
