"""Whether a node is well formed: the C++ behind shape inference and folding trusts that it is."""

from __future__ import annotations

import re
from collections.abc import Mapping

import onnx

from .graph import RefusedError

_OPTIONAL = onnx.defs.OpSchema.FormalParameterOption.Optional
_EQUATION = re.compile(rb"[A-Za-z,.>\- ]*")


def check_node(node: onnx.NodeProto, schema: onnx.defs.OpSchema, opsets: Mapping[str, int]) -> None:
    """Refuse a node that breaks its operator's schema."""
    context = onnx.checker.C.CheckerContext()
    context.ir_version = onnx.IR_VERSION
    context.opset_imports = dict(opsets)
    try:
        onnx.checker.check_node(node, context)
    except onnx.checker.ValidationError as error:
        raise RefusedError(f"it is malformed: {str(error).splitlines()[0]}") from error
    for index, name in enumerate(node.input):
        if not name and schema.inputs[min(index, len(schema.inputs) - 1)].option != _OPTIONAL:
            raise RefusedError(f"it is malformed: input {index} must not be left out")
    for attribute in node.attribute:
        if attribute.name == "equation" and not _EQUATION.fullmatch(attribute.s):
            raise RefusedError("it is malformed: its equation is no list of letters")
        if attribute.type == onnx.AttributeProto.STRING:
            try:
                attribute.s.decode()
            except UnicodeDecodeError as error:
                raise RefusedError(f"it is malformed: attribute '{attribute.name}' is not UTF-8 text") from error
