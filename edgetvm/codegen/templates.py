"""The example and the build file that a package carries for its user."""

from __future__ import annotations

from collections.abc import Sequence

from edgetvm.codegen.memory import Arena
from edgetvm.codegen.model_code import ModelCode


def emit_example(code: ModelCode) -> str:
    """`main.c`: the shortest program that runs the model once."""
    if len(code.plan.arenas) > 1:
        return _example_of_several(code)
    upper = code.name.upper()
    lines = [
        f"/* Runs {code.name} once on zeros. Tensors lie in the arena: no other memory is needed. */",
        f'#include "{code.name}.h"',
        "",
        "#include <string.h>",
        "",
        f"static uint8_t memory[{upper}_ARENA_BYTES + {upper}_ARENA_ALIGN];",
        "",
        "int main(void)",
        "{",
        "    /* C99 has no alignment specifier: step to the next multiple. */",
        f"    uint8_t *arena = memory + ({upper}_ARENA_ALIGN - (uintptr_t)memory % {upper}_ARENA_ALIGN);",
    ]
    for position in range(len(code.inputs)):
        place = f"{upper}_INPUT_{position}"
        lines.append(f"    memset(arena + {place}_OFFSET, 0, {place}_BYTES);")
    lines += [
        f"    edgetvm_status status = edgetvm_run(&{code.name}_model, arena, {upper}_ARENA_BYTES, NULL, NULL);",
        f"    /* Output 0 now lies at arena + {upper}_OUTPUT_0_OFFSET. */",
        "    return status == EDGETVM_OK ? 0 : 1;",
        "}",
    ]
    return "\n".join(lines) + "\n"


def storage_of_several(name: str, arenas: Sequence[Arena]) -> list[str]:
    """C text that gives each of several arenas its memory, and `aligned`, which steps into it."""
    upper = name.upper()
    lines = ["/* Your linker script tells which section lies in which memory region. */"]
    for number, arena in enumerate(arenas):
        size = f"{upper}_ARENA_{number}_BYTES + {upper}_ARENA_ALIGN"
        lines += [
            f'__attribute__((section(".arena.{number}"))) /* {arena.region} */',
            f"static uint8_t memory_{number}[{size}];",
        ]
    return [
        *lines,
        "",
        "/* C99 has no alignment specifier: step to the next multiple. */",
        "static void *aligned(uint8_t *memory)",
        "{",
        f"    return memory + ({upper}_ARENA_ALIGN - (uintptr_t)memory % {upper}_ARENA_ALIGN);",
        "}",
    ]


def table_of_several(name: str, arenas: Sequence[Arena]) -> list[str]:
    """C text of the array `arenas` on that memory."""
    upper = name.upper()
    return [
        f"    const edgetvm_arena arenas[{upper}_ARENA_COUNT] = {{",
        *(f"        {{aligned(memory_{i}), {upper}_ARENA_{i}_BYTES}}," for i in range(len(arenas))),
        "    };",
    ]


def _example_of_several(code: ModelCode) -> str:
    upper = code.name.upper()
    lines = [
        f"/* Runs {code.name} once on zeros. Tensors lie in the arenas: no other memory is needed. */",
        f'#include "{code.name}.h"',
        "",
        "#include <string.h>",
        "",
        *storage_of_several(code.name, code.plan.arenas),
        "",
        "int main(void)",
        "{",
        *table_of_several(code.name, code.plan.arenas),
    ]
    for position in range(len(code.inputs)):
        place = f"{upper}_INPUT_{position}"
        lines.append(f"    memset((uint8_t *)arenas[{place}_ARENA].memory + {place}_OFFSET, 0, {place}_BYTES);")
    output = f"{upper}_OUTPUT_0"
    lines += [
        f"    edgetvm_status status = edgetvm_run_in(&{code.name}_model, arenas, {upper}_ARENA_COUNT, NULL, NULL);",
        f"    /* Output 0 now lies {output}_OFFSET bytes into arenas[{output}_ARENA]. */",
        "    return status == EDGETVM_OK ? 0 : 1;",
        "}",
    ]
    return "\n".join(lines) + "\n"


def emit_cmake(name: str, form: str, sources: list[str], linux: bool) -> str:
    """`CMakeLists.txt`: `add_subdirectory` of the package gives a target called `name`."""
    lines = ["cmake_minimum_required(VERSION 3.16)", f"project({name} C)", ""]
    if form == "library":
        lines += [
            f"add_library({name} STATIC IMPORTED GLOBAL)",
            f"set_target_properties({name} PROPERTIES",
            f"  IMPORTED_LOCATION ${{CMAKE_CURRENT_SOURCE_DIR}}/lib/lib{name}.a",
            "  INTERFACE_INCLUDE_DIRECTORIES ${CMAKE_CURRENT_SOURCE_DIR}/include)",
        ]
        scope = "INTERFACE"
    else:
        objects = [f"lib/{name}.o"] if form == "object" else []
        lines += [
            f"add_library({name} STATIC {' '.join([*sources, *objects])})",
            f"target_include_directories({name} PUBLIC include)",
            f"set_target_properties({name} PROPERTIES C_STANDARD 99 C_EXTENSIONS OFF)",
        ]
        scope = "PUBLIC"
    libraries = ["m"]
    if linux:
        lines += ["find_package(Threads REQUIRED)"]
        libraries.append("Threads::Threads")
        if form != "library":
            lines.append(f"target_compile_definitions({name} PRIVATE EDGETVM_THREADS)")
    lines += [
        f"target_link_libraries({name} {scope} {' '.join(libraries)})",
        "",
        f"add_executable({name}_example EXCLUDE_FROM_ALL main.c)",
        f"target_link_libraries({name}_example PRIVATE {name})",
    ]
    return "\n".join(lines) + "\n"
