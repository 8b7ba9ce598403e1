"""An Arduino library (specification 1.5, revision 2.2): every source and header in `src`, and an example."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

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

static uint8_t memory[{upper}_ARENA_BYTES + {upper}_ARENA_ALIGN];
static uint8_t *const arena = memory + ({upper}_ARENA_ALIGN - (uintptr_t)memory % {upper}_ARENA_ALIGN);

void setup() {{
    Serial.begin(115200);
}}

void loop() {{
    memset(arena, 0, {upper}_ARENA_BYTES); // inputs lie at arena + {upper}_INPUT_0_OFFSET and so on
    const unsigned long began = micros();
    const edgetvm_status status = edgetvm_run(&{name}_model, arena, {upper}_ARENA_BYTES, NULL, NULL);
    const unsigned long ended = micros();
    // Output 0 now lies at arena + {upper}_OUTPUT_0_OFFSET.
    Serial.print("status ");
    Serial.print((int)status);
    Serial.print(", us ");
    Serial.println(ended - began);
    delay(1000);
}}
"""


def arduino_library(name: str, files: Mapping[str, bytes]) -> dict[str, str | bytes]:
    """The files of a library for the package's ``files``, by their paths in it."""
    return {
        **{f"src/{PurePosixPath(path).name}": data for path, data in files.items()},
        "library.properties": _PROPERTIES.format(name=name),
        f"examples/{name}_zeros/{name}_zeros.ino": _EXAMPLE.format(name=name, upper=name.upper()),
    }
