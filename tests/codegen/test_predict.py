"""Which kernels take least, and that these alone are made small by default."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from onnx import helper
from tvm import te, tirx

import edgetvm
from edgetvm.codegen.predict import least_kernels
from edgetvm.codegen.program import Call, Program
from edgetvm.schedule.types import ScheduledKernel
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target, with_level
from tests.passes.integer.qdq import Pair, Weights, write_model

CORE = load_target("cortex-m4")


def kernel(size: int) -> ScheduledKernel:
    x = te.placeholder((size,), name="x", dtype="int32")
    func: tirx.PrimFunc = te.create_prim_func([x, te.compute((size,), lambda i: x[i] + 1, name="y")])
    return ScheduledKernel(func.with_attr("global_symbol", "main"), "elementwise")


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, ""), (9, ""), (10, "a"), (29, "a"), (30, "ab"), (99, "ab"), (100, "abc")]
)
def test_the_least_first_as_many_as_there_is_room_for(percent: int, expected: str) -> None:
    """Of 10, 10 x 2 and 70 parts; a kernel counts once for every call."""
    scheduled = {"c": kernel(700), "a": kernel(100), "b": kernel(100)}
    calls = [Call(name, (), (), ()) for name in ("b", "c", "memcpy", "a", "b")]
    program = Program((), tuple(calls), (), ())
    assert least_kernels(program, scheduled, tvm_target(CORE), CORE.processor, percent) == frozenset(expected)


def test_a_level_is_llvms_alone() -> None:
    target = tvm_target(CORE)
    assert with_level(target, 1).export()["opt-level"] == 1
    assert with_level(target, 0) is target


@pytest.fixture(scope="module")
def two_layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution that takes nearly all instructions, and a dense layer."""
    rng = np.random.default_rng(0)
    codes = {
        "w0": Weights(rng.integers(-128, 128, (8, 8, 3, 3)).astype(np.int8), Pair(0.01)),
        "w1": Weights(rng.integers(-128, 128, (8 * 12 * 12, 2)).astype(np.int8), Pair(0.01)),
    }
    between = {"scale": np.float32(0.1), "zero": np.int8(-3), "shape": np.array([1, -1], np.int64)}
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["sum"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["sum", "scale", "zero"], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["numbers"]),
        helper.make_node("Reshape", ["numbers", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w1"], ["y"]),
    ]
    folder = tmp_path_factory.mktemp("two_layers")
    borders = {"x": ((1, 8, 12, 12), Pair(0.05, 3))}, {"y": Pair(4.0)}
    return write_model(folder / "two.onnx", borders[0], nodes, borders[1], codes | between)


def sizes_of(package: edgetvm.Package) -> dict[str, int]:
    """Bytes of code of each kernel."""
    with (package.path / "lib/two.o").open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        return {symbol.name: symbol["st_size"] for symbol in symbols.iter_symbols() if symbol.name.startswith("two_k")}


def test_only_kernels_that_take_little_are_small(two_layers: Path, compiled: Callable[..., edgetvm.Package]) -> None:
    packages = {
        optimize: compiled(two_layers, "qemu-mps2-an386", integer_io=True, optimize=optimize, format="object")
        for optimize in ("size", "balanced")
    }
    small, balanced = (sizes_of(packages[optimize]) for optimize in ("size", "balanced"))
    large, little = (next(name for name in small if part in name) for part in ("convolve", "matmul"))
    assert balanced[little] == small[little]
    assert balanced[large] > small[large]
    assert packages["balanced"].verify(samples=2).integer_mismatches == 0
