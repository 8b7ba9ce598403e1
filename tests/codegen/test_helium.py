"""Scaled conversions on Cortex-M55 are right for every power of two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

import edgetvm
from tests.tools import require_tool


@pytest.mark.parametrize("bits", [-8, -3, 2])
def test_codes_times_a_power_of_two(bits: int, tmp_path: Path) -> None:
    """A dequantized vector of int8, which LLVM made 2^-13 times the codes for a scale of 2^-8."""
    require_tool("qemu-system-arm")
    constants = [
        numpy_helper.from_array(np.float32(2.0**bits), "scale"),
        numpy_helper.from_array(np.int8(-128), "zero"),
    ]
    graph = make_graph(
        [make_node("DequantizeLinear", ["x", "scale", "zero"], ["y"])],
        "dequantize",
        [make_tensor_value_info("x", 3, [1, 12])],
        [make_tensor_value_info("y", 1, [1, 12])],
        constants,
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(make_model(graph, opset_imports=[make_opsetid("", 13)], ir_version=8).SerializeToString())
    package = edgetvm.compile(path, "qemu-mps3-an547", tmp_path / "package")
    x = np.array([[-128, -127, -100, -1, 0, 1, 2, 3, 64, 100, 126, 127]], np.int8)
    np.testing.assert_array_equal(package.run({"x": x})["y"], (x.astype(np.float32) + 128) * 2.0**bits)
