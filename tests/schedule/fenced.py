"""Runs scheduled kernels in a process in which memory ends where each tensor ends, here or under an emulator."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgetvm.codegen.lower import LoweredKernel, build, lower
from edgetvm.codegen.objects import runtime_sources
from edgetvm.resources import runtime_dir
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources, link_program
from edgetvm.target.tvm_target import tvm_target
from tests.schedule.kernels import Scheduled
from tests.tools import require_tool

MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
enum { PAGE = 4096 };
/* `bytes` bytes of the file, or of zeros, that end (or begin, with `front`) at a page that must not be touched. */
static unsigned char *fenced(const char *file, size_t bytes, int front) {
    size_t room = (bytes + PAGE - 1) / PAGE * PAGE;
    unsigned char *base = mmap(0, room + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *place = front ? base + PAGE : base + PAGE + room - bytes;
    if (file) {
        FILE *f = fopen(file, "rb");
        if (!f || fread(place, 1, bytes, f) != bytes) exit(2);
        fclose(f);
    }
    mprotect(base, PAGE, PROT_NONE);
    mprotect(base + PAGE + room, PAGE, PROT_NONE);
    return place;
}
static void save(const char *file, const unsigned char *from, size_t bytes) {
    FILE *f = fopen(file, "wb");
    fwrite(from, 1, bytes, f);
    fclose(f);
}
"""


@dataclass(frozen=True)
class Fenced:
    """One scheduled graph of one kernel, and its inputs."""

    scheduled: Scheduled
    inputs: Sequence[np.ndarray]


def run_fenced(cases: Sequence[Fenced], target_name: str) -> list[np.ndarray]:
    """The output of each case. Each runs twice, with memory that ends and with memory that begins at the tensor."""
    target = load_target(target_name)
    with tempfile.TemporaryDirectory(prefix="edgetvm-fenced-") as name:
        folder = Path(name)
        kernels: list[LoweredKernel] = []
        calls, shapes = [], []
        for i, case in enumerate(cases):
            ((_, scheduled),) = case.scheduled.kernels.items()
            kernel = lower(f"case_{i}", scheduled.func, tvm_target(target))
            kernels.append(kernel)
            program = case.scheduled.program
            (call,) = program.calls
            arguments = []
            given = dict(zip(program.inputs, case.inputs, strict=True))
            for position, value in enumerate(call.inputs):
                data = program.values[value].data
                data = given[program.root(value)] if data is None else data
                packing = scheduled.packing.get(position)
                data = data if packing is None else packing.pack(data)
                file = folder / f"{i}_{position}"
                file.write_bytes(np.ascontiguousarray(data).tobytes())
                arguments.append((str(file), data.nbytes))
            output = program.values[call.outputs[0]]
            shapes.append((output.shape, output.dtype))
            calls.append(_call(i, arguments, output.bytes, kernel, folder))
        main = folder / "main.c"
        main.write_text(MAIN + "\n".join(text for text, _ in calls) + _main([name for _, name in calls]))
        obj = folder / "kernels.o"
        build(kernels, tvm_target(target)).write_to_file(str(obj))
        pool = runtime_sources(target)
        objects = compile_sources(
            [main, *pool], folder, target, include_dirs=[runtime_dir() / "include"], flags=["-O1", "-DEDGETVM_THREADS"]
        )
        libc = None if target_name == "host" else "musl"
        program_file = link_program([*objects, obj], folder / "program", target, libc=libc)
        command = [str(program_file)]
        if target_name != "host":
            command = [require_tool("qemu-aarch64"), "-cpu", str(target.processor.qemu_cpu), *command]
        done = subprocess.run(command, timeout=120, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"stopped in {done.stdout.split()[-1:]}"
        results = []
        for i, (shape, dtype) in enumerate(shapes):
            front, back = (
                np.frombuffer((folder / f"out_{i}_{way}").read_bytes(), dtype).reshape(shape) for way in (1, 0)
            )
            np.testing.assert_array_equal(front, back)
            results.append(back)
        return results


def _call(
    i: int, arguments: list[tuple[str, int]], out_bytes: int, kernel: LoweredKernel, folder: Path
) -> tuple[str, str]:
    places = [f'fenced("{file}", {size}, front)' for file, size in arguments]
    places += ["out", *(f"fenced(0, {-(-size // 64) * 64}, front)" for size in kernel.workspaces)]
    kind = "int" if kernel.returns_status else "void"
    signature = ", ".join(["void *"] * len(places))
    text = f"""
{kind} case_{i}({signature});
static void run_{i}(int front) {{
    unsigned char *out = fenced(0, {out_bytes}, front);
    char name[] = "{folder}/out_{i}_0";
    name[sizeof name - 2] = (char)('0' + front);
    printf("case_{i}\\n");
    fflush(stdout);
    case_{i}({", ".join(places)});
    save(name, out, {out_bytes});
}}
"""
    return text, f"run_{i}"


def _main(names: list[str]) -> str:
    calls = "".join(f"        {name}(front);\n" for name in names)
    return f"int main(void) {{\n    for (int front = 0; front < 2; front++) {{\n{calls}    }}\n    return 0;\n}}\n"
