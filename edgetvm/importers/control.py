"""Control flow that is known at compile time: branches taken, loops unrolled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from .graph import RefusedError, array_type
from .scope import UNKNOWN, Scope

if TYPE_CHECKING:
    from .flatten import Flattener

MOST_ITERATIONS = 1024


def inline(
    flattener: Flattener,
    node: onnx.NodeProto,
    inputs: Sequence[str],
    label: str,
    sources: tuple[str, ...],
    scope: Scope,
) -> bool:
    """Replace the node by the nodes that it runs; False if it is no control flow."""
    runs = {"If": _if, "Loop": _loop, "Scan": _scan}
    if node.domain or node.op_type not in runs:
        return False
    inner = scope.nested(f"{label}/", sources)
    results = runs[node.op_type](flattener, node, inputs, inner)
    scope.names.update((name, value) for name, value in zip(node.output, results, strict=False) if name)
    return True


def _if(flattener: Flattener, node: onnx.NodeProto, inputs: Sequence[str], scope: Scope) -> list[str]:
    """The branch of a constant condition; otherwise both, and a selection between their results."""
    condition = flattener.graph.constants.get(inputs[0])
    branches = [_attribute(node, name).g for name in ("else_branch", "then_branch")]
    if condition is not None:
        return run_graph(flattener, branches[bool(condition.reshape(-1)[0])], scope)
    results = [run_graph(flattener, branch, scope.nested(scope.path, scope.sources)) for branch in branches]
    chosen = []
    for other, then in zip(*results, strict=True):
        types = [flattener.graph.types.get(name) for name in (then, other)]
        if UNKNOWN in (then, other):
            chosen.append(UNKNOWN)
        elif types[0] != types[1]:
            raise RefusedError("its condition is known at run time only, and its branches differ in shape")
        else:
            chosen.append(_apply(flattener, "Where", [inputs[0], then, other], scope))
    return chosen


def _loop(flattener: Flattener, node: onnx.NodeProto, inputs: Sequence[str], scope: Scope) -> list[str]:
    """Unroll a loop whose number of iterations can be told now."""
    body = _attribute(node, "body").g
    count = _scalar(flattener, inputs[0], "trip count") if inputs[0] else None
    going = bool(_scalar(flattener, inputs[1], "condition")) if len(inputs) > 1 and inputs[1] else True
    carried = list(inputs[2:])
    collected: list[list[str]] = [[] for _ in body.output[1 + len(carried) :]]
    iteration = 0
    while going and (count is None or iteration < count):
        if iteration == MOST_ITERATIONS:
            raise RefusedError(f"it runs more than {MOST_ITERATIONS} times")
        inner = scope.nested(f"{scope.path}{iteration}/", scope.sources)
        values = [
            flattener.constant("iteration", np.array(iteration, np.int64)),
            flattener.constant("going", np.array(True)),
            *carried,
        ]
        inner.names.update(zip((value.name for value in body.input), values, strict=True))
        results = run_graph(flattener, body, inner)
        if UNKNOWN in results:
            return [UNKNOWN] * len(node.output)
        going = bool(_scalar(flattener, results[0], "condition after an iteration"))
        carried = results[1 : 1 + len(carried)]
        for rows, result in zip(collected, results[1 + len(carried) :], strict=True):
            rows.append(result)
        iteration += 1
    return [*carried, *[_stack(flattener, rows, 0, scope) for rows in collected]]


def _scan(flattener: Flattener, node: onnx.NodeProto, inputs: Sequence[str], scope: Scope) -> list[str]:
    """Unroll over the elements of the scanned inputs."""
    if scope.opsets[""] < 9:
        raise RefusedError("Scan of opset 8 is not supported")
    body = _attribute(node, "body").g
    given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    scanned = given["num_scan_inputs"]
    carried, sequences = list(inputs[:-scanned]), list(inputs[-scanned:])
    outputs = len(body.output) - len(carried)
    axes = given.get("scan_input_axes", [0] * scanned)
    backwards = given.get("scan_input_directions", [0] * scanned)
    shapes = [flattener.graph.types[name].shape for name in sequences]
    length = shapes[0][axes[0]]
    if length > MOST_ITERATIONS:
        raise RefusedError(f"it runs more than {MOST_ITERATIONS} times")
    collected: list[list[str]] = [[] for _ in range(outputs)]
    for iteration in range(length):
        inner = scope.nested(f"{scope.path}{iteration}/", scope.sources)
        rows = []
        for name, axis, back in zip(sequences, axes, backwards, strict=True):
            place = flattener.constant("place", np.array(length - 1 - iteration if back else iteration, np.int64))
            rows.append(_apply(flattener, "Gather", [name, place], scope, axis=axis))
        inner.names.update(zip((value.name for value in body.input), [*carried, *rows], strict=True))
        results = run_graph(flattener, body, inner)
        if UNKNOWN in results:
            return [UNKNOWN] * len(node.output)
        carried = results[: len(carried)]
        for column, result in zip(collected, results[len(carried) :], strict=True):
            column.append(result)
    stacked = []
    for index, column in enumerate(collected):
        back = given.get("scan_output_directions", [0] * outputs)[index]
        axis = given.get("scan_output_axes", [0] * outputs)[index]
        stacked.append(_stack(flattener, column[::-1] if back else column, axis, scope))
    return [*carried, *stacked]


def _scalar(flattener: Flattener, name: str, what: str) -> Any:
    value = flattener.graph.constants.get(name)
    if value is None:
        raise RefusedError(f"its {what} is known at run time only")
    return value.reshape(-1)[0]


def _stack(flattener: Flattener, rows: Sequence[str], axis: int, scope: Scope) -> str:
    """One tensor from a list of equal ones, along a new axis."""
    if not rows:
        raise RefusedError("it runs no iteration, so that a scanned output is empty")
    rank = len(flattener.graph.types[rows[0]].shape) + 1
    if scope.opsets[""] >= 13:
        where = flattener.constant("axis", np.array([axis % rank], np.int64))
        parts = [_apply(flattener, "Unsqueeze", [row, where], scope) for row in rows]
    else:
        parts = [_apply(flattener, "Unsqueeze", [row], scope, axes=[axis % rank]) for row in rows]
    return _apply(flattener, "Concat", parts, scope, axis=axis % rank)


def _apply(flattener: Flattener, operator: str, inputs: Sequence[str], scope: Scope, **attributes: Any) -> str:
    """Append a node of our own over values of the flat graph."""
    node = onnx.helper.make_node(operator, list(inputs), ["result"], name=operator, **attributes)
    own = Scope({name: name for name in inputs}, scope.opsets, scope.path, scope.sources)
    flattener.walk([node], ["result"], own)
    return own.resolve("result")


def _attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto:
    for attribute in node.attribute:
        if attribute.name == name:
            found: onnx.AttributeProto = attribute
            return found
    raise RefusedError(f"it has no attribute '{name}'")


def run_graph(flattener: Flattener, graph: onnx.GraphProto, scope: Scope) -> list[str]:
    """Append a subgraph's nodes; its inputs are bound in `scope` already. Returns its outputs."""
    add_initializers(flattener, graph, scope)
    outputs = [value.name for value in graph.output]
    flattener.walk(graph.node, outputs, scope)
    return [scope.resolve(name) for name in outputs]


def add_initializers(flattener: Flattener, graph: onnx.GraphProto, scope: Scope) -> None:
    """Bind the constants of a graph."""
    if graph.sparse_initializer:
        raise RefusedError("sparse initializers are not supported")
    for tensor in graph.initializer:
        try:
            array = onnx.numpy_helper.to_array(tensor)
            array_type(array)
        except Exception as error:  # bad sizes and types surface as several classes
            raise RefusedError(f"initializer '{tensor.name}' is damaged: {error}") from error
        scope.names[tensor.name] = flattener.constant(tensor.name, array)
