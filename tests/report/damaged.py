"""Models with one layer that 8 bits harm, on purpose; their float form is sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

CLASSES = 5


def weights_with_an_outlier(path: Path) -> Path:
    """Layer ``harmed``: one weight in each channel is a thousand times the others, and reads what is almost 0.

    With one scale a channel the others round to 0. Its input comes from a sigmoid: nothing can be equalized.
    """
    rng = np.random.default_rng(1)
    first, bias = rng.normal(0, 0.4, (8, 3, 3, 3)), rng.normal(0, 0.1, 8)
    first[0], bias[0] = 0.0, -12.0
    harmed = rng.normal(0, 0.3, (8, 8, 3, 3))
    harmed[:, 0] = 0.0
    harmed[:, 0, 1, 1] = 300.0
    constants = {
        "first_w": first,
        "first_b": bias,
        "harmed_w": harmed,
        "harmed_b": rng.normal(0, 0.1, 8),
        "last_w": rng.normal(0, 1, (CLASSES, 128)),
        "last_b": np.zeros(CLASSES),
    }
    nodes = [
        helper.make_node("Conv", ["x", "first_w", "first_b"], ["a"], name="first"),
        helper.make_node("Sigmoid", ["a"], ["b"], name="bend"),
        helper.make_node("Conv", ["b", "harmed_w", "harmed_b"], ["c"], name="harmed"),
        helper.make_node("Relu", ["c"], ["d"], name="rectify"),
        helper.make_node("Flatten", ["d"], ["e"], name="flat"),
        helper.make_node("Gemm", ["e", "last_w", "last_b"], ["y"], name="last", transB=1),
    ]
    centred = _outputs(_save(path, nodes, constants), inputs(64)).mean(axis=0)
    return _save(path, nodes, constants | {"last_b": -centred})


def activation_with_an_outlier(path: Path) -> Path:
    """Layer ``harmed``: one channel of its output is a thousand times the others, and all of them count."""
    rng = np.random.default_rng(2)
    harmed = rng.normal(0, 0.3, (8, 3, 8, 8))
    harmed[0] *= 1000.0
    last = rng.normal(0, 1, (CLASSES, 8))
    last[0], last[:, 0] = 0.0, 0.0
    last[0, 0] = 1e-3
    constants = {"harmed_w": harmed, "harmed_b": np.zeros(8), "last_w": last, "last_b": np.zeros(CLASSES)}
    nodes = [
        helper.make_node("Conv", ["x", "harmed_w", "harmed_b"], ["a"], name="harmed"),
        helper.make_node("Flatten", ["a"], ["b"], name="flat"),
        helper.make_node("Gemm", ["b", "last_w", "last_b"], ["y"], name="last", transB=1),
    ]
    return _save(path, nodes, constants)


def samples(path: Path, model: Path, count: int = 48, labels: bool = True) -> Path:
    """Random inputs; the labels are what the float model says, so that its top-1 is 1."""
    x = inputs(count)
    y = _outputs(model, x).argmax(axis=1)
    np.savez(path, **({"x": x, "y": y} if labels else {"x": x}))
    return path


def inputs(count: int) -> np.ndarray:
    """float32 ``[count, 1, 3, 8, 8]``."""
    return np.random.default_rng(3).normal(0, 1, (count, 1, 3, 8, 8)).astype(np.float32)


def _outputs(model: Path, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return np.array([session.run(None, {"x": sample})[0].ravel() for sample in x])


def _save(path: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> Path:
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, CLASSES])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
