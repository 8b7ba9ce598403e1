"""A .tflite file -> plain records. Only here is the flatbuffer's graph walked.

Format: tensorflow/compiler/mlir/lite/schema/schema.fbs, version 3, through the PyPI package `tflite`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tflite

from edgetvm.errors import ModelError

from .graph import DTYPES, Array, RefusedError

IDENTIFIER = b"TFL3"  # bytes 4 to 7 of every file
HIGHEST_RANK = 8
QUANTIZED = ("int8", "uint8", "int16")  # what activations and weights are stored as

_BYTES_OF_NAME = 1000
_NO_FIELDS = bytes.fromhex("08000000 04000400 04000000")  # a flatbuffer: root offset, vtable without fields, table


@dataclass(frozen=True)
class Quantization:
    """real = (stored - zero_point) * scale; both float32 and int64 of one length: 1, or the extent of `axis`."""

    scale: Array
    zero_point: Array
    axis: int


@dataclass(frozen=True)
class TfliteTensor:
    """One tensor. `name` is unique in the model; `data` is given for constants.

    `dtype` is numpy's name, or the format's own in lower case where kernels cannot hold it (int4, string).
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    quantization: Quantization | None
    data: Array | None

    @property
    def is_quantized(self) -> bool:
        return self.quantization is not None and self.dtype in QUANTIZED


@dataclass(frozen=True)
class TfliteOperator:
    """One operator, named after its kind and its place: CONV_2D_3. A tensor left out has index -1."""

    name: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    _options_kind: str
    _options: Any

    def options(self, kind: str) -> Any:
        """Its options, as an object of the class `kind` of the package `tflite`; defaults where it has none."""
        options = getattr(tflite, kind)
        if self._options is None:
            return options.GetRootAs(_NO_FIELDS)
        if self._options_kind != kind:
            raise RefusedError(f"its options are {self._options_kind}, not {kind}")
        found = options()
        found.Init(self._options.Bytes, self._options.Pos)
        return found


@dataclass
class TfliteModel:
    """The main subgraph, its operators in the order in which they run."""

    tensors: list[TfliteTensor] = field(default_factory=list)
    operators: list[TfliteOperator] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)


def is_tflite(path: Path) -> bool:
    """Whether the file calls itself a .tflite, by its name or by its first bytes."""
    if path.suffix.lower() == ".tflite":
        return True
    try:
        with path.open("rb") as file:
            return file.read(8)[4:] == IDENTIFIER
    except OSError:
        return False


def read_tflite_file(path: Path) -> TfliteModel:
    """Read `path`. Raises ModelError for what is no .tflite file, or a damaged one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path.name}: cannot be read: {error.strerror or error}") from error
    if data[4:8] != IDENTIFIER:
        raise ModelError(
            f"{path.name}: not a TensorFlow Lite model ({len(data)} bytes)",
            hint="the file must be a flatbuffer with the identifier TFL3, as written by TensorFlow's converter",
        )
    try:
        return _read(data)
    except ModelError as error:
        raise ModelError(f"{path.name}: {error.message}") from error
    except Exception as error:  # offsets that lead outside surface as many classes
        raise ModelError(f"{path.name}: truncated or damaged ({len(data)} bytes): {error}") from error


def _read(data: bytes) -> TfliteModel:
    root = tflite.Model.GetRootAs(data, 0)
    if root.Version() != 3:
        raise ModelError(f"a TensorFlow Lite model of schema version {root.Version()}; the supported one is 3")
    if not root.SubgraphsLength():
        raise ModelError("it has no subgraph")
    graph = root.Subgraphs(0)
    model = TfliteModel()
    names: set[str] = set()
    for index in range(graph.TensorsLength()):
        tensor = _tensor(root, data, graph.Tensors(index), index, names)
        names.add(tensor.name)
        model.tensors.append(tensor)
    model.operators += [_operator(root, graph.Operators(index), index) for index in range(graph.OperatorsLength())]
    model.inputs += [int(i) for i in _vector(graph.InputsLength(), graph.InputsAsNumpy)]
    model.outputs += [int(i) for i in _vector(graph.OutputsLength(), graph.OutputsAsNumpy)]
    _check_indices(model)
    return model


def _check_indices(model: TfliteModel) -> None:
    if not model.outputs:
        raise ModelError("it has no outputs")
    count = len(model.tensors)
    for what, indices in (("input", model.inputs), ("output", model.outputs)):
        for index in indices:
            if not 0 <= index < count:
                raise ModelError(f"its {what} is tensor {index} of {count}")
    for operator in model.operators:
        for index in (*operator.inputs, *operator.outputs):
            if not -1 <= index < count:
                raise ModelError(f"operator {operator.name} uses tensor {index} of {count}")


def _tensor(root: Any, data: bytes, tensor: Any, index: int, names: set[str]) -> TfliteTensor:
    name = (tensor.Name() or b"")[:_BYTES_OF_NAME].decode()
    if not name or name in names:
        name = f"{name or 'tensor'}_{index}"
    while name in names:
        name += "_"
    shape = tuple(int(extent) for extent in _vector(tensor.ShapeLength(), tensor.ShapeAsNumpy))
    if len(shape) > HIGHEST_RANK:
        raise ModelError(f"tensor '{name}' has {len(shape)} dimensions; the most supported is {HIGHEST_RANK}")
    dtype = _name_of(tflite.TensorType, tensor.Type()).lower()
    stored = _stored(root, data, tensor.Buffer())
    values = None
    if tensor.Sparsity() is not None:
        dtype = "sparse"
    elif dtype in DTYPES and (len(stored) or (0 in shape)):
        expected = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if min(shape, default=0) < 0 or len(stored) != expected:
            raise ModelError(f"tensor '{name}' of shape {list(shape)} has {len(stored)} bytes where {expected} belong")
        values = np.frombuffer(stored, dtype).reshape(shape)
    return TfliteTensor(name, dtype, shape, _quantization(tensor.Quantization()), values)


def _stored(root: Any, data: bytes, index: int) -> bytes:
    """Contents of a buffer; of one that lies behind the flatbuffer, as in files above 2 GB, too."""
    buffer = root.Buffers(index)
    if buffer.Offset() > 1:
        return data[buffer.Offset() : buffer.Offset() + buffer.Size()]
    return bytes(_vector(buffer.DataLength(), buffer.DataAsNumpy))


def _quantization(quantization: Any) -> Quantization | None:
    if quantization is None or not quantization.ScaleLength():
        return None
    scale = np.array(quantization.ScaleAsNumpy(), np.float32)
    zero_point = np.zeros(scale.shape, np.int64)
    if quantization.ZeroPointLength():
        zero_point[:] = quantization.ZeroPointAsNumpy()
    return Quantization(scale, zero_point, int(quantization.QuantizedDimension()))


def _operator(root: Any, operator: Any, index: int) -> TfliteOperator:
    code = root.OperatorCodes(operator.OpcodeIndex())
    # Codes above 127 are in the newer field; files from before it exists use the older one alone.
    kind = _name_of(tflite.BuiltinOperator, max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
    if kind == "CUSTOM":
        kind = (code.CustomCode() or b"CUSTOM")[:_BYTES_OF_NAME].decode()
    return TfliteOperator(
        f"{kind}_{index}",
        kind,
        tuple(int(i) for i in _vector(operator.InputsLength(), operator.InputsAsNumpy)),
        tuple(int(i) for i in _vector(operator.OutputsLength(), operator.OutputsAsNumpy)),
        _name_of(tflite.BuiltinOptions, operator.BuiltinOptionsType()),
        operator.BuiltinOptions(),
    )


def _vector(length: int, read: Any) -> Array:
    """A vector; an absent one reads as the number 0."""
    return np.asarray(read()) if length else np.zeros(0, np.int8)


def _name_of(enumeration: Any, value: int) -> str:
    names: dict[int, str] = {number: name for name, number in vars(enumeration).items() if isinstance(number, int)}
    return names.get(value, f"{enumeration.__name__}_{value}")
