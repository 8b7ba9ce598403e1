"""Types of a node's outputs, from the types of its inputs and the values of its constant ones."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx.shape_inference import InferenceError, infer_node_outputs

from .graph import Array, RefusedError, Tensor, dtype_name, elem_type

# Shape inference reads shapes, axes, pads, scales: small things. Weights need not be copied to it.
LARGEST_VALUE = 4096


def infer_types(
    schema: onnx.defs.OpSchema,
    node: onnx.NodeProto,
    types: Mapping[str, Tensor],
    constants: Mapping[str, Array],
    opsets: Mapping[str, int],
) -> dict[str, tuple[str, tuple[int | None, ...] | None]]:
    """Element type and shape of each output; None for a dimension that is not known before run time.

    `types` and `constants` go by the names that `node` itself uses.
    """
    protos = {name: type_proto(type_) for name, type_ in types.items()}
    values = {
        name: onnx.numpy_helper.from_array(constants[name], name)
        for name in node.input
        if name in constants and constants[name].size <= LARGEST_VALUE
    }
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    try:
        outputs = infer_node_outputs(schema, node, protos, values, opset_imports=imports)
    except (InferenceError, onnx.checker.ValidationError, RuntimeError, ValueError) as error:
        raise RefusedError(f"its inputs do not fit together: {error}") from error
    found: dict[str, tuple[str, tuple[int | None, ...] | None]] = {}
    for name, proto in outputs.items():
        if proto.WhichOneof("value") != "tensor_type":
            kind = (proto.WhichOneof("value") or "unknown").removesuffix("_type")
            raise RefusedError(f"its output '{name}' is of kind {kind}, not a tensor")
        tensor = proto.tensor_type
        shape = None
        if tensor.HasField("shape"):
            shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
        found[name] = (dtype_name(tensor.elem_type), shape)
    return found


def type_proto(type_: Tensor) -> onnx.TypeProto:
    """The same type as ONNX writes it."""
    if type_.dtype == "string":
        return onnx.helper.make_tensor_type_proto(onnx.TensorProto.STRING, type_.shape)
    return onnx.helper.make_tensor_type_proto(elem_type(type_.dtype), type_.shape)
