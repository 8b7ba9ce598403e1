"""The machine code that TVM makes for each target: what it may and must not use, and that it links with zig's."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import tvm
from tvm import te, tirx

from edgetvm.codegen.lower import build, lower
from edgetvm.errors import TargetError
from edgetvm.resources import targets_dir
from edgetvm.target.load import list_targets, load_target
from edgetvm.target.toolchain import compile_sources, link_program
from edgetvm.target.tvm_target import llvm_features, tuned, tvm_c_target, tvm_target
from edgetvm.target.types import Target
from tests.target import bare_metal
from tests.tools import require_tool

N = 16
BINARY = [name for name in list_targets() if load_target(name).processor.arch != "c"]


def make_kernel(dtype: str, compute: Callable[..., tirx.PrimExpr], lanes: int) -> tvm.s_tir.Schedule:
    """out[i] = compute(a[i], b[i], c[i]) over 16 elements, ``lanes`` at a time."""
    inputs = [te.placeholder((N,), dtype, name) for name in "abc"]
    out = te.compute((N,), lambda i: compute(*(x[i] for x in inputs)), "out")
    schedule = tvm.s_tir.Schedule(te.create_prim_func([*inputs, out]))
    if lanes > 1:
        _, inner = schedule.split(schedule.get_loops("out")[0], [None, lanes])
        schedule.vectorize(inner)
    return schedule


KERNELS = {
    "fma": ("float32", lambda a, b, c: a * b + c, 4),
    "double": ("float64", lambda a, b, c: a * b + c, 1),
    "half": ("float16", lambda a, b, c: a * b + c, 8),
    "divide": ("int32", lambda a, b, c: tirx.truncdiv(a, b) + c, 1),
    "exp": ("float32", lambda a, b, c: tirx.exp(a) + b * c, 1),
}


@cache
def module(name: str, kernel: str) -> tvm.runtime.Module:
    dtype, compute, lanes = KERNELS[kernel]
    target = tvm_target(load_target(name))
    return build([lower("kernel", make_kernel(dtype, compute, lanes).mod["main"], target)], target)


def assembly(name: str, kernel: str) -> str:
    """One instruction a line, without directives and labels."""
    lines = (line.strip() for line in module(name, kernel).inspect_source("asm").splitlines())
    return "\n".join(line for line in lines if line and line[0] not in ".@/#" and not line.endswith(":"))


FUSED = r"^(vfma|vfms|vfnma)"
DIVIDE = r"^[su]div\b"
SINGLE = r"^v\w+\.f32"
DOUBLE = r"^v(add|sub|mul|div|mla|fma)\.f64"
HALF = r"^f(madd|mla|mul|add)\s.*\.8h"
VECTOR = r"\bq\d+"

# target, kernel, pattern, and whether the target may use it. Each refusal stands beside a target
# that does use the same, or a pattern that matches nothing would pass.
INSTRUCTIONS = [
    ("cortex-m7", "fma", FUSED, True),
    ("cortex-a8", "fma", FUSED, False),
    ("beaglebone-black", "fma", FUSED, False),
    ("cortex-a8", "fma", VECTOR, True),
    ("cortex-a7", "divide", DIVIDE, True),
    ("cortex-a8", "divide", DIVIDE, False),
    ("beaglebone-black", "divide", DIVIDE, False),
    ("cortex-m7", "double", DOUBLE, True),
    ("nucleo-h743zi", "double", DOUBLE, True),
    ("nucleo-f746zg", "double", DOUBLE, False),
    ("nucleo-f746zg", "fma", SINGLE, True),
    ("cortex-m4", "double", DOUBLE, False),
    ("cortex-m33", "double", DOUBLE, False),
    ("nrf5340dk", "double", DOUBLE, False),
    ("cortex-m55", "double", DOUBLE, True),
    ("cortex-m3", "divide", DIVIDE, True),
    ("cortex-m0plus", "divide", DIVIDE, False),
    ("qemu-microbit", "divide", DIVIDE, False),
    ("cortex-m4", "fma", SINGLE, True),
    ("cortex-m3", "fma", SINGLE, False),
    ("cortex-m0plus", "fma", SINGLE, False),
    ("cortex-m55", "fma", VECTOR, True),
    ("cortex-m33", "fma", VECTOR, False),
    ("cortex-a55", "half", HALF, True),
    ("cortex-a76", "half", HALF, True),
    ("cortex-a710", "half", HALF, True),
    ("orange-pi-5", "half", HALF, True),
    ("cortex-a53", "half", HALF, False),
    ("cortex-a72", "half", HALF, False),
    ("cortex-a73", "half", HALF, False),
    ("raspberry-pi-4", "half", HALF, False),
    ("x86-64-v4", "fma", r"^vfmadd", True),
    ("x86-64-v3", "fma", r"^vfmadd", True),
    ("x86-64-v2", "fma", r"^v", False),
]


@pytest.mark.parametrize(("name", "kernel", "pattern", "allowed"), INSTRUCTIONS)
def test_instructions(name: str, kernel: str, pattern: str, allowed: bool) -> None:
    text = assembly(name, kernel)
    assert len(text.splitlines()) > 5
    assert bool(re.search(pattern, text, re.MULTILINE)) == allowed, text


def test_orange_pi_code_runs_on_both_kinds_of_core() -> None:
    tuning = {"a76", "addr-lsl-slow-14", "alu-lsl-fast", "enable-select-opt", "predictable-select-expensive"}
    common = llvm_features(load_target("orange-pi-5").processor) - tuning
    assert common <= llvm_features(load_target("cortex-a55").processor)
    assert common >= {"dotprod", "fullfp16", "lse", "rdm"}
    assert not llvm_features(load_target("cortex-a76").processor) - tuning <= common


@pytest.mark.parametrize("name", BINARY)
def test_every_target_compiles(name: str) -> None:
    assert module(name, "exp").inspect_source("asm")


def test_one_function_of_c_has_no_target_in_it() -> None:
    target = tvm_c_target(load_target("generic-c"))
    source = build([lower("kernel", make_kernel(*KERNELS["exp"]).mod["main"], target)], target).inspect_source()
    assert "void kernel(float* " in source
    with pytest.raises(TargetError, match="generic-c has no binary form"):
        tvm_target(load_target("generic-c"))


# exp is called with a float argument: the wrong float ABI would pass it in the wrong register.
MAIN = """
void kernel(float *a, float *b, float *c, float *out);
static float a[16], b[16], c[16], out[16];
int main(void) {
    int i;
    for (i = 0; i < 16; i++) {
        a[i] = (float)i / 8.0f, b[i] = 2.0f, c[i] = 0.5f;
    }
    kernel(a, b, c, out);
    return out[0] == 2.0f && out[8] > 3.718280f && out[8] < 3.718284f ? 42 : 1;
}
"""
ON_LINUX = {
    "cortex-a7": ("qemu-arm", "cortex-a7"),
    "beaglebone-black": ("qemu-arm", "cortex-a8"),
    "raspberry-pi-3": ("qemu-aarch64", "cortex-a53"),
    "raspberry-pi-4": ("qemu-aarch64", "cortex-a72"),
    "orange-pi-5": ("qemu-aarch64", "cortex-a76"),
    "cortex-a710": ("qemu-aarch64", "max"),
}
ON_BOARDS = {
    "cortex-m0plus": "qemu-microbit",
    "cortex-m3": "qemu-mps2-an385",
    "nucleo-l4r5zi": "qemu-mps2-an386",
    "nucleo-f746zg": "qemu-mps2-an500",
    "nucleo-h743zi": "qemu-mps2-an500",
    "nrf5340dk": "qemu-mps2-an505",
    "cortex-m55": "qemu-mps3-an547",
}


def write_main(folder: Path) -> Path:
    path = folder / "main.c"
    path.write_text(MAIN)
    return path


def write_kernel(folder: Path, name: str) -> Path:
    path = folder / "kernel.o"
    module(name, "exp").write_to_file(str(path))
    return path


def link_linux(folder: Path, target: Target) -> Path:
    objects = [*compile_sources([write_main(folder)], folder, target), write_kernel(folder, target.name)]
    return link_program(objects, folder / "program", target, libc="musl" if target.name != "host" else None)


@pytest.mark.parametrize(("name", "emulator"), ON_LINUX.items())
def test_linux_objects_link_and_run(name: str, emulator: tuple[str, str], tmp_path: Path) -> None:
    program = link_linux(tmp_path, load_target(name))
    command = [require_tool(emulator[0]), "-cpu", emulator[1], str(program)]
    assert subprocess.run(command, timeout=60, check=False).returncode == 42


def test_host_objects_link_and_run(tmp_path: Path) -> None:
    program = link_linux(tmp_path, load_target("host"))
    assert subprocess.run([program], timeout=60, check=False).returncode == 42


@pytest.mark.parametrize(("name", "board"), ON_BOARDS.items())
def test_cortex_m_objects_link_and_run(name: str, board: str, tmp_path: Path) -> None:
    target = load_target(name)
    image = bare_metal.link_program(write_main(tmp_path), target, board, [write_kernel(tmp_path, name)])
    assert bare_metal.run_image(image, board) == (42, "")


def test_a_core_of_the_users_own_links_and_runs(tmp_path: Path) -> None:
    text = (targets_dir() / "README.md").read_text()
    (tmp_path / "mine.toml").write_text(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[1])
    target = load_target(str(tmp_path / "mine.toml"))
    assert target.processor.features == ("-vfp2sp",)
    own = tvm_target(target)
    kernel = build([lower("kernel", make_kernel(*KERNELS["exp"]).mod["main"], own)], own)
    assert "__aeabi_fmul" in kernel.inspect_source("asm")
    kernel.write_to_file(str(tmp_path / "kernel.o"))
    image = bare_metal.link_program(write_main(tmp_path), target, "qemu-mps2-an386", [tmp_path / "kernel.o"])
    assert bare_metal.run_image(image, "qemu-mps2-an386") == (42, "")


# Features by which LLVM decides how to order instructions, not which there are; then those of the first Armv8 that
# only an operating system uses.
TUNING = {"addr-lsl-slow-14", "enable-select-opt", "fuse-literals", "predictable-select-expensive"}
TUNING |= {"el2vmsa", "el3", "v8a"}


@pytest.mark.parametrize("name", BINARY)
def test_the_core_that_code_is_ordered_for_has_no_more_instructions(name: str) -> None:
    processor = load_target(name).processor
    model = tuned(processor)
    if model.cpu != processor.cpu:
        more = llvm_features(model) - llvm_features(processor)
        assert more <= TUNING | {model.cpu.removeprefix("cortex-")}
        assert str(tvm_target(load_target(name)).attrs["mcpu"]) == model.cpu
