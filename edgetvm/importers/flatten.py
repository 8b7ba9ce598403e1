"""The forward walk: an ONNX graph -> a flat `Graph` in which every shape is static.

In one pass over the nodes, in order: infer types, fold what is constant, take the branch of an
`If` whose condition is constant, unroll loops of constant length, drop what does nothing at
inference, and expand operators that ONNX defines by a function body and we do not convert.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import prod

import numpy as np
import onnx

from edgetvm.errors import EdgeTVMError, ModelError

from . import control
from .check import check_node
from .fold import evaluate
from .functions import function_body
from .graph import DTYPES, LARGEST_TENSOR, Array, Graph, Node, RefusedError, Tensor, array_type
from .infer import infer_types
from .scope import UNKNOWN, Scope, needed_nodes, subgraphs
from .types import Refusal
from .unfold_operators import NARROW, is_kept, unfolded

MOST_NODES = 200_000  # visited, with functions expanded and loops unrolled
DEEPEST_NESTING = 16
RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")


class Flattener:
    """Holds the graph that is being built; `walk` appends to it.

    `keep_dequantize` leaves quantized weights as integers behind their DequantizeLinear: kernels may read them so.
    """

    def __init__(
        self, convertible: Collection[str], declared: Mapping[str, Tensor], keep_dequantize: bool = False
    ) -> None:
        self.graph = Graph()
        self.refusals: list[Refusal] = []
        self._convertible = convertible
        self._declared = declared
        self._keep_dequantize = keep_dequantize
        self._counts: dict[str, int] = {}
        self._visited = 0

    def constant(self, hint: str, array: Array) -> str:
        """Add a constant; returns its name in the flat graph."""
        name = self.fresh(hint)
        self.graph.constants[name] = array
        self.graph.types[name] = array_type(array)
        return name

    def fresh(self, hint: str) -> str:
        """A name that no value of the flat graph has yet."""
        hint = hint or "value"
        count = self._counts.get(hint, 0)
        self._counts[hint] = count + 1
        return hint if count == 0 and hint != UNKNOWN else self.fresh(f"{hint}_{count}")

    def walk(self, nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], scope: Scope) -> None:
        """Append the nodes that `outputs` need, binding every output in ``scope.names``."""
        if scope.path.count("/") > DEEPEST_NESTING:
            raise RefusedError("its subgraphs are nested too deeply")
        for index, node in enumerate(needed_nodes(nodes, outputs)):
            label = scope.path + (node.name or f"{node.op_type}_{index}")
            try:
                self._node(node, label, scope)
            except EdgeTVMError:
                raise
            except Exception as error:  # what a malformed node breaks, in ONNX or here, refuses that node
                reason = str(error) if isinstance(error, RefusedError) else f"it is malformed: {error!r}"
                operator = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
                self.refusals.append(Refusal(label, operator, reason))
                scope.names.update((name, UNKNOWN) for name in node.output if name)

    def _node(self, node: onnx.NodeProto, label: str, scope: Scope) -> None:
        self._visited += 1
        if self._visited > MOST_NODES:
            raise ModelError(f"the model unrolls to more than {MOST_NODES} nodes")
        domain = "" if node.domain == "ai.onnx" else node.domain
        sources = scope.sources or (label,)
        inputs = [scope.resolve(name) for name in node.input]
        if node.op_type == "DequantizeLinear" and self._keep_dequantize:
            inputs = [self._widened(name) for name in inputs]
        if UNKNOWN in inputs:
            scope.names.update((name, UNKNOWN) for name in node.output if name)
            return
        if domain not in scope.opsets:
            raise RefusedError(f"the model imports no opset of domain '{domain}'")
        body = unfolded(node, domain, [self.graph.types.get(name) for name in inputs])
        if body is not None:
            self._expand(node, body, inputs, label, sources, scope)
            return
        version, schema = _schema(node, domain, scope)
        if not subgraphs(node):
            check_node(node, schema, scope.opsets)
        if control.inline(self, node, inputs, label, sources, scope):
            return
        passed = _passed_through(self, node, inputs, version)
        if passed is not None:
            scope.names.update(passed)
            return
        if node.op_type in RANDOM and not domain:
            raise RefusedError("its result is random")
        types = {name: self.graph.types[inner] for name, inner in zip(node.input, inputs, strict=True) if name}
        values = {
            name: self.graph.constants[inner]
            for name, inner in zip(node.input, inputs, strict=True)
            if inner in self.graph.constants
        }
        found = infer_types(schema, node, types, values, scope.opsets)
        if self._fold(node, types, values, found, scope):
            return
        if domain or node.op_type not in self._convertible:
            body = function_body(schema, node, [types.get(name) for name in node.input], version)
            if body is None:
                raise RefusedError("the operator is not supported")
            self._expand(node, body, inputs, label, sources, scope)
            return
        outputs = self._outputs(node, found, scope)
        if all(name in self.graph.constants for name in outputs if name):
            return
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        for name in node.input:
            _check_type(f"its input '{name}'", types.get(name))
        self.graph.nodes.append(
            Node(node.op_type, domain, version, label, sources, tuple(inputs), tuple(outputs), attributes)
        )

    def _fold(
        self,
        node: onnx.NodeProto,
        types: Mapping[str, Tensor],
        values: Mapping[str, Array],
        found: Mapping[str, tuple[str, tuple[int | None, ...] | None]],
        scope: Scope,
    ) -> bool:
        """Compute the node now if its result is known: the shape of anything, or all inputs constant."""
        if node.op_type in ("Shape", "Size") and not node.domain:
            scope.names[node.output[0]] = self.constant(node.output[0], _measured(node, types[node.input[0]]))
            return True
        if node.op_type == "CastLike" and not node.domain and node.input[0] in values:
            values = {**values, node.input[1]: np.zeros((), types[node.input[1]].dtype)}
        if any(name not in values for name in node.input if name):
            return False
        if node.op_type == "DequantizeLinear" and self._keep_dequantize and is_kept(node, types[node.input[0]]):
            return False
        for _, shape in found.values():
            if shape is not None and None not in shape:
                _check_size(Tensor("int8", tuple(d or 0 for d in shape)))
        imports = [onnx.helper.make_opsetid(domain, version) for domain, version in scope.opsets.items()]
        results = evaluate(node, dict(values), imports)
        if results is None:
            return False
        names = [name for name in node.output if name]
        for name, result in zip(names, results, strict=False):
            dtype, shape = found[name]
            if array_type(result).dtype != dtype:
                return False
            if shape is not None and len(shape) != result.ndim:
                return False
            scope.names[name] = self.constant(name, result)
        return True

    def _widened(self, name: str) -> str:
        """The constant in int8, if its integers have fewer bits."""
        array = self.graph.constants.get(name)
        if array is None or array.dtype.name not in NARROW:
            return name
        return self.constant(f"{name}_int8", array.astype(np.int8))

    def _outputs(
        self,
        node: onnx.NodeProto,
        found: Mapping[str, tuple[str, tuple[int | None, ...] | None]],
        scope: Scope,
    ) -> list[str]:
        types: list[tuple[str, Tensor]] = []
        for name in node.output:
            if not name:
                types.append(("", Tensor("", ())))
                continue
            if name not in found:
                raise RefusedError(f"the type of its output '{name}' cannot be inferred")
            types.append((name, self._complete(name, *found[name], top=not scope.path)))
        names = []
        for name, type_ in types:
            if name and type_.dtype in DTYPES and not type_.size:  # nothing to compute: an empty tensor is a constant
                names.append(self.constant(name, np.zeros(type_.shape, type_.dtype)))
                scope.names[name] = names[-1]
                continue
            names.append(self.fresh(name) if name else "")
            if name:
                self.graph.types[names[-1]] = type_
                scope.names[name] = names[-1]
        return names

    def _complete(self, name: str, dtype: str, shape: tuple[int | None, ...] | None, top: bool) -> Tensor:
        """Fill unknown dimensions from what the model declares for the value."""
        declared = self._declared.get(name) if top else None
        if shape is None or None in shape:
            if declared is None:
                raise RefusedError("the shape of its output depends on values that are known at run time only")
            if shape is None:
                shape = declared.shape
            elif len(shape) != len(declared.shape):
                raise RefusedError("the shape that the model declares for its output does not fit it")
            shape = tuple(d if d is not None else e for d, e in zip(shape, declared.shape, strict=True))
        type_ = Tensor(dtype, tuple(int(d or 0) for d in shape))
        _check_type(f"its output '{name}'", type_)
        return type_

    def _expand(
        self,
        node: onnx.NodeProto,
        body: onnx.FunctionProto,
        inputs: Sequence[str],
        label: str,
        sources: tuple[str, ...],
        scope: Scope,
    ) -> None:
        padded = [*inputs, *[""] * (len(body.input) - len(inputs))]
        inner = Scope(
            dict(zip(body.input, padded, strict=False)),
            {**scope.opsets, **{o.domain: o.version for o in body.opset_import}},
            f"{label}/",
            sources,
        )
        used = [formal for formal, actual in zip(body.output, node.output, strict=False) if actual]
        self.walk(body.node, used, inner)
        for formal, actual in zip(body.output, node.output, strict=False):
            if actual:
                scope.names[actual] = inner.resolve(formal)


def _schema(node: onnx.NodeProto, domain: str, scope: Scope) -> tuple[int, onnx.defs.OpSchema]:
    version = scope.opsets[domain]
    try:
        schema = onnx.defs.get_schema(node.op_type, version, domain)
    except onnx.defs.SchemaError as error:
        raise RefusedError(f"opset {version} of domain '{domain or 'ai.onnx'}' has no such operator") from error
    return version, schema


def _measured(node: onnx.NodeProto, type_: Tensor) -> Array:
    """What Shape or Size answer."""
    if node.op_type == "Size":
        return np.array(type_.size, np.int64)
    bounds = {a.name: a.i for a in node.attribute}
    rank = len(type_.shape)
    first, last = (
        min(max(place + rank if place < 0 else place, 0), rank)
        for place in (bounds.get("start", 0), bounds.get("end", rank))
    )
    return np.array(type_.shape[first:last], np.int64)


def _passed_through(
    flattener: Flattener, node: onnx.NodeProto, inputs: Sequence[str], version: int
) -> dict[str, str] | None:
    """What the outputs of a node that does nothing at inference stand for."""
    if node.domain or node.op_type not in ("Identity", "Dropout") or not inputs[0]:
        return None
    passed = {node.output[0]: inputs[0]}
    if node.op_type == "Dropout":
        constants = flattener.graph.constants
        if len(inputs) > 2 and inputs[2]:
            if inputs[2] not in constants:
                raise RefusedError("its training mode is known at run time only")
            ratio = constants.get(inputs[1]) if inputs[1] else np.float32(0.5)
            if np.any(constants[inputs[2]]) and (ratio is None or np.any(ratio)):
                raise RefusedError("training mode is not supported")
        if len(node.output) > 1 and node.output[1]:
            type_ = flattener.graph.types[inputs[0]]
            dtype = "bool" if version >= 10 else type_.dtype
            passed[node.output[1]] = flattener.constant(node.output[1], np.ones(type_.shape, dtype))
    return passed


def _check_type(what: str, type_: Tensor | None) -> None:
    if type_ is None:
        return
    if type_.dtype not in DTYPES:
        raise RefusedError(f"{what} has element type {type_.dtype}")
    _check_size(type_)


def _check_size(type_: Tensor) -> None:
    if min(type_.shape, default=0) < 0:
        raise RefusedError(f"a tensor of shape {list(type_.shape)} does not exist")
    if prod(max(extent, 1) for extent in type_.shape) > LARGEST_TENSOR:
        raise RefusedError(f"a tensor of shape {list(type_.shape)} is too large")
