"""The list of kernel calls: views, constants, outputs that need bytes of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tvm
from tvm import relax

from edgetvm.codegen.program import COPY, Program, extract_program
from edgetvm.errors import UnsupportedError
from edgetvm.importers.types import ImportedModel
from edgetvm.passes.pipeline import optimize

Emit = Callable[..., relax.Var]
Body = Callable[[relax.Var, Emit], list[tvm.ir.Expr]]


def program(body: Body) -> Program:
    optimized = optimize(ImportedModel(graph(body), (), (), "model"))
    return extract_program(optimized.module, optimized.sources)


def graph(body: Body) -> tvm.IRModule:
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((4, 6), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            results = [builder.emit_output(result) for result in body(x, builder.emit)]
        builder.emit_func_output(results[0] if len(results) == 1 else relax.Tuple(results))
    return builder.get()


def matrix(number: float) -> tvm.ir.Expr:
    return relax.const(np.full((6, 6), number, np.float32))


def test_a_reshape_is_a_view() -> None:
    def body(x: relax.Var, emit: Emit) -> list[tvm.ir.Expr]:
        flat = emit(relax.op.reshape(emit(relax.op.exp(x)), [24]))
        return [emit(relax.op.sqrt(emit(relax.op.reshape(flat, [2, 12]))))]

    found = program(body)
    first, second = found.calls
    assert found.values[second.inputs[0]].shape == (2, 12)
    assert found.root(second.inputs[0]) == first.outputs[0]
    assert COPY not in {call.kernel for call in found.calls}


def test_equal_constants_are_one() -> None:
    def body(x: relax.Var, emit: Emit) -> list[tvm.ir.Expr]:
        for number in (1.0, 1.0, 2.0):
            x = emit(relax.op.matmul(x, matrix(number)))
        return [x]

    found = program(body)
    assert [int(value.data.flat[0]) for value in found.constants] == [1, 2]
    assert [call.inputs[1] == found.calls[0].inputs[1] for call in found.calls] == [True, True, False]


def test_the_same_bytes_in_another_shape_or_type_are_another_constant() -> None:
    def body(x: relax.Var, emit: Emit) -> list[tvm.ir.Expr]:
        row, column = np.ones((1, 6), np.float32), np.ones((6, 1), np.float32)
        a, b = emit(relax.op.matmul(x, relax.const(column))), emit(relax.op.matmul(x, matrix(1.0)))
        return [a, emit(relax.op.add(b, relax.const(row)))]

    shapes = sorted(value.shape for value in program(body).constants)
    assert shapes == [(1, 6), (6, 1), (6, 6)]


def test_constants_that_nobody_reads_are_left_out() -> None:
    def body(x: relax.Var, emit: Emit) -> list[tvm.ir.Expr]:
        emit(relax.op.matmul(x, matrix(5.0)))
        return [emit(relax.op.exp(x))]

    assert program(body).constants == []


@pytest.mark.parametrize(
    "body",
    [
        lambda x, emit: [x],
        lambda x, emit: [emit(relax.op.reshape(x, [24]))],
        lambda x, emit: [relax.const(np.ones((2, 3), np.float32))],
        lambda x, emit: [emit(relax.op.exp(x))] * 2,
    ],
    ids=["an input", "a view of an input", "a constant", "an output twice"],
)
def test_outputs_get_bytes_of_their_own(body: Body) -> None:
    found = extract(body)
    roots = [found.root(value) for value in (*found.inputs, *found.outputs)]
    assert len(set(roots)) == len(roots)
    assert all(found.values[output].data is None for output in found.outputs)
    assert found.calls[-1].kernel == COPY
    source, result = found.calls[-1].inputs[0], found.calls[-1].outputs[0]
    assert found.values[source].shape == found.values[result].shape


def test_an_operator_without_a_kernel_is_refused_by_its_node() -> None:
    def body(x: relax.Var, emit: Emit) -> list[tvm.ir.Expr]:
        return [emit(relax.op.exp(x), "power")]

    module = graph(body)
    nodes = {binding.var: ("block/exp_7",) for block in module["main"].body.blocks for binding in block.bindings}
    with pytest.raises(UnsupportedError, match=r"^node 'block/exp_7': operator relax\.exp has no kernel$"):
        extract_program(module, nodes)
    with pytest.raises(UnsupportedError, match="binding 'power'"):
        extract_program(module, {})


def test_a_kernel_of_two_outputs() -> None:
    def body(x: relax.Var, emit: Emit) -> list[tvm.ir.Expr]:
        halves = emit(relax.op.split(x, 2, 1))
        return [emit(relax.op.exp(emit(relax.TupleGetItem(halves, i)))) for i in (1, 0)]

    found = program(body)
    split = next(call for call in found.calls if len(call.outputs) == 2)
    readers = [call for call in found.calls if call is not split]
    assert [call.inputs[0] for call in readers] in ([split.outputs[1], split.outputs[0]], list(split.outputs))
    assert found.outputs == tuple(
        next(call.outputs[0] for call in readers if call.inputs[0] == split.outputs[i]) for i in (1, 0)
    )


def extract(body: Body) -> Program:
    """Without the fuser, which would make kernels of outputs that need none."""
    module = graph(body)
    with tvm.transform.PassContext(opt_level=3):
        legal = relax.transform.LegalizeOps(skip_ops=["relax.reshape"])(module)
    return extract_program(legal, {})
