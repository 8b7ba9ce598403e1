"""The C that a package carries: clean under strict warnings, constants exact to the bit."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

import edgetvm
from edgetvm.codegen.c_forms import c_float
from edgetvm.codegen.memory import MemoryPlan
from edgetvm.codegen.model_code import ModelCode
from edgetvm.codegen.program import Call, Program, Value
from edgetvm.codegen.weights import emit_weights_c
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources, link_shared
from tests.tools import require_tool

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-O2")


@pytest.mark.parametrize("form", ["c", "library"])
def test_compiles_without_a_warning(form: str, digits: Path, tmp_path: Path) -> None:
    gcc = require_tool("gcc")
    folder = edgetvm.compile(digits, "host", tmp_path / "out", format=form).path
    for source in (*sorted((folder / "src").glob("*.c")), folder / "main.c"):
        command = [gcc, *STRICT, f"-I{folder / 'include'}", "-c", str(source), "-o", str(tmp_path / "x.o")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr


DTYPES = [
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
]


def extremes(dtype: str) -> np.ndarray:
    kind = np.dtype(dtype)
    if dtype == "bool":
        return np.array([True, False])
    if kind.kind in "iu":
        return np.array([np.iinfo(kind).min, 0, 1, np.iinfo(kind).max], kind)
    info = np.finfo(kind)
    return np.array([0.1, -0.0, info.max, info.min, info.tiny, info.smallest_subnormal, np.inf, -np.inf], kind)


def test_weights_are_exact(tmp_path: Path) -> None:
    values = tuple(Value(f"w{i}", extremes(t).shape, t, i, extremes(t)) for i, t in enumerate(DTYPES))
    program = Program(values, (Call("k", tuple(range(len(values))), (), ()),), (), ())
    plan = MemoryPlan({}, ((),), frozenset(), 64, 64)
    source = tmp_path / "weights.c"
    source.write_text(emit_weights_c(ModelCode("m", program, plan, (), (), (), 64)))
    target = load_target("host")
    library = ctypes.CDLL(str(link_shared(compile_sources([source], tmp_path, target), tmp_path / "w.so", target)))
    for value in values:
        assert value.data is not None
        raw = bytes((ctypes.c_char * value.data.nbytes).in_dll(library, f"m_{value.name}"))
        assert raw == value.data.tobytes(), value.dtype


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (1.0, "float32", "1.0f"),
        (-0.0, "float32", "-0.0f"),
        (0.5, "float64", "0.5"),
        (float("inf"), "float32", "HUGE_VALF"),
        (float("-inf"), "float64", "-HUGE_VAL"),
        (float("nan"), "float32", "NAN"),
    ],
)
def test_literals(value: float, dtype: str, text: str) -> None:
    written = c_float(value, dtype)
    assert written == text or float.fromhex(written.rstrip("f")) == value


@pytest.mark.parametrize("value", [0.1, 1e-40, 3.4e38, 1 / 3, 1e6 + 0.5])
def test_literals_keep_every_bit(value: float) -> None:
    assert float.fromhex(c_float(value, "float64")) == value
    assert np.float32(float.fromhex(c_float(value, "float32").removesuffix("f"))) == np.float32(value)
