"""The example and the build file that a package carries for its user."""

from __future__ import annotations

from edgetvm.codegen.entry import ModelCode


def emit_example(code: ModelCode) -> str:
    """`main.c`: the shortest program that runs the model once."""
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
