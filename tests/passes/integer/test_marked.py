"""PRelu with many slopes, weighted resize, transposed convolution and extremes of quantized tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from edgetvm.importers.onnx import import_onnx
from edgetvm.passes.integer.lower import IntegerModel
from edgetvm.passes.pipeline import optimize
from tests.passes.integer.qdq import (
    Pair,
    Weights,
    assert_same_in_package,
    lowered,
    random_feed,
    steps_from_onnx,
    write_model,
)

A, U8, I16 = Pair(0.1, 3), Pair(0.1, 131, "uint8"), Pair(4e-4, 0, "int16")
IMAGE = (1, 3, 4, 5)


def operators(model: IntegerModel) -> list[str]:
    bindings = [binding.value for block in model.model.module["main"].body.blocks for binding in block.bindings]
    return [value.op.name for value in bindings if hasattr(value, "op")]


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    channels=st.sampled_from([1, 3, 7, 17]),
    pair=st.sampled_from([A, U8, I16, Pair(1.5, 127), Pair(2.0, -128)]),
    factor=st.sampled_from([0.3, 1.0, 70.0]),
    seed=st.integers(0, 1 << 31),
)
def test_prelu_is_within_a_unit_of_float(
    tmp_path_factory: pytest.TempPathFactory, channels: int, pair: Pair, factor: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    out, shape = Pair(pair.scale * factor, 0, "int16" if pair is I16 else "int8"), (2, channels, 3, 5)
    slopes = {"s": rng.normal(size=(channels, 1, 1)).astype(np.float32)}
    node = helper.make_node("PRelu", ["x", "s"], ["y"])
    path = write_model(tmp_path_factory.mktemp("prelu") / "m.onnx", {"x": (shape, pair)}, [node], {"y": out}, slopes)
    assert max(steps_from_onnx(path, random_feed(rng, {"x": (shape, pair)}), [out])) <= 1


RESIZES: dict[str, dict[str, Any]] = {
    "linear": {"mode": "linear"},
    "align": {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    "cubic": {"mode": "cubic"},
    "antialias": {"mode": "linear", "antialias": 1},
}


@pytest.mark.parametrize("kind", RESIZES)
@pytest.mark.parametrize("pair", [A, U8, I16, Pair(2.0, -128)], ids=str)
@pytest.mark.parametrize("scales", [(2.0, 1.6), (0.5, 3.0)], ids=str)
def test_resize_is_within_a_unit_of_float(tmp_path: Path, kind: str, pair: Pair, scales: tuple[float, ...]) -> None:
    constants = {"s": np.array([1, 1, *scales], np.float32)}
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], **RESIZES[kind])
    path = write_model(tmp_path / "m.onnx", {"x": (IMAGE, pair)}, [node], {"y": pair}, constants)
    # Weights of 11 bits: their rounding is a unit of 8 bits at most, some more of 16 bits.
    allowed = 1 if pair.dtype != "int16" else 64
    assert max(steps_from_onnx(path, random_feed(np.random.default_rng(0), {"x": (IMAGE, pair)}), [pair])) <= allowed


def test_both_axes_of_a_resize_are_one_operator(tmp_path: Path) -> None:
    constants = {"s": np.array([1, 1, 2, 2], np.float32)}
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear")
    path = write_model(tmp_path / "m.onnx", {"x": (IMAGE, A)}, [node], {"y": A}, constants)
    assert operators(lowered(path)).count("edgetvm.interpolate") == 1


def test_a_resize_and_prelu_between_convolutions_need_no_transposes(tmp_path: Path) -> None:
    def pairs(name: str) -> list[onnx.NodeProto]:
        return [
            helper.make_node("QuantizeLinear", [name, "scale", "zero"], [f"{name}_q"]),
            helper.make_node("DequantizeLinear", [f"{name}_q", "scale", "zero"], [f"{name}_d"]),
        ]

    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        *pairs("a"),
        helper.make_node("PRelu", ["a_d", "slope"], ["b"]),
        *pairs("b"),
        helper.make_node("Resize", ["b_d", "", "s"], ["c"], mode="linear"),
        *pairs("c"),
        helper.make_node("Conv", ["c_d", "w"], ["y"]),
    ]
    constants = {
        "w": Weights(np.random.default_rng(0).integers(-99, 99, (3, 3, 1, 1)).astype(np.int8), Pair(0.01)),
        "slope": np.float32([0.25, -0.3, 2]).reshape(3, 1, 1),
        "scale": np.float32(0.15),
        "zero": np.int8(-7),
        "s": np.float32([1, 1, 2, 2]),
    }
    path = write_model(tmp_path / "m.onnx", {"x": (IMAGE, A)}, nodes, {"y": A}, constants)
    bindings = [b.value for block in optimize(import_onnx(path)).operators["main"].body.blocks for b in block.bindings]
    names = [value.op.name for value in bindings if hasattr(value, "op")]
    assert names.count("relax.permute_dims") == 2  # of the border
    feed = random_feed(np.random.default_rng(1), {"x": (IMAGE, A)})
    assert_same_in_package(path, feed, "host", tmp_path / "out")


LAYERS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((1, 4, 5, 6), (4, 3, 3, 3), {"strides": [2, 2]}),
    "grouped": ((1, 4, 5, 6), (4, 3, 3, 2), {"strides": [2, 1], "group": 2, "pads": [1, 0, 1, 1], "dilations": [1, 2]}),
    "depthwise": ((1, 7, 5, 6), (7, 1, 3, 3), {"group": 7}),
    "line": ((2, 4, 5), (4, 17, 4), {"strides": [3]}),
    "output_padding": ((1, 4, 5, 6), (4, 3, 3, 3), {"strides": [2, 2], "output_padding": [1, 1], "pads": [1, 1, 1, 1]}),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("kind", ["tensor", "channel", "uint8", "int16"])
def test_transposed_convolution_is_within_a_unit_of_float(tmp_path: Path, layer: str, kind: str) -> None:
    rng = np.random.default_rng(5)
    shape, window, attributes = LAYERS[layer]
    pair = {"uint8": U8, "int16": I16}.get(kind, A)
    scale: Any = [0.01 * (i + 1) for i in range(window[1])] if kind == "channel" else 0.01
    weights = Pair(scale, 77, "uint8") if kind == "uint8" else Pair(scale, 0, "int8", axis=1)
    info = np.iinfo(weights.dtype)
    count = window[1] * attributes.get("group", 1)
    constants = {
        "w": Weights(rng.integers(info.min, info.max + 1, window).astype(weights.dtype), weights),
        "b": Weights(rng.integers(-999, 1000, count).astype(np.int32), Pair(0.001, 0, "int32")),
    }
    out = Pair(0.01, 0, "int16") if kind == "int16" else Pair(1.5, 5)
    node = helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], **attributes)
    path = write_model(tmp_path / "m.onnx", {"x": (shape, pair)}, [node], {"y": out}, constants)
    feed = random_feed(rng, {"x": (shape, pair)})
    assert max(steps_from_onnx(path, feed, [out])) <= 1
    if kind == "channel":
        assert_same_in_package(path, feed, "host", tmp_path / "out")


@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin", "GlobalMaxPool"])
@pytest.mark.parametrize("pair", [A, U8, I16], ids=str)
def test_extremes_are_exact(tmp_path: Path, op: str, pair: Pair) -> None:
    reduce = op != "GlobalMaxPool"
    node = helper.make_node(op, ["x", "axes"] if reduce else ["x"], ["y"], **({"keepdims": 0} if reduce else {}))
    constants = {"axes": np.array([1, 3])} if reduce else {}
    path = write_model(tmp_path / "m.onnx", {"x": (IMAGE, pair)}, [node], {"y": pair}, constants)
    assert steps_from_onnx(path, random_feed(np.random.default_rng(1), {"x": (IMAGE, pair)}), [pair]) == [0]


def test_packages_compute_the_interpreters_bits(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("PRelu", ["x", "slope"], ["p"]),
        helper.make_node("QuantizeLinear", ["p", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("Resize", ["d", "", "s"], ["y"], mode="linear"),
    ]
    constants = {
        "slope": np.array([0.25, -0.3, 2], np.float32).reshape(3, 1, 1),
        "scale": np.float32(0.15),
        "zero": np.int8(-7),
        "s": np.array([1, 1, 2, 1.6], np.float32),
    }
    path = write_model(tmp_path / "m.onnx", {"x": (IMAGE, A)}, nodes, {"y": A}, constants)
    feed = random_feed(np.random.default_rng(1), {"x": (IMAGE, A)})
    assert_same_in_package(path, feed, "host", tmp_path / "out")
