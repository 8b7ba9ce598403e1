"""Every kernel call knows the ONNX nodes that it computes, whatever fusion did to names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from edgetvm.importers.types import ImportedModel
from edgetvm.passes.pipeline import OptimizedModel, optimize

Emit = Callable[[tvm.ir.Expr, str], relax.Var]
Body = Callable[[relax.Var, Emit], list[tvm.ir.Expr]]


def test_layers_that_share_a_kernel_keep_their_own_nodes() -> None:
    def body(x: relax.Var, emit: Emit) -> list[tvm.ir.Expr]:
        for layer in ("first", "second"):
            x = emit(relax.op.matmul(x, square(layer)), f"{layer}_matmul")
            x = emit(relax.op.add(x, row(layer)), f"{layer}_bias")
            x = emit(relax.op.nn.relu(x), f"{layer}_relu")
        return [x]

    optimized = optimize(imported(body))
    assert nodes(optimized) == [
        {"first_matmul", "first_bias", "first_relu"},
        {"second_matmul", "second_bias", "second_relu"},
    ]
    assert len({kernel for kernel, _ in calls(optimized)}) == 1


def test_a_kernel_of_several_outputs() -> None:
    def body(x: relax.Var, emit: Emit) -> list[tvm.ir.Expr]:
        halves = emit(relax.op.split(emit(relax.op.nn.relu(x), "relu"), 2, 1), "split")
        left = emit(relax.TupleGetItem(halves, 0), "left")
        right = emit(relax.TupleGetItem(halves, 1), "right")
        return [emit(relax.op.exp(right), "exp"), emit(relax.op.sqrt(left), "sqrt")]

    found = nodes(optimize(imported(body)))
    assert set().union(*found) >= {"relu", "split", "exp", "sqrt"}
    assert sum("exp" in names for names in found) == sum("sqrt" in names for names in found) == 1
    assert not any({"exp", "sqrt"} <= names for names in found)


def test_an_inner_value_that_is_an_output_too() -> None:
    def body(x: relax.Var, emit: Emit) -> list[tvm.ir.Expr]:
        inner = emit(relax.op.exp(x), "exp")
        return [inner, emit(relax.op.sqrt(inner), "sqrt")]

    assert nodes(optimize(imported(body))) == [{"exp"}, {"sqrt"}]


def test_another_name_for_a_value_is_seen_through() -> None:
    def body(x: relax.Var, emit: Emit) -> list[tvm.ir.Expr]:
        alias = emit(emit(relax.op.matmul(x, square("w")), "matmul"), "identity")
        return [emit(relax.op.add(alias, row("b")), "add")]

    assert nodes(optimize(imported(body))) == [{"matmul", "add"}]


def test_a_view_between_two_kernels() -> None:
    def body(x: relax.Var, emit: Emit) -> list[tvm.ir.Expr]:
        x = emit(relax.op.reshape(emit(relax.op.exp(x), "exp"), [2, 8]), "reshape")
        return [emit(relax.op.sqrt(x), "sqrt")]

    assert nodes(optimize(imported(body))) == [{"exp"}, {"sqrt"}]


@st.composite
def marked_graphs(draw: st.DrawFn) -> ImportedModel:
    """Graphs in which node `n7` is the only reader of a constant that holds 7."""
    steps = draw(st.lists(st.tuples(st.sampled_from("add multiply matmul concat relu".split()), st.data()), max_size=8))

    def body(x: relax.Var, emit: Emit) -> list[tvm.ir.Expr]:
        values = [x]
        for number, (kind, data) in enumerate(steps, 1):
            a = values[data.draw(st.integers(0, len(values) - 1))]
            mark = relax.const(np.full((4, 4) if kind == "matmul" else (1, 4), number, np.float32))
            if kind == "relu":
                values.append(emit(relax.op.nn.relu(a), f"relu{number}"))
            elif kind == "concat":
                tall = emit(relax.op.concat([a, mark], 0), f"n{number}")
                values.append(emit(relax.op.strided_slice(tall, [0], [0], [4]), f"slice{number}"))
            else:
                values.append(emit(getattr(relax.op, kind)(a, mark), f"n{number}"))
        return [emit(relax.op.negative(values[-1]), "last"), *values[1:-1:3]]

    return imported(body)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(marked_graphs())
def test_law_a_call_names_exactly_the_nodes_whose_constants_it_reads(model: ImportedModel) -> None:
    optimized = optimize(model)
    for binding in bindings(optimized.module):
        if is_kernel_call(binding.value):
            read = {
                f"n{int(arg.value.numpy().flat[0])}"
                for arg in binding.value.args[1].fields
                if isinstance(arg, tvm.ir.GenericConst)
            }
            named = {name for name in optimized.sources[binding.var] if name.startswith("n")}
            assert named == read


def imported(body: Body) -> ImportedModel:
    """A model whose every binding comes from the ONNX node of its name."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((4, 4), "float32"))
    sources: dict[str, tuple[str, ...]] = {}

    def emit(expr: tvm.ir.Expr, name: str) -> relax.Var:
        var = builder.emit(expr, name)
        sources[var.name] = (name,)
        return var

    with builder.function("main", [x]):
        with builder.dataflow():
            results = [builder.emit_output(result) for result in body(x, emit)]
        builder.emit_func_output(results[0] if len(results) == 1 else relax.Tuple(results))
    return ImportedModel(builder.get(), (), (), "model", sources)


def square(seed: str) -> tvm.ir.Expr:
    return relax.const(np.random.default_rng(list(seed.encode())).standard_normal((4, 4)).astype(np.float32))


def row(seed: str) -> tvm.ir.Expr:
    return relax.const(np.random.default_rng(list(seed.encode())).standard_normal((1, 4)).astype(np.float32))


def bindings(module: tvm.IRModule) -> list[relax.Binding]:
    return [binding for block in module["main"].body.blocks for binding in block.bindings]


def is_kernel_call(expr: tvm.ir.Expr) -> bool:
    return isinstance(expr, tvm.ir.Call) and expr.op == tvm.ir.Op.get("relax.call_tir")


def calls(optimized: OptimizedModel) -> list[tuple[str, set[str]]]:
    return [
        (binding.value.args[0].name_hint, set(optimized.sources[binding.var]))
        for binding in bindings(optimized.module)
        if is_kernel_call(binding.value)
    ]


def nodes(optimized: OptimizedModel) -> list[set[str]]:
    return [names for _, names in calls(optimized)]
