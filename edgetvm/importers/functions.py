"""Operators that ONNX itself defines by a body of simpler ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx

from .graph import Tensor
from .infer import type_proto


def function_body(
    schema: Any, node: onnx.NodeProto, types: Sequence[Tensor | None], version: int
) -> onnx.FunctionProto | None:
    """The body of `node`'s operator for these input types, attributes filled in; None if it has none."""
    body = _context_dependent(schema, node, types, version) or _plain(schema, version)
    if body is None:
        return None
    given = {attribute.name: attribute for attribute in node.attribute}
    for name, attribute in schema.attributes.items():
        if name not in given and attribute.default_value.name:
            given[name] = attribute.default_value
    filled = onnx.FunctionProto()
    filled.CopyFrom(body)
    for inner in filled.node:
        _substitute(inner, given)
    return filled


def _context_dependent(
    schema: Any, node: onnx.NodeProto, types: Sequence[Tensor | None], version: int
) -> onnx.FunctionProto | None:
    versions = [v for v in schema.context_dependent_function_opset_versions if v <= version]
    if not schema.has_context_dependent_function or not versions:
        return None
    protos = [(type_proto(t) if t else onnx.TypeProto()).SerializeToString() for t in types]
    try:
        data = schema.get_context_dependent_function_with_opset_version(max(versions), node.SerializeToString(), protos)
    except RuntimeError:
        return None
    return onnx.FunctionProto.FromString(data) if data else None


def _plain(schema: Any, version: int) -> onnx.FunctionProto | None:
    versions = [v for v in schema.function_opset_versions if v <= version]
    if not schema.has_function or not versions:
        return None
    body: onnx.FunctionProto = onnx.FunctionProto.FromString(schema.get_function_with_opset_version(max(versions)))
    return body


def _substitute(node: onnx.NodeProto, given: Mapping[str, onnx.AttributeProto]) -> None:
    """Replace references to the function's attributes by their values; an absent one disappears."""
    kept = []
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            if attribute.ref_attr_name not in given:
                continue
            value = onnx.AttributeProto()
            value.CopyFrom(given[attribute.ref_attr_name])
            value.name = attribute.name
            attribute = value
        for graph in [attribute.g, *attribute.graphs]:
            for inner in graph.node:
                _substitute(inner, given)
        kept.append(attribute)
    del node.attribute[:]
    node.attribute.extend(kept)
