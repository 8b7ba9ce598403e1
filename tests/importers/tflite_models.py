"""Small .tflite files for tests, and what LiteRT's reference kernels make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnxruntime
import tflite
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgetvm.importers.tflite import tflite_to_onnx

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: Sequence[int]
    dtype: str = "int8"
    scale: Sequence[float] = ()
    zero_point: Sequence[int] = ()
    axis: int = 0
    data: np.ndarray | None = None
    signature: Sequence[int] = ()


@dataclass
class Writer:
    """Tensors and operators of a model; `write` makes the file."""

    tensors: list[Tensor] = field(default_factory=list)
    operators: list[tuple[str, Sequence[int], Sequence[int], str, Mapping[str, Any]]] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def tensor(self, name: str, shape: Sequence[int], dtype: str = "int8", **more: Any) -> int:
        self.tensors.append(Tensor(name, shape, dtype, **more))
        return len(self.tensors) - 1

    def quantized(self, name: str, shape: Sequence[int], scale: float, zero_point: int, dtype: str = "int8") -> int:
        return self.tensor(name, shape, dtype, scale=[scale], zero_point=[zero_point])

    def typed(self, name: str, shape: Sequence[int], dtype: str, scale: float, zero_point: int) -> int:
        """float32, or quantized: of uint8 the zero point is moved by 128, of int16 it is 0."""
        if dtype == "float32":
            return self.tensor(name, shape, dtype)
        return self.quantized(name, shape, scale, {"int8": zero_point, "uint8": zero_point + 128}.get(dtype, 0), dtype)

    def constant(self, name: str, data: Any, dtype: str = "int32", **more: Any) -> int:
        data = np.asarray(data, dtype)
        return self.tensor(name, data.shape, dtype, data=data, **more)

    def input(self, index: int) -> int:
        self.inputs.append(index)
        return index

    def output(self, index: int) -> int:
        self.outputs.append(index)
        return index

    def operator(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], options: str = "", **fields: Any
    ) -> None:
        self.operators.append((kind, inputs, outputs, options, fields))

    def write(self, path: Path) -> Path:
        path.write_bytes(self.content())
        return path

    def content(self) -> bytes:
        b = flatbuffers.Builder(1024)
        buffers = [_table(b, "Buffer")]
        tensors = []
        for tensor in self.tensors:
            place = 0
            if tensor.data is not None:
                stored = b.CreateByteVector(np.ascontiguousarray(tensor.data).tobytes())
                buffers.append(_table(b, "Buffer", Data=stored))
                place = len(buffers) - 1
            tensors.append(_tensor(b, tensor, place))
        kinds = sorted({kind for kind, *_ in self.operators})
        codes = [_code(b, kind) for kind in kinds]
        operators = []
        for kind, inputs, outputs, options, fields in self.operators:
            given: dict[str, Any] = {"OpcodeIndex": kinds.index(kind)}
            given |= {"Inputs": _ints(b, inputs), "Outputs": _ints(b, outputs)}
            if options:
                given["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, options)
                vectors = {k: _ints(b, v) if isinstance(v, list) else v for k, v in fields.items()}
                given["BuiltinOptions"] = _table(b, options, **vectors)
            operators.append(_table(b, "Operator", **given))
        graph = _table(
            b,
            "SubGraph",
            Tensors=_tables(b, tensors),
            Inputs=_ints(b, self.inputs),
            Outputs=_ints(b, self.outputs),
            Operators=_tables(b, operators),
        )
        parts = {"OperatorCodes": _tables(b, codes), "Subgraphs": _tables(b, [graph]), "Buffers": _tables(b, buffers)}
        b.Finish(_table(b, "Model", Version=3, **parts), b"TFL3")
        return bytes(b.Output())


def _table(b: flatbuffers.Builder, kind: str, **fields: Any) -> int:
    getattr(tflite, f"{kind}Start")(b)
    for name, value in fields.items():
        getattr(tflite, f"{kind}Add{name}")(b, value)
    return int(getattr(tflite, f"{kind}End")(b))


def _tables(b: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())


def _ints(b: flatbuffers.Builder, values: Sequence[int]) -> int:
    return int(b.CreateNumpyVector(np.asarray(values, np.int32)))


def _code(b: flatbuffers.Builder, kind: str) -> int:
    number = getattr(tflite.BuiltinOperator, kind)
    return _table(b, "OperatorCode", BuiltinCode=number, DeprecatedBuiltinCode=min(number, 127), Version=1)


def _tensor(b: flatbuffers.Builder, tensor: Tensor, buffer: int) -> int:
    fields: dict[str, Any] = {"Name": b.CreateString(tensor.name), "Shape": _ints(b, tensor.shape), "Buffer": buffer}
    fields["Type"] = getattr(tflite.TensorType, tensor.dtype.upper())
    if tensor.signature:
        fields["ShapeSignature"] = _ints(b, tensor.signature)
    if len(tensor.scale):
        scale = b.CreateNumpyVector(np.asarray(tensor.scale, np.float32))
        zero = b.CreateNumpyVector(np.resize(np.asarray(tensor.zero_point or [0], np.int64), len(tensor.scale)))
        fields["Quantization"] = _table(
            b, "QuantizationParameters", Scale=scale, ZeroPoint=zero, QuantizedDimension=tensor.axis
        )
    return _table(b, "Tensor", **fields)


def random_inputs(path: Path, seed: int = 0) -> dict[str, np.ndarray]:
    """Uniform integers over their whole range, floats of a standard normal distribution."""
    rng = np.random.default_rng(seed)
    inputs = {}
    for detail in _interpreter(path, True).get_input_details():
        dtype, shape = np.dtype(detail["dtype"]), detail["shape"]
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            inputs[detail["name"]] = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        else:
            inputs[detail["name"]] = rng.standard_normal(shape).astype(dtype)
    return inputs


def _interpreter(path: Path, reference: bool) -> Interpreter:
    if reference:
        try:
            return Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        except ValueError:  # ELU, for one, has no reference kernel
            pass
    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(str(path), experimental_op_resolver_type=kernels)


def litert(path: Path, inputs: Arrays, reference: bool = True) -> list[np.ndarray]:
    """Outputs by LiteRT's reference kernels, or by its own faster ones."""
    interpreter = _interpreter(path, reference)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], inputs[detail["name"]])
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def onnx_form(path: Path, inputs: Arrays) -> list[np.ndarray]:
    """Outputs of what we make of it, by ONNX Runtime without its optimizations."""
    session = unoptimized(tflite_to_onnx(path).SerializeToString())
    return list(session.run(None, dict(inputs)))


def unoptimized(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
