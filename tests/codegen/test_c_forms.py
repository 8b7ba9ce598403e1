"""`--format c` means what the library means: strict compilers take it, and it computes the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import tvm
from onnx import TensorProto, helper, numpy_helper
from tvm import te, tirx

import edgetvm
from edgetvm.codegen.c_forms import Needs, for_c
from edgetvm.codegen.lower import build, lower
from edgetvm.errors import UnsupportedError
from tests.codegen.strict import check_strict
from tests.tools import require_tool

RNG = np.random.default_rng(0)
FLOATS = (RNG.standard_normal((3, 8)) * 3).astype(np.float32)


def save(
    path: Path, nodes: list[onnx.NodeProto], x: np.ndarray | None, out: int, constants: Mapping[str, np.ndarray] = {}
) -> Path:
    """A model from input x (or none) to output y of type `out`."""
    inputs = []
    if x is not None:
        inputs.append(helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape))
    graph = helper.make_graph(
        nodes,
        "model",
        inputs,
        [helper.make_tensor_value_info("y", out, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def check(model: Path, inputs: dict[str, np.ndarray], folder: Path) -> np.ndarray:
    """Compile, hold against strict gcc, and run."""
    package = edgetvm.compile(model, "host", folder / "package", format="c")
    check_strict(package, [require_tool("gcc")], folder, package.path / "main.c")
    return package.run(inputs)["y"]


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("Exp", np.exp),
        ("Floor", np.floor),
        ("Round", np.round),
        ("Sqrt", lambda x: np.sqrt(np.maximum(x, 0))),
        ("Tanh", np.tanh),
        ("Sin", np.sin),
        ("Atan", np.arctan),
        ("Sign", np.sign),
        ("Abs", np.abs),
        ("Softplus", lambda x: np.logaddexp(x, 0)),
    ],
)
def test_functions(operator: str, expected: np.ufunc, tmp_path: Path) -> None:
    source = "x"
    nodes = [helper.make_node("Relu", ["x"], ["r"])] if operator == "Sqrt" else []
    nodes.append(helper.make_node(operator, ["r" if nodes else source], ["y"], name="function"))
    y = check(save(tmp_path / "m.onnx", nodes, FLOATS, TensorProto.FLOAT), {"x": FLOATS}, tmp_path)
    np.testing.assert_allclose(y, expected(FLOATS.astype(np.float64)), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64", "float32", "float64"])
def test_arithmetic(dtype: str, tmp_path: Path) -> None:
    arithmetic(dtype, tmp_path)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16"])
def test_arithmetic_of_narrow_integers_wraps(dtype: str, tmp_path: Path) -> None:
    arithmetic(dtype, tmp_path)


def arithmetic(dtype: str, folder: Path) -> None:
    """(x + c) / 2 with a sum beyond the type's range, taken to a wider type in one kernel."""
    limit = np.iinfo(dtype).max if dtype.startswith(("i", "u")) else 100
    x = np.array([[0, 1, limit // 2, limit]], dtype)
    constants = {"c": np.asarray([limit // 2 + 1], dtype), "two": np.asarray([2], dtype)}
    nodes = [
        helper.make_node("Add", ["x", "c"], ["s"], name="sum"),
        helper.make_node("Div", ["s", "two"], ["h"], name="half"),
        helper.make_node("Cast", ["h"], ["y"], name="wide", to=TensorProto.DOUBLE),
    ]
    y = check(save(folder / "m.onnx", nodes, x, TensorProto.DOUBLE, constants), {"x": x}, folder)
    with np.errstate(over="ignore"):
        total = x + constants["c"]
    expected = total / 2 if dtype.startswith("f") else np.trunc(total.astype(np.longdouble) / 2)
    np.testing.assert_array_equal(y, expected.astype(np.float64))


@pytest.mark.parametrize(("dtype", "bits"), [("int32", "uint32_t"), ("int64", "uint64_t"), ("int8", "uint32_t")])
def test_negative_numbers_are_shifted_without_their_sign(dtype: str, bits: str) -> None:
    """C leaves it undefined; requantizing rounds by `-255 << shift`."""
    x = te.placeholder((4,), dtype, name="x")
    y = te.compute((4,), lambda i: tirx.const(-3, dtype) << x[i], name="y")
    target = tvm.target.Target({"kind": "c"})
    kernel = for_c(lower("shift", te.create_prim_func([x, y]), target), Needs())
    text = build([kernel], target).inspect_source()
    assert re.search(rf"\({bits}\)(\(int\d+_t\))?-3\) << \(\({bits}\)", text), text


@pytest.mark.parametrize("operator", ["Add", "Max", "Softmax"])
def test_half_precision_is_right_or_refused(operator: str, tmp_path: Path) -> None:
    x = FLOATS.astype(np.float16)
    operands = ["x"] if operator == "Softmax" else ["x", "x"]
    nodes = [
        helper.make_node(operator, operands, ["s"], name="half"),
        helper.make_node("Cast", ["s"], ["y"], name="wide", to=TensorProto.FLOAT),
    ]
    try:
        y = check(save(tmp_path / "m.onnx", nodes, x, TensorProto.FLOAT), {"x": x}, tmp_path)
    except UnsupportedError as error:
        assert "half" in error.message
        return
    power = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    expected = {"Add": x + x, "Max": x, "Softmax": power / power.sum(1, keepdims=True)}[operator]
    np.testing.assert_allclose(y, expected, rtol=2e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_that_are_no_number(dtype: str, tmp_path: Path) -> None:
    """Folding may make them: Log(-1)."""
    x = np.zeros(4, dtype)
    nodes = [
        helper.make_node("Log", ["w"], ["k"], name="log"),
        helper.make_node("Add", ["x", "k"], ["y"], name="sum"),
    ]
    weights = np.array([-1, 0, 1, 2], dtype)
    out = helper.np_dtype_to_tensor_dtype(x.dtype)
    y = check(save(tmp_path / "m.onnx", nodes, x, out, {"w": weights}), {"x": x}, tmp_path)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(y, np.log(weights), rtol=1e-6)


def test_a_model_without_inputs(tmp_path: Path) -> None:
    nodes = [helper.make_node("Exp", ["w"], ["y"], name="power")]
    y = check(save(tmp_path / "m.onnx", nodes, None, TensorProto.FLOAT, {"w": FLOATS}), {}, tmp_path)
    np.testing.assert_allclose(y, np.exp(FLOATS), rtol=1e-6)


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, 1e-40, 0.1, -0.0, 16777217.0, 3.4028235e38])
def test_numbers_inside_a_kernel_keep_every_bit(number: float, tmp_path: Path) -> None:
    """A scalar operand is a literal in the kernel's text."""
    x = np.array([[1.0, -2.0, 3.0]], np.float32)
    scalar = np.asarray(number, np.float32)
    nodes = [
        helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(scalar), name="k"),
        helper.make_node("Greater", ["x", "zero"], ["c"], name="greater"),
        helper.make_node("Where", ["c", "k", "x"], ["y"], name="choice"),
    ]
    zero = np.asarray(0, np.float32)
    y = check(save(tmp_path / "m.onnx", nodes, x, TensorProto.FLOAT, {"zero": zero}), {"x": x}, tmp_path)
    expected = np.where(x > 0, scalar, x)
    if np.isnan(number):
        np.testing.assert_array_equal(y, expected)
    else:
        assert y.tobytes() == expected.tobytes()


@pytest.mark.parametrize("form", ["library", "c"])
def test_infinity_times_zero_is_no_number(form: str, tmp_path: Path) -> None:
    x = np.array([1, -1, np.inf, np.nan], np.float32)
    nodes = [helper.make_node("Mul", ["x", "zero"], ["y"], name="product")]
    model = save(tmp_path / "m.onnx", nodes, x, TensorProto.FLOAT, {"zero": np.asarray(0, np.float32)})
    y = edgetvm.compile(model, "host", tmp_path / "package", format=form).run({"x": x})["y"]
    with np.errstate(invalid="ignore"):
        expected = x * np.float32(0)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(np.signbit(y[:2]), np.signbit(expected[:2]))
