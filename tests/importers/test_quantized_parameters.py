"""Scales, zero points and element types of quantize/dequantize: read right, or refused by name."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_node

import edgetvm
from edgetvm.errors import EdgeTVMError
from edgetvm.importers.onnx import import_onnx
from edgetvm.passes.integer.lower import lower_to_integers
from tests.importers.execute import expected

Constants = dict[str, np.ndarray]


def write(path: Path, nodes: list[onnx.NodeProto], constants: Constants, opset: int = 21) -> Path:
    """A model from x [2, 6] to y."""
    graph = helper.make_graph(
        nodes,
        "parameters",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 6])],
        [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10), path)
    return path


def pair(
    scale: np.ndarray, zero: np.ndarray | None = None, **attributes: int
) -> tuple[list[onnx.NodeProto], Constants]:
    """x quantized and dequantized."""
    parameters = ["s"] if zero is None else ["s", "z"]
    nodes = [
        make_node("QuantizeLinear", ["x", *parameters], ["q"], name="quantize", **attributes),
        make_node("DequantizeLinear", ["q", *parameters], ["y"], name="dequantize", **attributes),
    ]
    return nodes, {"s": scale} | ({} if zero is None else {"z": zero})


def layer(
    weights: np.ndarray, scale: np.ndarray, zero: np.ndarray | None, **attributes: int
) -> tuple[list[onnx.NodeProto], Constants]:
    """x quantized, times weights [6, 4], quantized."""
    nodes, constants = pair(np.array(0.02, np.float32), np.array(3, np.int8))
    nodes[1].output[0] = "real"
    parameters = ["w", "ws"] if zero is None else ["w", "ws", "wz"]
    nodes += [
        make_node("DequantizeLinear", parameters, ["w_real"], name="weights", **attributes),
        make_node("MatMul", ["real", "w_real"], ["product"], name="product"),
        make_node("QuantizeLinear", ["product", "ps", "z"], ["pq"], name="quantize_product"),
        make_node("DequantizeLinear", ["pq", "ps", "z"], ["y"], name="result"),
    ]
    constants |= {"w": weights, "ws": scale, "ps": np.array(0.05, np.float32)} | ({} if zero is None else {"wz": zero})
    return nodes, constants


def agrees(path: Path, unit: float) -> None:
    """The package gives what ONNX Runtime gives, but for a unit."""
    package = edgetvm.compile(path, "host", path.parent / "package", reference=False)
    x = np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32)
    np.testing.assert_allclose(package.run({"x": x})["y"], expected(path, {"x": x})[0], atol=1.01 * unit, rtol=0)


def refused(path: Path, *words: str) -> None:
    with pytest.raises(EdgeTVMError) as caught:
        edgetvm.compile(path, "host", path.parent / "package", reference=False)
    assert "\n" not in caught.value.message
    for word in words:
        assert word in caught.value.message


def number(value: float) -> np.ndarray:
    return np.array(value, np.float32)


@pytest.mark.parametrize("scale", [0.0, -0.5, float("inf")])
def test_scale_that_is_no_positive_number(scale: float, tmp_path: Path) -> None:
    nodes, constants = pair(number(scale), np.array(0, np.int8))
    refused(write(tmp_path / "m.onnx", nodes, constants), "quantize", "'s'", str(scale), "positive")


def test_scale_that_is_not_a_number(tmp_path: Path) -> None:
    nodes, constants = pair(number(float("nan")), np.array(0, np.int8))
    refused(write(tmp_path / "m.onnx", nodes, constants), "'s'", "NaN")


def test_scale_of_one_channel_is_negative(tmp_path: Path) -> None:
    nodes, constants = pair(np.array([1, 1, 1, -1, 1, 1], np.float32), np.zeros(6, np.int8))
    refused(write(tmp_path / "m.onnx", nodes, constants), "quantize", "'s'", "-1.0")


def test_zero_point_of_another_type(tmp_path: Path) -> None:
    nodes, constants = pair(number(0.1), np.array(3, np.int8))
    nodes[1].input[2] = "other"
    constants["other"] = np.array(3, np.uint8)
    refused(write(tmp_path / "m.onnx", nodes, constants), "dequantize")


def test_more_zero_points_than_scales(tmp_path: Path) -> None:
    nodes, constants = pair(number(0.1), np.zeros(6, np.int8))
    refused(write(tmp_path / "m.onnx", nodes, constants), "quantize", "'z'", "6 values")


@pytest.mark.parametrize("dtype", ["int4", "uint4", "float8_e4m3fn", "float8_e5m2"])
def test_activations_of_other_types(dtype: str, tmp_path: Path) -> None:
    nodes, constants = pair(number(0.1), np.zeros((), getattr(ml_dtypes, dtype)))
    refused(write(tmp_path / "m.onnx", nodes, constants), "quantize", "'q'", dtype)


@pytest.mark.parametrize("dtype", ["int4", "uint4"])
@pytest.mark.parametrize("zero", [False, True])
def test_weights_of_four_bits(dtype: str, zero: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    low, high = (0, 16) if dtype == "uint4" else (-8, 8)
    weights = rng.integers(low, high, (6, 4)).astype(getattr(ml_dtypes, dtype))
    point = np.array([1, 2, 0, 3], weights.dtype) if zero else None
    nodes, constants = layer(weights, rng.uniform(0.05, 0.1, 4).astype(np.float32), point, axis=1)
    path = write(tmp_path / "m.onnx", nodes, constants)
    assert lower_to_integers(import_onnx(path)).floats == ()
    agrees(path, unit=0.05)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_weights_of_float8_become_floats(dtype: str, tmp_path: Path) -> None:
    weights = np.random.default_rng(0).standard_normal((6, 4)).astype(getattr(ml_dtypes, dtype))
    nodes, constants = layer(weights, number(0.5), None)
    path = write(tmp_path / "m.onnx", nodes, constants)
    assert lower_to_integers(import_onnx(path)).floats != ()
    agrees(path, unit=0.05)


@pytest.mark.parametrize("dtype", ["int4", "int8"])
def test_weights_in_blocks(dtype: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(-8, 8, (6, 4)).astype(getattr(ml_dtypes, dtype) if dtype == "int4" else dtype)
    scale = rng.uniform(0.05, 0.1, (2, 4)).astype(np.float32)
    nodes, constants = layer(weights, scale, None, axis=0, block_size=3)
    agrees(write(tmp_path / "m.onnx", nodes, constants), unit=0.05)


def test_activations_in_blocks(tmp_path: Path) -> None:
    scale = np.random.default_rng(0).uniform(0.05, 0.1, (2, 2)).astype(np.float32)
    nodes, constants = pair(scale, np.zeros((2, 2), np.int8), axis=1, block_size=3)
    agrees(write(tmp_path / "m.onnx", nodes, constants), unit=0.0001)


def test_channels_of_weights_may_be_zero(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).integers(-100, 100, (6, 4)).astype(np.int8)
    nodes, constants = layer(weights, np.array([0.01, 0.0, 0.02, 0.03], np.float32), None, axis=1)
    agrees(write(tmp_path / "m.onnx", nodes, constants), unit=0.05)
