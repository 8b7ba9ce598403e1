"""A flat graph -> a Relax module."""

from __future__ import annotations

from collections.abc import Mapping

from tvm import IRModule, relax, te
from tvm.ir import Expr, GenericConst

from .convert import Call, Converter, Emitter, identifier
from .graph import Graph, Node, RefusedError, Tensor
from .te_kernel import kernel
from .types import Refusal


def emit_module(
    graph: Graph, converters: Mapping[str, Converter]
) -> tuple[IRModule, dict[str, tuple[str, ...]], list[Refusal]]:
    """The module, the ONNX nodes of each binding by variable name, and the nodes refused.

    A refused node leaves zeros in its place, so that the nodes after it are tried too; that
    module only serves to find every refusal.
    """
    builder = relax.BlockBuilder()
    emitter = Emitter(graph, builder)
    refusals: list[Refusal] = []
    params = _parameters(graph)
    emitter.values.update(zip(graph.inputs, params, strict=True))
    with builder.function("main", params):
        with builder.dataflow():
            for node in graph.nodes:
                reason = _convert(emitter, node, converters)
                if reason is not None:
                    refusals.append(Refusal(node.name, node.operator, reason))
            results = _results(emitter, graph)
            exprs = [builder.emit_output(result) for result in results or [relax.const(0, "int32")]]
        builder.emit_func_output(exprs[0] if len(exprs) == 1 else relax.Tuple(exprs))
    return builder.finalize(), emitter.sources, refusals


def _convert(emitter: Emitter, node: Node, converters: Mapping[str, Converter]) -> str | None:
    """Convert one node; returns the reason if it is refused."""
    call = Call(emitter, node)
    reason = None
    produced: list[Expr | None] = []
    try:
        result = converters[node.op](call)
        results = [result] if isinstance(result, Expr) else result
        produced = [_bound(call, expr) for expr in results]
    except RefusedError as refused:
        reason = str(refused)
    except Exception as error:  # TVM raises many classes; whatever they say of this node refuses it
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = f"it cannot be expressed in Relax: {lines[-1]}"
    for index, name in enumerate(node.outputs):
        if not name:
            continue
        type_ = emitter.graph.types[name]
        expr = produced[index] if index < len(produced) else None
        reason = reason or _mismatch(expr, type_, index)
        emitter.values[name] = relax.op.zeros(type_.shape, type_.dtype) if reason or expr is None else expr
    return reason


def _bound(call: Call, expr: Expr | None) -> Expr | None:
    return expr if expr is None or isinstance(expr, relax.Var | GenericConst) else call.emit(expr)


def _mismatch(expr: Expr | None, expected: Tensor, index: int) -> str | None:
    """Guard against a converter that does not produce what ONNX says: refuse, never miscompile."""
    if expr is None:
        return f"its output {index} is not supported"
    type_ = expr.ty
    found = Tensor(str(type_.dtype), tuple(int(d) for d in type_.shape.values))
    if found != expected:
        return f"converted to {found.dtype}{list(found.shape)} where ONNX has {expected.dtype}{list(expected.shape)}"
    return None


def _results(emitter: Emitter, graph: Graph) -> list[Expr]:
    """The outputs; what is an input, a constant or another output too is copied to its own tensor."""
    results: list[Expr] = []
    taken = [emitter.value(name) for name in graph.inputs]
    for label, name in graph.outputs:
        expr = emitter.value(name)
        if isinstance(expr, GenericConst) or any(expr.same_as(other) for other in taken):
            node = Node("Identity", "", 0, label, (), (name,), (label,), {})
            expr = Call(emitter, node).te(_copy, expr, name="copy")
        taken.append(expr)
        results.append(expr)
    return results


def _copy(x: te.Tensor) -> te.Tensor:
    return kernel(x.shape, lambda *i: x(*i), name="copy")


def _parameters(graph: Graph) -> list[relax.Var]:
    """Parameters of `main`; two names that agree as identifiers are told apart by a number."""
    params: list[relax.Var] = []
    for name in graph.inputs:
        hint = identifier(name)
        while any(param.name == hint for param in params):
            hint = f"{hint}_{len(params)}"
        params.append(relax.Var(hint, _relax_type(graph.types[name])))
    return params


def _relax_type(type_: Tensor) -> relax.TensorType:
    return relax.TensorType(type_.shape, type_.dtype)
