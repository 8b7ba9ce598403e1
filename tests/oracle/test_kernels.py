"""`evaluate_kernel`: numpy's reading of a kernel's loops gives what ONNX Runtime gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tvm import tirx

from edgetvm.importers.onnx import import_onnx
from edgetvm.oracle.kernels import UnreadableError, evaluate_kernel

SHAPE = (2, 3, 4, 5)


def save(path: Path, op: str, constants: dict[str, np.ndarray], attributes: dict[str, Any]) -> Path:
    names = ["x", *("" if value is None else name for name, value in constants.items())]
    node = helper.make_node(op, names, ["y"], **attributes)
    values = [numpy_helper.from_array(value, name) for name, value in constants.items() if value is not None]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", [given], [result], values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    return path


def kernel_of(path: Path) -> tuple[tirx.PrimFunc, list[np.ndarray]]:
    """The one kernel of a model, and the constants that follow its input."""
    module = import_onnx(path).module
    (binding,) = [b for block in module["main"].body.blocks for b in block.bindings if hasattr(b.value, "op")][:1]
    arguments = binding.value.args[1].fields
    return module[binding.value.args[0]], [argument.value.numpy() for argument in arguments[1:]]


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "nearest": ("Resize", {"roi": None, "s": np.float32([1, 1, 2, 1.6])}, {"mode": "nearest"}),
    "backwards": ("Slice", {"a": np.int64([3]), "b": np.int64([-9]), "c": np.int64([2]), "d": np.int64([-2])}, {}),
    "reflect": ("Pad", {"p": np.int64([0, 0, 1, 2, 0, 0, 2, 1])}, {"mode": "reflect"}),
    "crop": ("Pad", {"p": np.int64([0, 0, -1, 2, 0, 0, 2, 1]), "v": np.float32(0.5)}, {}),
    "tile": ("Tile", {"r": np.int64([1, 2, 1, 3])}, {}),
    "gather": ("Gather", {"i": np.int64([1, -1, 0])}, {"axis": 2}),
    "trilu": ("Trilu", {}, {}),
    "selu": ("Selu", {}, {}),
    "mish": ("Mish", {}, {}),
    "hard_swish": ("HardSwish", {}, {}),
    "softplus": ("Softplus", {}, {}),
    "prelu": ("PRelu", {"s": np.float32([[[0.1]], [[2.0]], [[-1.0]]])}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_kernels(tmp_path: Path, case: str) -> None:
    op, constants, attributes = CASES[case]
    path = save(tmp_path / "m.onnx", op, constants, attributes)
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32) * 3
    (wanted,) = onnxruntime.InferenceSession(str(path)).run(None, {"x": x})
    func, others = kernel_of(path)
    found = evaluate_kernel(func, [x, *others])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=2e-6)


def test_a_reduction_is_not_read(tmp_path: Path) -> None:
    func, _ = kernel_of(save(tmp_path / "m.onnx", "ReduceMax", {"axes": np.int64([3])}, {}))
    with pytest.raises(UnreadableError):
        evaluate_kernel(func, [np.zeros(SHAPE, np.float32)])
