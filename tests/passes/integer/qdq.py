"""Small ONNX models in QDQ form, and the three things that compute them: ONNX Runtime, the interpreter, a package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import edgetvm
from edgetvm.importers.onnx import import_onnx
from edgetvm.oracle.integer import interpret
from edgetvm.passes.integer.lower import IntegerModel, lower_to_integers

TYPES = {
    name: helper.np_dtype_to_tensor_dtype(np.dtype(name)) for name in ("int8", "uint8", "int16", "uint16", "int32")
}


@dataclass(frozen=True)
class Pair:
    """Scale, zero point and type of a quantize-dequantize pair; of weights the axis of their scales."""

    scale: float | Sequence[float]
    zero: int = 0
    dtype: str = "int8"
    axis: int = 0


@dataclass(frozen=True)
class Weights:
    """Integer constants behind a DequantizeLinear."""

    codes: np.ndarray
    pair: Pair


def write_model(
    path: Path,
    inputs: Mapping[str, tuple[Sequence[int], Pair | None]],
    nodes: Sequence[onnx.NodeProto],
    outputs: Mapping[str, Pair],
    constants: Mapping[str, np.ndarray | Weights] = {},
    opset: int = 21,
) -> Path:
    """`nodes` read and write the plain names; graph inputs are `NAME_in` and outputs `NAME_out`.

    An input without a pair is int64.
    """
    made: list[onnx.NodeProto] = []
    values: list[onnx.TensorProto] = []

    def parameters(name: str, pair: Pair) -> list[str]:
        scale = np.asarray(pair.scale, np.float32)
        zero = np.full(scale.shape, pair.zero, pair.dtype)
        values.append(numpy_helper.from_array(scale, f"{name}_scale"))
        values.append(numpy_helper.from_array(zero, f"{name}_zero"))
        return [f"{name}_scale", f"{name}_zero"]

    def quantize(source: str, name: str, target: str, pair: Pair) -> None:
        both = parameters(name, pair)
        made.append(helper.make_node("QuantizeLinear", [source, *both], [f"{name}_q"], name=f"{name}_quantize"))
        made.append(helper.make_node("DequantizeLinear", [f"{name}_q", *both], [target], name=f"{name}_dequantize"))

    for name, (_, pair) in inputs.items():
        if pair is not None:
            quantize(f"{name}_in", name, name, pair)
    for name, constant in constants.items():
        if isinstance(constant, Weights):
            values.append(numpy_helper.from_array(constant.codes, f"{name}_q"))
            both = parameters(name, constant.pair)
            axis = {"axis": constant.pair.axis} if np.ndim(constant.pair.scale) else {}
            made.append(helper.make_node("DequantizeLinear", [f"{name}_q", *both], [name], name=f"{name}_dq", **axis))
        else:
            values.append(numpy_helper.from_array(constant, name))
    for place, node in enumerate(nodes):
        node.name = node.name or f"node{place}"
        made.append(node)
    for name, pair in outputs.items():
        quantize(name, f"{name}_end", f"{name}_out", pair)
    borders = [
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        if pair is None
        else helper.make_tensor_value_info(f"{name}_in", TensorProto.FLOAT, shape)
        for name, (shape, pair) in inputs.items()
    ]
    results = [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(made, "qdq", borders, results, values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def run_onnx(path: Path, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs by ONNX Runtime: every operator in float, no graph optimization."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return session.run(None, dict(inputs))


def lowered(path: Path) -> IntegerModel:
    """The model in integers."""
    return lower_to_integers(import_onnx(path))


def run_interpreter(path: Path, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs by the numpy interpreter of the lowered model, which must have nothing left in float."""
    model = lowered(path)
    assert not model.floats, model.floats
    module = model.model.module
    results = interpret(module, [inputs[name] for name in inputs])
    body = module["main"].body.body
    fields = list(body.fields) if hasattr(body, "fields") else [body]
    values = [results[field.name] for field in fields]
    assert all(isinstance(value, np.ndarray) for value in values), "the interpreter does not know an operator"
    return values


def random_input(rng: np.random.Generator, shape: Sequence[int], pair: Pair) -> np.ndarray:
    """Floats that hit every code of the pair, and lie beyond its range sometimes."""
    info = np.iinfo(pair.dtype)
    codes = rng.integers(info.min - 2, info.max + 3, tuple(shape))
    return ((codes - pair.zero) * np.float32(pair.scale)).astype(np.float32)


def steps_apart(a: np.ndarray, b: np.ndarray, pair: Pair) -> int:
    """The largest difference of two outputs in units of the pair's scale."""
    return int(np.abs(np.rint((a.astype(np.float64) - b.astype(np.float64)) / float(pair.scale))).max(initial=0))


def random_feed(
    rng: np.random.Generator, inputs: Mapping[str, tuple[Sequence[int], Pair | None]]
) -> dict[str, np.ndarray]:
    """A feed for all quantized inputs."""
    return {f"{name}_in": random_input(rng, shape, pair) for name, (shape, pair) in inputs.items() if pair is not None}


def steps_from_onnx(path: Path, feed: Mapping[str, np.ndarray], pairs: Sequence[Pair]) -> list[int]:
    """How far the integers lie from ONNX Runtime's float result, output by output."""
    wanted, found = run_onnx(path, feed), run_interpreter(path, feed)
    return [steps_apart(a, b, pair) for a, b, pair in zip(wanted, found, pairs, strict=True)]


def assert_same_in_package(
    path: Path, feed: Mapping[str, np.ndarray], target: str, output: Path, form: str = "library", **options: Any
) -> None:
    """The package, compiled with these options, computes the interpreter's bits, kernel by kernel."""
    package = edgetvm.compile(path, target, output, format=form, **options)
    for found, wanted in zip(package.run(feed).values(), run_interpreter(path, feed), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert package.verify(samples=2).integer_mismatches == 0
