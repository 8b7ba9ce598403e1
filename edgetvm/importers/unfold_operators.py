"""Operators on quantized tensors -> DequantizeLinear, the operator on real numbers, QuantizeLinear.

The form that ONNX Runtime's quantizer calls QOperator: each carries the scales and zero points of what it reads
and writes. Those of the domain com.microsoft are specified in ONNX Runtime's docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx

from .graph import Tensor
from .unfold_body import Body

MICROSOFT = "com.microsoft"
NARROW = ("int2", "int4", "uint2", "uint4")  # constants of these types become int8


def unfolded(node: onnx.NodeProto, domain: str, types: Sequence[Tensor | None]) -> onnx.FunctionProto | None:
    """The body of a quantized operator for inputs of these types; None if `node` is none.

    Raises RefusedError for a node that is malformed, or has parameters that no kernel here reads.
    """
    unfold = UNFOLD.get((domain, node.op_type))
    if unfold is None:
        return None
    body = Body(node, types)
    return body.finish(unfold(body))


def is_quantized_operator(node: onnx.NodeProto) -> bool:
    """Whether the node reads and writes quantized tensors, or quantizes one."""
    return node.op_type == "QuantizeLinear" or (node.domain.removeprefix("ai.onnx"), node.op_type) in UNFOLD


def is_kept(node: onnx.NodeProto, codes: Tensor) -> bool:
    """Whether kernels can read the constant integers behind a DequantizeLinear: not in blocks, and no float8."""
    blocks = any(attribute.name == "block_size" and attribute.i for attribute in node.attribute)
    return codes.dtype in ("int8", "uint8", "int16", "uint16", "int32") and not blocks


def _conv(body: Body) -> str:
    bias = [body.bias(8, (1, 4))] if body.has(8) else []
    result = body.add("Conv", [body.real(0), body.real(3, axis=0), *bias], **body.attributes)
    return body.quantized(result, 6, like=0)


def _matmul(body: Body) -> str:
    return body.quantized(body.add("MatMul", [body.real(0, axis=-2), body.real(3, axis=-1)]), 6, like=0)


def _gemm(body: Body) -> str:
    """Without a scale of its result, that is real."""
    columns = 0 if body.attributes.get("transB", 0) else 1
    operands = [body.real(0), body.real(3, axis=columns)]
    if body.has(6):
        operands.append(body.bias(6, (1, 4), axis=-1, factor=body.attributes.get("alpha", 1.0)))
    result = body.add("Gemm", operands, **body.attributes)
    return body.quantized(result, 7, like=0) if body.has(7) else result


def _binary(operator: str) -> Callable[[Body], str]:
    return lambda body: body.quantized(body.add(operator, [body.real(0), body.real(3)]), 6, like=0)


def _unary(operator: str) -> Callable[[Body], str]:
    return lambda body: body.quantized(body.add(operator, [body.real(0)], **body.attributes), 3, like=0)


def _pool(operator: str) -> Callable[[Body], str]:
    """Pooling, with the channels where the attribute `channels_last` says."""

    def unfold(body: Body) -> str:
        attributes = dict(body.attributes)
        last = attributes.pop("channels_last", 0)
        rank = len(body.type(0).shape)
        x = body.real(0)
        if last:
            x = body.add("Transpose", [x], perm=[0, rank - 1, *range(1, rank - 1)])
        x = body.add(operator, [x], **attributes)
        if last:
            x = body.add("Transpose", [x], perm=[0, *range(2, rank), 1])
        return body.quantized(x, 3, like=0)

    return unfold


def _softmax(body: Body) -> str:
    """Before opset 13, over all axes from `axis` on."""
    shape, axis, x = body.type(0).shape, body.attributes.get("axis", -1), body.real(0)
    if body.attributes.get("opset", 13) >= 13:
        return body.quantized(body.add("Softmax", [x], axis=axis), 3, like=0)
    rows = body.add("Softmax", [body.add("Flatten", [x], axis=axis)], axis=-1)
    return body.quantized(body.add("Reshape", [rows, body.constant(np.array(shape, np.int64))]), 3, like=0)


def _concat(body: Body) -> str:
    parts = [body.real(index) for index in range(2, len(body.node.input), 3)]
    return body.quantized(body.add("Concat", parts, axis=body.attributes["axis"]), 0, like=2)


def _where(body: Body) -> str:
    return body.quantized(body.add("Where", [body.input(0), body.real(1), body.real(4)]), 7, like=1)


def _same(operator: str) -> Callable[[Body], str]:
    """What the default domain had not for every type yet."""
    return lambda body: body.add(operator, [body.input(index) for index in range(3)], **body.attributes)


UNFOLD: Mapping[tuple[str, str], Callable[[Body], str]] = {
    ("", "QLinearConv"): _conv,
    ("", "QLinearMatMul"): _matmul,
    (MICROSOFT, "DequantizeLinear"): _same("DequantizeLinear"),
    (MICROSOFT, "QGemm"): _gemm,
    (MICROSOFT, "QLinearAdd"): _binary("Add"),
    (MICROSOFT, "QLinearAveragePool"): _pool("AveragePool"),
    (MICROSOFT, "QLinearConcat"): _concat,
    (MICROSOFT, "QLinearGlobalAveragePool"): _pool("GlobalAveragePool"),
    (MICROSOFT, "QLinearLeakyRelu"): _unary("LeakyRelu"),
    (MICROSOFT, "QLinearMul"): _binary("Mul"),
    (MICROSOFT, "QLinearSigmoid"): _unary("Sigmoid"),
    (MICROSOFT, "QLinearSoftmax"): _softmax,
    (MICROSOFT, "QLinearWhere"): _where,
    (MICROSOFT, "QuantizeLinear"): _same("QuantizeLinear"),
}
