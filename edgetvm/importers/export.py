"""A flat graph -> an ONNX model: the way back, for tools that run ONNX.

The nodes of a flat graph may carry different opset versions (functions bring their own); a model
has one. Nodes whose operator changed in between are converted one by one.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import helper, numpy_helper

from edgetvm.errors import UnsupportedError

from .graph import Graph, Node, Tensor, elem_type

OPSET = 21  # the first whose QuantizeLinear knows int16
IR_VERSION = 10  # the one of opset 21


def export_graph(graph: Graph, name: str) -> onnx.ModelProto:
    """The model with `graph`'s inputs and outputs under their own names, opset 21 or the newest of its nodes.

    Raises `UnsupportedError` for a node that ONNX cannot bring to that opset.
    """
    opset = max([OPSET, *(node.version for node in graph.nodes if not node.domain)])
    names = _output_names(graph)
    nodes = [proto for node in graph.nodes for proto in _protos(graph, node, opset)]
    for proto in nodes:
        proto.input[:] = [names.get(value, value) for value in proto.input]
        proto.output[:] = [names.get(value, value) for value in proto.output]
    nodes += [
        helper.make_node("Identity", [names.get(value, value)], [label], name=label)
        for label, value in graph.outputs
        if names.get(value, value) != label
    ]
    used = {value for node in graph.nodes for value in node.inputs} | {value for _, value in graph.outputs}
    constants = [
        numpy_helper.from_array(array, names.get(value, value))
        for value, array in graph.constants.items()
        if value in used
    ]
    proto = helper.make_graph(
        nodes,
        name,
        [_value(value, graph.types[value]) for value in graph.inputs],
        [_value(label, graph.types[value]) for label, value in graph.outputs],
        constants,
        value_info=[
            _value(names.get(value, value), graph.types[value])
            for node in graph.nodes
            for value in node.outputs
            if value and value not in {inner for _, inner in graph.outputs}
        ],
    )
    domains = sorted({node.domain for node in graph.nodes if node.domain})
    imports = [helper.make_opsetid("", opset)]
    imports += [helper.make_opsetid(d, max(n.version for n in graph.nodes if n.domain == d)) for d in domains]
    return helper.make_model(proto, opset_imports=imports, ir_version=IR_VERSION, producer_name="edgetvm")


def _output_names(graph: Graph) -> dict[str, str]:
    """Values that take another name: an output takes the model's, whoever had that name makes way."""
    computed = {value for node in graph.nodes for value in node.outputs}
    names: dict[str, str] = {}
    for label, value in graph.outputs:
        if value in computed and value not in names:
            names[value] = label
    labels = {label for label, _ in graph.outputs}
    taken = labels | set(graph.types)
    for value in graph.types:
        if value in labels and names.get(value, value) == value and dict(graph.outputs)[value] != value:
            names[value] = _fresh(f"{value}_inner", taken)
            taken.add(names[value])
    return names


def _fresh(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _value(name: str, type_: Tensor) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, elem_type(type_.dtype), list(type_.shape))


def _protos(graph: Graph, node: Node, opset: int) -> Iterator[onnx.NodeProto]:
    """The node in `opset`: itself, or what ONNX's converter makes of it."""
    proto = _proto(node)
    if node.domain or _same(node, opset):
        yield proto
        return
    inputs = [value for value in dict.fromkeys(node.inputs) if value]
    alone = helper.make_graph(
        [proto],
        "node",
        [_value(value, graph.types[value]) for value in inputs if value not in graph.constants],
        [_value(value, graph.types[value]) for value in node.outputs if value],
        [numpy_helper.from_array(graph.constants[value], value) for value in inputs if value in graph.constants],
    )
    model = helper.make_model(alone, opset_imports=[helper.make_opsetid("", node.version)], ir_version=IR_VERSION)
    try:
        converted = onnx.version_converter.convert_version(model, opset).graph
    except Exception as error:  # it throws bare RuntimeErrors
        raise UnsupportedError(
            f"{node.name} ({node.operator}) of opset {node.version} cannot be written as opset {opset}: {error}",
            hint=f"convert the model to opset {opset} first",
        ) from error
    own = {*node.inputs, *node.outputs}
    for tensor in converted.initializer:
        if tensor.name not in own:  # an attribute that became an input
            yield helper.make_node("Constant", [], [f"{node.outputs[0]}/{tensor.name}"], value=tensor)
    for part in converted.node:
        part.name = node.name if part.op_type == node.op else f"{node.name}/{part.op_type}"
        for values in (part.input, part.output):
            values[:] = [v if not v or v in own else f"{node.outputs[0]}/{v}" for v in values]
        yield part


def _proto(node: Node) -> onnx.NodeProto:
    schema = onnx.defs.get_schema(node.op, node.version, node.domain)
    proto = helper.make_node(node.op, list(node.inputs), list(node.outputs), name=node.name, domain=node.domain)
    for name, value in node.attributes.items():
        kind = int(schema.attributes[name].type.value)  # type: ignore[attr-defined]
        proto.attribute.append(helper.make_attribute(name, value, attr_type=kind))
    return proto


def _same(node: Node, opset: int) -> bool:
    """Whether the operator means the same in both versions."""
    versions = [onnx.defs.get_schema(node.op, version, "") for version in (node.version, opset)]
    return bool(versions[0].since_version == versions[1].since_version)
