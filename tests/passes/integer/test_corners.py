"""Corners of the integer layers, against ONNX Runtime's float result of the same QDQ model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from tests.passes.integer.qdq import (
    Pair,
    Weights,
    assert_same_in_package,
    lowered,
    random_feed,
    steps_from_onnx,
    write_model,
)

S8, U8, S16 = Pair(0.1, 3), Pair(0.1, 131, "uint8"), Pair(4e-4, 0, "int16")

# (input, weights, attributes)
CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "grouped": ((1, 6, 5, 7), (6, 2, 3, 3), {"group": 3, "pads": [1, 1, 1, 1]}),
    "depthwise": ((1, 7, 5, 7), (7, 1, 3, 3), {"group": 7}),
    "multiplier": ((1, 7, 5, 7), (14, 1, 3, 3), {"group": 7}),
    "dilated": ((2, 3, 9, 11), (4, 3, 3, 3), {"dilations": [2, 3], "pads": [1, 2, 3, 0]}),
    "stride_over_kernel": ((1, 3, 9, 11), (4, 3, 2, 1), {"strides": [3, 4]}),
    "line": ((1, 3, 9), (4, 3, 3), {"strides": [2], "pads": [2, 1]}),
    "pointwise": ((1, 3, 5, 5), (17, 3, 1, 1), {}),
    "single": ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    "same_lower": ((1, 3, 7, 8), (4, 3, 3, 3), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
}
# (input, weights, output)
SCHEMES: dict[str, tuple[Pair, Pair, Pair]] = {
    "tensor": (S8, Pair(0.01), Pair(2.0, 5)),
    "uint8": (U8, Pair(0.01, 77, "uint8"), Pair(2.0, 120, "uint8")),
    "extreme_zeros": (Pair(0.1, 0, "uint8"), Pair(0.01, 255, "uint8"), Pair(2.0, 255, "uint8")),
    "int16": (S16, Pair(0.01), Pair(4e-3, 0, "int16")),
    "scale_over_one": (Pair(30.0, -128), Pair(0.5), Pair(0.25, 127)),
}


def integers(rng: np.random.Generator, shape: tuple[int, ...], pair: Pair) -> Weights:
    info = np.iinfo(pair.dtype)
    return Weights(rng.integers(info.min, info.max + 1, shape).astype(pair.dtype), pair)


@pytest.mark.parametrize("layer", CONVOLUTIONS)
@pytest.mark.parametrize("scheme", [*SCHEMES, "channel"])
def test_convolutions(tmp_path: Path, layer: str, scheme: str) -> None:
    rng = np.random.default_rng(7)
    shape, window, attributes = CONVOLUTIONS[layer]
    pair, weights, out = SCHEMES.get(scheme, SCHEMES["tensor"])
    if scheme == "channel":
        weights = Pair([0.003 + 0.01 * channel for channel in range(window[0])])
    bias = Pair(float(np.float32(pair.scale) * np.float32(np.max(weights.scale))), 0, "int32")
    constants = {
        "w": integers(rng, window, weights),
        "b": Weights(rng.integers(-9999, 9999, window[0]).astype(np.int32), bias),
    }
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], **attributes)
    path = write_model(tmp_path / "m.onnx", {"x": (shape, pair)}, [node], {"y": out}, constants)
    feed = random_feed(rng, {"x": (shape, pair)})
    assert max(steps_from_onnx(path, feed, [out])) <= 1
    if scheme == "uint8":
        assert_same_in_package(path, feed, "host", tmp_path / "out")


@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("counted", [0, 1])
@pytest.mark.parametrize("pair", [S8, U8, S16], ids=str)
def test_average_pools(tmp_path: Path, ceil: int, counted: int, pair: Pair) -> None:
    window = {"kernel_shape": [3, 2], "strides": [2, 3], "pads": [1, 0, 1, 0]}
    node = helper.make_node("AveragePool", ["x"], ["y"], **window, ceil_mode=ceil, count_include_pad=counted)
    inputs = {"x": ((1, 7, 7, 8), pair)}
    path = write_model(tmp_path / "m.onnx", inputs, [node], {"y": pair})
    assert max(steps_from_onnx(path, random_feed(np.random.default_rng(2), inputs), [pair])) <= 1


@pytest.mark.parametrize("attributes", [{"ceil_mode": 1, "pads": [1, 0, 1, 0]}, {"dilations": [2, 2]}], ids=str)
@pytest.mark.parametrize("pair", [S8, U8, S16], ids=str)
def test_max_pools_are_exact(tmp_path: Path, attributes: dict[str, Any], pair: Pair) -> None:
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 3], **attributes)
    inputs = {"x": ((1, 7, 7, 8), pair)}
    path = write_model(tmp_path / "m.onnx", inputs, [node], {"y": pair})
    assert steps_from_onnx(path, random_feed(np.random.default_rng(2), inputs), [pair]) == [0]


PAIRS: dict[str, tuple[Pair, Pair, Pair]] = {
    "int8": (S8, Pair(0.03, -128), Pair(0.2, 5)),
    "uint8": (U8, Pair(0.03, 0, "uint8"), Pair(0.2, 5, "uint8")),
    "int16": (S16, Pair(1e-4, 0, "int16"), Pair(5e-4, 0, "int16")),
    "mixed": (S8, S16, Pair(0.2, 5)),
    "scale_over_one": (Pair(200.0, -128), Pair(5.0, 127), Pair(3.0, 0)),
    "saturated": (S8, Pair(0.03, -128), Pair(1e-4, 0)),
    "vanishing": (S8, Pair(0.03, -128), Pair(1e5, 0)),
}


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Max", "Min"])
@pytest.mark.parametrize("pairs", PAIRS)
def test_two_tensors_that_broadcast(tmp_path: Path, op: str, pairs: str) -> None:
    a, b, out = PAIRS[pairs]
    inputs = {"x": ((2, 3, 1, 5), a), "z": ((3, 4, 1), b)}
    path = write_model(tmp_path / "m.onnx", inputs, [helper.make_node(op, ["x", "z"], ["y"])], {"y": out})
    assert max(steps_from_onnx(path, random_feed(np.random.default_rng(2), inputs), [out])) <= 1


@pytest.mark.parametrize("pairs", PAIRS)
def test_concatenation(tmp_path: Path, pairs: str) -> None:
    a, b, out = PAIRS[pairs]
    inputs = {"x": ((2, 3, 4, 5), a), "z": ((2, 1, 4, 5), b)}
    node = helper.make_node("Concat", ["x", "z"], ["y"], axis=1)
    path = write_model(tmp_path / "m.onnx", inputs, [node], {"y": out})
    assert max(steps_from_onnx(path, random_feed(np.random.default_rng(2), inputs), [out])) <= 1


@pytest.mark.parametrize("shapes", [((2, 3, 7), (7, 5)), ((2, 3, 17), (2, 17, 1)), ((1, 1), (1, 1))], ids=str)
@pytest.mark.parametrize("pairs", PAIRS)
def test_products_of_two_quantized_matrices(tmp_path: Path, shapes: tuple[tuple[int, ...], ...], pairs: str) -> None:
    a, b, out = PAIRS[pairs]
    inputs = {"x": (shapes[0], a), "z": (shapes[1], b)}
    path = write_model(tmp_path / "m.onnx", inputs, [helper.make_node("MatMul", ["x", "z"], ["y"])], {"y": out})
    feed = random_feed(np.random.default_rng(2), inputs)
    assert max(steps_from_onnx(path, feed, [out])) <= 1
    if pairs in ("int16", "uint8"):
        assert_same_in_package(path, feed, "host", tmp_path / "out")


def test_a_quotient_of_two_tensors_stays_in_float_and_says_so(tmp_path: Path) -> None:
    node = helper.make_node("Div", ["x", "z"], ["y"])
    path = write_model(tmp_path / "m.onnx", {"x": ((3,), S8), "z": ((3,), S8)}, [node], {"y": S8})
    assert [left.operator for left in lowered(path).floats] == ["divide"]
