"""Runs scheduled kernels in a process in which memory ends where each tensor ends, here or under an emulator."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tvm import tirx

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

    def raw(self) -> Raw:
        """The kernel alone, with its constants as it reads them."""
        ((_, kernel),) = self.scheduled.kernels.items()
        program = self.scheduled.program
        (call,) = program.calls
        given = dict(zip(program.inputs, self.inputs, strict=True))
        arguments = []
        for position, value in enumerate(call.inputs):
            data = program.values[value].data
            data = given[program.root(value)] if data is None else np.asarray(data)
            packing = kernel.packing.get(position)
            arguments.append(data if packing is None else packing.pack(data))
        output = program.values[call.outputs[0]]
        return Raw(kernel.func, arguments, (output.shape, output.dtype))


@dataclass(frozen=True)
class Raw:
    """A function, the arrays it reads, and shape and type of the one that it writes."""

    func: tirx.PrimFunc
    inputs: Sequence[np.ndarray]
    output: tuple[tuple[int, ...], str]


def run_fenced(cases: Sequence[Fenced], target_name: str) -> list[np.ndarray]:
    """The output of each case. Each runs twice, with memory that ends and with memory that begins at the tensor."""
    return run_raw([case.raw() for case in cases], target_name)


def run_raw(cases: Sequence[Raw], target_name: str) -> list[np.ndarray]:
    """The same of functions."""
    target = load_target(target_name)
    with tempfile.TemporaryDirectory(prefix="edgetvm-fenced-") as name:
        folder = Path(name)
        kernels = [lower(f"case_{i}", case.func, tvm_target(target)) for i, case in enumerate(cases)]
        calls = []
        for i, (case, kernel) in enumerate(zip(cases, kernels, strict=True)):
            arguments = []
            for position, data in enumerate(case.inputs):
                file = folder / f"{i}_{position}"
                file.write_bytes(np.ascontiguousarray(data).tobytes())
                arguments.append((str(file), data.nbytes))
            shape, dtype = case.output
            calls.append(_call(i, arguments, int(np.prod(shape)) * np.dtype(dtype).itemsize, kernel, folder))
        main = folder / "main.c"
        main.write_text(MAIN + "\n".join(text for text, _ in calls) + _main([name for _, name in calls]))
        obj = folder / "kernels.o"
        build(kernels, tvm_target(target)).write_to_file(str(obj))
        libc = None if target_name == "host" else "musl"
        sources, flags = [main, *runtime_sources(target)], ["-O1", "-DEDGETVM_THREADS"]
        include = [runtime_dir() / "include"]
        objects = compile_sources(sources, folder, target, include_dirs=include, flags=flags, libc=libc)
        program = link_program([*objects, obj], folder / "program", target, libc=libc)
        command = [str(program)]
        if target_name != "host":
            emulator = require_tool(f"qemu-{target.processor.arch}")
            command = [emulator, "-cpu", str(target.processor.qemu_cpu), *command]
        done = subprocess.run(command, timeout=120, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"stopped in {done.stdout.split()[-1:]}"
        results = []
        for i, case in enumerate(cases):
            shape, dtype = case.output
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
