"""A quantized model of two 3x3 convolutions around which the input is added, as residual networks have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import helper

from tests.passes.integer.qdq import Pair, Weights, write_model


def residual_block(folder: Path, size: tuple[int, int]) -> Path:
    """Writes it: 16 channels of so many pixels, zero points at both ends."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (16, 16, 3, 3)).astype(np.int8)
    constants = {"w": Weights(weights, Pair(np.full(16, 0.01)))}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["first"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["first", "scale", "zero"], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["quantized"]),
        helper.make_node("Conv", ["quantized", "w"], ["second"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["second", "scale", "zero"], ["more_codes"]),
        helper.make_node("DequantizeLinear", ["more_codes", "scale", "zero"], ["more"]),
        helper.make_node("Add", ["more", "x"], ["y"]),
    ]
    constants |= {"scale": np.float32(0.5), "zero": np.int8(127)}
    shape = [1, 16, *size]
    return write_model(folder / "m.onnx", {"x": (shape, Pair(0.1, -128))}, nodes, {"y": Pair(0.5, 0)}, constants)
