"""Packages of one operator, written by hand: what a compiled package looks like to edgetvm.deploy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from edgetvm.resources import runtime_dir
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import archive, compile_sources

ARENA_BYTES = 64  # x at 0, y at 16, scratch from 32 on

# The statements of the model's entry. Each sees x, y (four floats), arena and a volatile scratch.
ADD_ONE = "scratch[31] = 1; for (i = 0; i < 4; i++) { y[i] = x[i] + 1.0f; }"
OUTSIDE_AFTER = ADD_ONE + " arena[64] = 1;"
OUTSIDE_BEFORE = ADD_ONE + " arena[-1] = 1;"
READS_UNWRITTEN = "for (i = 0; i < 4; i++) { y[i] = x[i] + (float)scratch[8]; }"
KERNEL_FAILS = "if (x[0] >= 2.0f) { return -1; } " + ADD_ONE
HANGS = "while (x[0] >= 2.0f) { scratch[0]++; } " + ADD_ONE
WRITES_NULL = "static int *volatile nowhere; if (x[0] >= 2.0f) { *nowhere = 1; } " + ADD_ONE
WRITES_UNALIGNED = "if (x[0] >= 2.0f) { *(volatile int *)(uintptr_t)(scratch + 1) = 1; } " + ADD_ONE
WRITES_NOWHERE = "if (x[0] >= 2.0f) { *(volatile int *)0xF0000000u = 1; } " + ADD_ONE
WANTS_ALIGNMENT = "if ((uintptr_t)x % 16 != 0) { return -1; } " + ADD_ONE
DEEP_STACK_BYTES = 3000
DEEP_STACK = "volatile uint8_t deep[3000]; for (i = 0; i < 3000; i++) { deep[i] = 1; } " + ADD_ONE
OVER_4_KIB_OF_STACK = DEEP_STACK.replace("3000", "6000")
OVERFLOWS_STACK = "y[0] = recurse(1.0f);"

_MODEL = """#include "NAME.h"

#ifndef EDGETVM_TAP
#define EDGETVM_TAP(call, output, data, bytes) ((void)0)
#endif

float recurse(float x);
float recurse(float x) {
    volatile uint8_t frame[256];
    frame[0] = 1;
    return x < 0.0f ? x : recurse(x + frame[0]) + frame[0];
}

static int32_t run(const edgetvm_arena *arenas, const void *const *in, void *const *out) {
    uint8_t *const arena = arenas[0].memory;
    const float *const x = in != NULL && in[0] != NULL ? in[0] : (const void *)arena;
    float *const y = out != NULL && out[0] != NULL ? out[0] : (void *)(arena + 16);
    volatile uint8_t *const scratch = arena + 32;
    int i;
    (void)scratch, (void)i;
    BODY
    EDGETVM_TAP(0, 0, y, 16);
    return 0;
}

static const int64_t shape[1] = {4};
static const edgetvm_tensor inputs[1] = {{"x", EDGETVM_FLOAT32, 1, shape, 16, 0, 0}};
static const edgetvm_tensor outputs[1] = {{"y", EDGETVM_FLOAT32, 1, shape, 16, 16, 0}};
static const size_t arena_bytes[1] = {64};
const edgetvm_model NAME_model = {EDGETVM_ABI, "NAME", 1, arena_bytes, 16, 1, 1, inputs, outputs, run};
"""


def write_package(
    folder: Path, body: str, target: str, *, form: str = "c", libc: str | None = None, name: str = "hand_made"
) -> Path:
    """A package whose entry runs the C statements ``body``."""
    for part in ("include", "src", "lib", "runtime/src"):
        (folder / part).mkdir(parents=True)
    header = f'#include "edgetvm.h"\nextern const edgetvm_model {name}_model;\n'
    (folder / "include" / f"{name}.h").write_text(header)
    (folder / "src" / f"{name}.c").write_text(_MODEL.replace("NAME", name).replace("BODY", body))
    for path in (runtime_dir() / "include").glob("*.h"):
        shutil.copy(path, folder / "include")
    loaded = load_target("host" if target == "generic-c" else target)
    names = ["edgetvm.c", "thread_pool.c", "thread_cores.c"] if loaded.is_linux else ["edgetvm.c"]
    runtime = [runtime_dir() / "src" / source for source in names]
    if form != "c":
        sources = [folder / "src" / f"{name}.c", *runtime]
        flags = ["-O2", *["-DEDGETVM_THREADS"] * loaded.is_linux]
        include = [folder / "include"]
        objects = compile_sources(sources, folder / "lib", loaded, include_dirs=include, flags=flags, libc=libc)
        archive(objects, folder / "lib" / f"lib{name}.a")
    if form != "library":
        for source in runtime:
            shutil.copy(source, folder / "runtime" / "src")
    tensor = {"shape": [4], "dtype": "float32", "scale": None, "zero_point": None, "bytes": 16}
    manifest = {
        "format_version": 2,
        "name": name,
        "target": target,
        "format": form,
        "libc": libc,
        "inputs": [{"name": "x", "arena": 0, "offset": 0, **tensor}],
        "outputs": [{"name": "y", "arena": 0, "offset": 16, **tensor}],
        "calls": [
            {
                "kernel": "run",
                "nodes": ["node"],
                "stages": 1,
                "step": 0,
                "outputs": [{"shape": [4], "dtype": "float32"}],
            }
        ],
        "arena": {"bytes": ARENA_BYTES, "align": 16, "parts": [{"bytes": ARENA_BYTES, "region": None}]},
        "options": {"shapes": {}, "integer_io": False},
        "integer": None,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def samples(count: int) -> tuple[np.ndarray, ...]:
    """Sample i is [i, i + 1/4, i + 1/2, i + 3/4]."""
    return ((np.arange(count)[:, None] + np.arange(4) / 4).astype(np.float32),)
