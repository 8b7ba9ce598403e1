"""A kernel that TVM compiled with a parallel loop finds the pool, out of an archive too."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import tvm
from tvm import s_tir, te

from edgetvm.codegen.lower import build, lower
from edgetvm.resources import runtime_dir
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import archive, compile_sources, link_program

COUNT = 1000

# A model of one kernel: y[i] = x[i] + 1, in parallel.
MODEL = """#include "edgetvm.h"
int32_t kernel(const float *x, float *y);
static int32_t run(const edgetvm_arena *arenas, const void *const *in, void *const *out) {
    uint8_t *const arena = arenas[0].memory;
    (void)in, (void)out; /* NULL: both lie in the arena */
    return kernel((void *)arena, (void *)(arena + 4 * COUNT));
}
extern const edgetvm_model model;
static const int64_t shape[1] = {COUNT};
static const edgetvm_tensor x = {"x", EDGETVM_FLOAT32, 1, shape, 4 * COUNT, 0};
static const edgetvm_tensor y = {"y", EDGETVM_FLOAT32, 1, shape, 4 * COUNT, 4 * COUNT};
static const size_t arena_bytes[1] = {8 * COUNT};
const edgetvm_model model = {EDGETVM_ABI, "model", 1, arena_bytes, 64, 1, 1, &x, &y, run};
"""

PROGRAM = """#include "edgetvm.h"
#include "edgetvm_threads.h"
extern const edgetvm_model model;
static uint8_t memory[8 * COUNT + 64];
int main(void) {
    uint8_t *const arena = memory + (64 - (uintptr_t)memory % 64);
    float *const x = (float *)(void *)arena;
    const float *const y = x + COUNT;
    int i;
    START
    for (i = 0; i < COUNT; i++) {
        x[i] = (float)i;
    }
    if (edgetvm_run(&model, arena, sizeof memory - 64, NULL, NULL) != EDGETVM_OK) {
        return 2;
    }
    for (i = 0; i < COUNT; i++) {
        if (y[i] != (float)i + 1.0f) {
            return 3;
        }
    }
    return 0;
}
"""


def parallel_kernel(path: Path) -> Path:
    x = te.placeholder((COUNT,), "float32", name="x")
    y = te.compute((COUNT,), lambda i: x[i] + 1.0, name="y")
    schedule = s_tir.Schedule(tvm.IRModule({"main": te.create_prim_func([x, y])}))
    schedule.parallel(schedule.get_loops(schedule.get_sblock("y"))[0])
    target = tvm.target.Target("llvm")
    kernel = lower("kernel", schedule.mod["main"], target)
    assert kernel.returns_status, "the loop is not parallel"
    build([kernel], target).write_to_file(str(path))
    return path


@pytest.mark.parametrize("start", ["", "if (edgetvm_threads_start(3) != 0) { return 1; }"], ids=["alone", "threads"])
@pytest.mark.parametrize("archived", [True, False], ids=["archive", "objects"])
def test_a_parallel_kernel_runs(start: str, archived: bool, tmp_path: Path) -> None:
    host = load_target("host")
    sources = {"model.c": MODEL, "main.c": PROGRAM.replace("START", start)}
    for name, text in sources.items():
        (tmp_path / name).write_text(text.replace("COUNT", str(COUNT)))
    runtime = [runtime_dir() / "src" / name for name in ("edgetvm.c", "thread_pool.c", "thread_cores.c")]
    flags = ["-std=c99", "-O2", "-DEDGETVM_THREADS"]
    include = [runtime_dir() / "include"]
    paths = [tmp_path / "main.c", tmp_path / "model.c", *runtime]
    main, *library = compile_sources(paths, tmp_path, host, include_dirs=include, flags=flags)
    # The kernel first: its weak NULL is what the linker meets before it comes to the pool.
    library = [parallel_kernel(tmp_path / "kernel.o"), *library]
    parts = [archive(library, tmp_path / "libmodel.a")] if archived else library
    program = link_program([main, *parts], tmp_path / "program", host)
    assert subprocess.run([program], timeout=60, check=False).returncode == 0
