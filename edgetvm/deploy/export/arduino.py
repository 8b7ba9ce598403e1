"""An Arduino library (specification 1.5, revision 2.2): every source and header in `src`, and an example."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from edgetvm.codegen.templates import storage_of_several, table_of_several
from edgetvm.deploy.package import Package

# Two models have the same runtime; of archives a linker takes it once.
_PROPERTIES = """\
name=EdgeTVM {name}
version=1.0.0
author=EdgeTVM
maintainer=EdgeTVM
sentence=The neural network {name}.
paragraph=Compiled ahead of time by EdgeTVM: no interpreter, no heap.
category=Data Processing
url=
architectures=*
includes={name}.h
dot_a_linkage=true
"""
_EXAMPLE = """\
// Runs {name} on zeros, again and again. Tensors lie in the arena: no other memory is needed.
#include <{name}.h>

#include <string.h>

{storage}

void setup() {{
    Serial.begin(115200);
}}

void loop() {{
{fill}
    const unsigned long began = micros();
    const edgetvm_status status = {run};
    const unsigned long ended = micros();
    // Output 0 now lies {upper}_OUTPUT_0_OFFSET bytes into {output}.
    Serial.print("status ");
    Serial.print((int)status);
    Serial.print(", us ");
    Serial.println(ended - began);
    delay(1000);
}}
"""


_ONE = {
    "storage": """\
static uint8_t memory[{upper}_ARENA_BYTES + {upper}_ARENA_ALIGN];
static uint8_t *const arena = memory + ({upper}_ARENA_ALIGN - (uintptr_t)memory % {upper}_ARENA_ALIGN);""",
    "fill": "    memset(arena, 0, {upper}_ARENA_BYTES); // inputs lie at arena + {upper}_INPUT_0_OFFSET and so on",
    "run": "edgetvm_run(&{name}_model, arena, {upper}_ARENA_BYTES, NULL, NULL)",
    "output": "the arena",
}
_SEVERAL = {
    "fill": """\
    for (const edgetvm_arena &arena : arenas) {{
        memset(arena.memory, 0, arena.bytes); // input 0 lies {upper}_INPUT_0_OFFSET bytes into {upper}_INPUT_0_ARENA
    }}""",
    "run": "edgetvm_run_in(&{name}_model, arenas, {upper}_ARENA_COUNT, NULL, NULL)",
    "output": "arenas[{upper}_OUTPUT_0_ARENA]",
}


def arduino_library(package: Package, files: Mapping[str, bytes]) -> dict[str, str | bytes]:
    """The files of a library for the package's ``files``, by their paths in it."""
    name = package.name
    return {
        **{f"src/{PurePosixPath(path).name}": data for path, data in files.items()},
        "library.properties": _PROPERTIES.format(name=name),
        f"examples/{name}_zeros/{name}_zeros.ino": _example(package),
    }


def _example(package: Package) -> str:
    names = {"name": package.name, "upper": package.name.upper()}
    parts = _ONE
    if len(package.arenas) > 1:
        table = [line.removeprefix("    ") for line in table_of_several(package.name, package.arenas)]
        table[0] = f"static {table[0]}"
        storage = "\n".join([*storage_of_several(package.name, package.arenas), "", *table])
        parts = {**_SEVERAL, "storage": storage.replace("{", "{{").replace("}", "}}")}
    return _EXAMPLE.format(**names, **{key: text.format(**names) for key, text in parts.items()})
