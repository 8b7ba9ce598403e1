"""C packages can be audited: no recursion, no allocation, no array of variable size, bounded loops and stack."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import edgetvm
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources
from tests.tools import require_tool

FPU = ("-mfloat-abi=hard",)
CORES = {
    "cortex-m0": (),
    "cortex-m0plus": (),
    "cortex-m3": (),
    "cortex-m4": (*FPU, "-mfpu=fpv4-sp-d16"),
    "cortex-m33": (*FPU, "-mfpu=fpv5-sp-d16"),
    "cortex-m7": (*FPU, "-mfpu=fpv5-d16"),
    "cortex-m55": FPU,
}
FLAGS = ("-mcpu=cortex-m4", "-mthumb", *CORES["cortex-m4"], "-std=c99", "-O2")
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wvla", "-Werror")
NODE = re.compile(
    r'^node: \{ title: "(?:[^":]*:)?([\w.]+)" label: "[^"]*?\\n(\d+) bytes \((\w+)\)\\n(\d+) dynamic', re.M
)
EDGE = re.compile(r'^edge: \{ sourcename: "(?:[^":]*:)?([\w.]+)" targetname: "(?:[^":]*:)?([\w.]+)"', re.M)
# What a model may call beside its own functions: C's memory and mathematics, and the compiler's arithmetic.
LIBRARY = re.compile(
    r"mem(cpy|set|move)|__aeabi_\w+|__indirect_call|(exp|exp2|log|tanh|pow|erf|floor|nearbyint|round|sqrt|fma)f?"
)
LOOP = re.compile(r"for \(int32_t (\w+) = 0; \1 < (\d+|\([\w\s*+\-/%()<>:?]+\)|\w+); \+\+\1\)")


@pytest.fixture(params=["float", "int8"])
def package(
    request: pytest.FixtureRequest, compiled: Callable[..., edgetvm.Package], digits: Path, int8_digits: Path
) -> edgetvm.Package:
    return compiled(digits if request.param == "float" else int8_digits, "nucleo-l4r5zi", format="c")


def call_graph(package: edgetvm.Package, work: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The frame of each function in bytes, and who calls whom, as gcc sees it."""
    frames: dict[str, int] = {}
    edges: list[tuple[str, str]] = []
    for source in sorted([*package.path.glob("src/*.c"), *package.path.glob("runtime/src/*.c")]):
        command = [require_tool("arm-none-eabi-gcc"), *FLAGS, *WARNINGS, "-fcallgraph-info=su,da"]
        out = work / f"{source.stem}.o"
        subprocess.run([*command, f"-I{package.path / 'include'}", "-c", source, "-o", out], check=True)
        text = out.with_suffix(".ci").read_text()
        for name, size, kind, dynamic in NODE.findall(text):
            assert (kind, dynamic) == ("static", "0"), f"{name} has a frame of variable size"
            frames[name] = int(size)
        edges += EDGE.findall(text)
    return frames, edges


def test_functions(package: edgetvm.Package, tmp_path: Path) -> None:
    frames, edges = call_graph(package, tmp_path)
    assert {"edgetvm_run", "run"} <= set(frames)
    callees = {target for _, target in edges} - set(frames)
    assert [name for name in callees if LIBRARY.fullmatch(name) is None] == []
    assert [source.split(".")[0] for source, target in edges if target == "__indirect_call"] == ["edgetvm_run_in"]

    def depth(name: str, above: tuple[str, ...]) -> int:
        assert name not in above, f"{name} calls itself"
        called = ("run" if target == "__indirect_call" else target for source, target in edges if source == name)
        return frames.get(name, 0) + max((depth(target, (*above, name)) for target in called), default=0)

    assert depth("edgetvm_run", ()) <= 1024


@pytest.mark.parametrize("core", CORES)
def test_two_compilers_take_it_as_it_is(
    core: str, compiled: Callable[..., edgetvm.Package], int8_digits: Path, tmp_path: Path
) -> None:
    """gcc and clang, without a warning, for every core; with the core's own instructions where C has them."""
    folder = compiled(int8_digits, core, format="c").path
    sources = sorted([*folder.glob("src/*.c"), *folder.glob("runtime/src/*.c"), folder / "main.c"])
    strict, include = ("-std=c99", "-O2", *WARNINGS), folder / "include"
    gcc = [require_tool("arm-none-eabi-gcc"), f"-mcpu={core}", "-mthumb", *CORES[core], *strict, f"-I{include}"]
    subprocess.run([*gcc, "-c", *sources], cwd=tmp_path, check=True)
    compile_sources(sources, tmp_path, load_target(core), include_dirs=[include], flags=strict)


def test_loops_are_bounded(package: edgetvm.Package) -> None:
    """Every loop counts up from 0 to a number, or to one that outer loops give."""
    text = next(package.path.glob("src/*_kernels.c")).read_text()
    loops = re.findall(r"^.*\b(?:for|while|do|goto)\b.*$", text, re.MULTILINE)
    assert loops
    assert [line for line in loops if LOOP.search(line) is None] == []
