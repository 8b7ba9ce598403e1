"""Small networks, and the same as ONNX Runtime's quantizer writes them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.helper import make_node
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

import edgetvm
from edgetvm.deploy.measurement import RunRequest
from edgetvm.deploy.runners import run
from edgetvm.importers.onnx import import_onnx
from tests.importers.models import save

logging.getLogger().setLevel(logging.ERROR)  # the quantizer warns of pre-processing that these models need not


def residual(path: Path) -> Path:
    """Two convolutions, one depthwise, their sum, a global pool, a dense layer."""
    rng = np.random.default_rng(0)
    constants = {
        "w0": rng.standard_normal((8, 3, 3, 3)).astype(np.float32),
        "b0": rng.standard_normal(8).astype(np.float32),
        "w1": rng.standard_normal((8, 1, 3, 3)).astype(np.float32),
        "b1": rng.standard_normal(8).astype(np.float32),
        "w2": rng.standard_normal((5, 8)).astype(np.float32),
        "b2": rng.standard_normal(5).astype(np.float32),
    }
    nodes = [
        make_node("Conv", ["x", "w0", "b0"], ["a"], name="stem", pads=[1, 1, 1, 1]),
        make_node("Relu", ["a"], ["b"], name="relu"),
        make_node("Conv", ["b", "w1", "b1"], ["c"], name="depthwise", pads=[1, 1, 1, 1], group=8),
        make_node("Add", ["b", "c"], ["d"], name="sum"),
        make_node("GlobalAveragePool", ["d"], ["e"], name="pool"),
        make_node("Flatten", ["e"], ["f"], name="flatten"),
        make_node("Gemm", ["f", "w2", "b2"], ["y"], name="dense", transB=1),
    ]
    return save(path, nodes, {"x": [1, 3, 9, 9]}, ["y"], constants)


def branches(path: Path) -> Path:
    """A strided convolution, a sigmoid and a leaky ReLU of it, joined and pooled."""
    rng = np.random.default_rng(1)
    nodes = [
        make_node("Conv", ["x", "w"], ["a"], name="conv", strides=[2, 2]),
        make_node("Sigmoid", ["a"], ["b"], name="gate"),
        make_node("LeakyRelu", ["a"], ["c"], name="leaky", alpha=0.1),
        make_node("Concat", ["b", "c"], ["d"], name="join", axis=1),
        make_node("AveragePool", ["d"], ["e"], name="pool", kernel_shape=[3, 3]),
        make_node("MaxPool", ["e"], ["y"], name="largest", kernel_shape=[2, 2]),
    ]
    return save(path, nodes, {"x": [1, 2, 13, 13]}, ["y"], {"w": rng.standard_normal((6, 2, 3, 3)).astype(np.float32)})


def dense(path: Path) -> Path:
    """Matrix products with a bias, an activation between, and the product of two activations."""
    rng = np.random.default_rng(2)
    constants = {
        "w0": rng.standard_normal((16, 24)).astype(np.float32),
        "b0": rng.standard_normal(24).astype(np.float32),
        "w1": rng.standard_normal((24, 8)).astype(np.float32),
        "w2": rng.standard_normal((24, 8)).astype(np.float32),
    }
    nodes = [
        make_node("MatMul", ["x", "w0"], ["a"], name="first"),
        make_node("Add", ["a", "b0"], ["b"], name="bias"),
        make_node("Relu", ["b"], ["c"], name="relu"),
        make_node("MatMul", ["c", "w1"], ["d"], name="second"),
        make_node("MatMul", ["c", "w2"], ["e"], name="third"),
        make_node("Mul", ["d", "e"], ["y"], name="product"),
    ]
    return save(path, nodes, {"x": [6, 16]}, ["y"], constants)


NETS: dict[str, Callable[[Path], Path]] = {"residual": residual, "branches": branches, "dense": dense}
# Types of activations and weights, and whether each output channel has its own scale.
SCHEMES: dict[str, tuple[str, str, bool]] = {
    "uint8": ("QUInt8", "QUInt8", False),
    "int8": ("QInt8", "QInt8", True),
    "mixed": ("QUInt8", "QInt8", True),
}


def samples(path: Path, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Normally distributed inputs."""
    rng = np.random.default_rng(seed)
    inputs = import_onnx(path).inputs
    for _ in range(count):
        yield {i.name: rng.standard_normal(i.shape).astype(i.dtype) for i in inputs}


def run_all(package: edgetvm.Package, inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The outputs of `package` for each of `inputs`, by one run of it."""
    arrays = tuple(np.stack([sample[entry["name"]] for sample in inputs]) for entry in package.manifest["inputs"])
    outputs = run(package.path, RunRequest(arrays)).outputs
    names = [entry["name"] for entry in package.manifest["outputs"]]
    return [dict(zip(names, row, strict=True)) for row in zip(*outputs, strict=True)]


class _Reader(CalibrationDataReader):
    def __init__(self, path: Path) -> None:
        self._samples = samples(path, 16, seed=99)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._samples, None)


def static(source: Path, target: Path, form: str, scheme: str) -> Path:
    """`source` quantized by ONNX Runtime, in the form QDQ or QOperator."""
    activations, weights, per_channel = SCHEMES[scheme]
    quantize_static(
        str(source),
        str(target),
        _Reader(source),
        quant_format=QuantFormat[form],
        activation_type=QuantType[activations],
        weight_type=QuantType[weights],
        per_channel=per_channel,
        extra_options={"WeightSymmetric": weights == "QInt8"},
    )
    return target


def dynamic(source: Path, target: Path, weights: str, per_channel: bool) -> Path:
    """`source` with its layers quantized at run time."""
    quantize_dynamic(str(source), str(target), weight_type=QuantType[weights], per_channel=per_channel)
    return target


def operators(path: Path) -> set[str]:
    """Operators of the file itself."""
    return {node.op_type for node in onnx.load(path).graph.node}


def expose_codes(path: Path) -> list[str]:
    """Make every quantized activation of the model at `path` an output; returns their names."""
    model = onnx.load(path)
    names = [node.output[0] for node in model.graph.node if node.op_type.startswith(("Quantize", "QLinear", "QGemm"))]
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    types = {name: types[zero] for name, zero in zip(names, _zero_points(model), strict=True)}
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, types[name], None) for name in names)
    onnx.save(model, path)
    return names


def _zero_points(model: onnx.ModelProto) -> Iterator[str]:
    for node in model.graph.node:
        if node.op_type.startswith(("Quantize", "QLinear", "QGemm")):
            zeros = [name for name in node.input if name.endswith("zero_point")]
            yield zeros[0 if node.op_type == "QLinearConcat" else -1]
