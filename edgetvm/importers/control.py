"""Control flow that is known at compile time: `If`, `Loop`, `Scan`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import onnx

from .graph import Refused, array_type
from .scope import Scope

if TYPE_CHECKING:
    from .flatten import Flattener


def inline(
    flattener: Flattener,
    node: onnx.NodeProto,
    inputs: Sequence[str],
    label: str,
    sources: tuple[str, ...],
    scope: Scope,
) -> bool:
    """Replace the node by the nodes that it runs; False if it is no control flow."""
    if node.domain or node.op_type not in ("If", "Loop", "Scan"):
        return False
    if node.op_type == "If":
        _if(flattener, node, inputs, label, sources, scope)
        return True
    raise Refused("loops are not supported")


def _if(
    flattener: Flattener,
    node: onnx.NodeProto,
    inputs: Sequence[str],
    label: str,
    sources: tuple[str, ...],
    scope: Scope,
) -> None:
    condition = flattener.graph.constants.get(inputs[0])
    if condition is None:
        raise Refused("its condition is known at run time only")
    chosen = "then_branch" if condition.reshape(-1)[0] else "else_branch"
    branch = attribute_graph(node, chosen)
    inner = scope.nested(f"{label}/", sources)
    results = run_graph(flattener, branch, inner)
    scope.names.update(zip(node.output, results, strict=False))


def attribute_graph(node: onnx.NodeProto, name: str) -> onnx.GraphProto:
    """The subgraph attribute `name`."""
    for attribute in node.attribute:
        if attribute.name == name:
            return attribute.g
    raise Refused(f"it has no attribute '{name}'")


def run_graph(flattener: Flattener, graph: onnx.GraphProto, inner: Scope) -> list[str]:
    """Append a subgraph's nodes; its inputs are bound in `inner` already. Returns its outputs."""
    add_initializers(flattener, graph, inner)
    outputs = [value.name for value in graph.output]
    flattener.walk(graph.node, outputs, inner)
    return [inner.resolve(name) for name in outputs]


def add_initializers(flattener: Flattener, graph: onnx.GraphProto, scope: Scope) -> None:
    """Bind the constants of a graph."""
    if graph.sparse_initializer:
        raise Refused("sparse initializers are not supported")
    for tensor in graph.initializer:
        try:
            array = onnx.numpy_helper.to_array(tensor)
            array_type(array)
        except Exception as error:  # bad sizes and types surface as several classes
            raise Refused(f"initializer '{tensor.name}' is damaged: {error}") from error
        scope.names[tensor.name] = flattener.constant(tensor.name, array)
