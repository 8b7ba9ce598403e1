"""SinkTransposes: transposes meet and cancel; values, dtypes and the border stay as they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax
from tvm.script import ir as I  # noqa: N812
from tvm.script import relax as R  # noqa: N812

from edgetvm.passes.sink_transposes import SinkTransposes
from tests.passes.relax_numpy import run

Emit = Callable[[tvm.ir.Expr], relax.Var]
LAWS = settings(max_examples=60, deadline=None, derandomize=True)


@I.ir_module
class ConvolutionsBefore:
    """Two convolutions as the importer gives them: NCHW outside, NHWC inside."""

    @R.function
    def main(x: R.Tensor((1, 4, 6, 8), "float32"), w: R.Tensor((3, 3, 4, 4), "float32")) -> R.Tensor((1, 4), "float32"):
        with R.dataflow():
            a = R.permute_dims(x, [0, 2, 3, 1])
            b = R.nn.conv2d(a, w, padding=[1, 1, 1, 1], data_layout="NHWC", kernel_layout="HWIO", out_layout="NHWC")
            c = R.permute_dims(b, [0, 3, 1, 2])
            d = R.nn.relu(c)
            e = R.permute_dims(d, [0, 2, 3, 1])
            f = R.nn.conv2d(e, w, padding=[1, 1, 1, 1], data_layout="NHWC", kernel_layout="HWIO", out_layout="NHWC")
            g = R.permute_dims(f, [0, 3, 1, 2])
            h = R.add(g, d)
            i = R.concat((h, d), axis=1)
            j = R.mean(i, axis=[2, 3])
            k = R.nn.softmax(j, axis=-1)
            R.output(k)
        return k


@I.ir_module
class ConvolutionsAfter:
    """One transpose is left: that of the input."""

    @R.function
    def main(x: R.Tensor((1, 4, 6, 8), "float32"), w: R.Tensor((3, 3, 4, 4), "float32")) -> R.Tensor((1, 4), "float32"):
        with R.dataflow():
            a = R.permute_dims(x, [0, 2, 3, 1])
            b = R.nn.conv2d(a, w, padding=[1, 1, 1, 1], data_layout="NHWC", kernel_layout="HWIO", out_layout="NHWC")
            d = R.nn.relu(b)
            f = R.nn.conv2d(d, w, padding=[1, 1, 1, 1], data_layout="NHWC", kernel_layout="HWIO", out_layout="NHWC")
            h = R.add(f, d)
            i = R.concat((h, d), axis=3)
            j = R.mean(i, axis=[1, 2])
            k = R.nn.softmax(j, axis=1)
            result = k
            R.output(result)
        return result


def test_example() -> None:
    assert_same(SinkTransposes()(ConvolutionsBefore), ConvolutionsAfter)


@I.ir_module
class RealTensorWanted:
    """Reshape reads elements in memory order and matmul has fixed axes: both take the transposed tensor itself."""

    @R.function
    def main(x: R.Tensor((1, 4, 6, 8), "float32"), w: R.Tensor((8, 3), "float32")) -> R.Tuple(
        R.Tensor((24, 8), "float32"), R.Tensor((1, 6, 4, 3), "float32")
    ):
        with R.dataflow():
            a = R.permute_dims(x, [0, 2, 1, 3])
            b = R.reshape(a, [24, 8])
            c = R.matmul(a, w)
            result = (b, c)
            R.output(result)
        return result


def test_refuses_what_depends_on_the_order_of_axes() -> None:
    assert_same(SinkTransposes()(RealTensorWanted), RealTensorWanted)


@pytest.mark.parametrize("shape", [(), (1,), (8,), (6, 1), (1, 6, 8), (4, 1, 1), (1, 4, 6, 8)])
def test_constants_of_lower_rank_broadcast_as_before(shape: tuple[int, ...]) -> None:
    constant = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)

    def body(x: relax.Var, emit: Emit) -> relax.Var:
        outside = emit(relax.op.permute_dims(x, [0, 3, 1, 2]))
        return emit(relax.op.permute_dims(emit(relax.op.add(outside, relax.const(constant))), [0, 2, 3, 1]))

    before = function(body, (2, 6, 8, 4))
    after = SinkTransposes()(before)
    assert transposes(after) == 0
    assert_same_values(before, after, (2, 6, 8, 4))


def test_an_input_of_lower_rank_broadcasts_as_before() -> None:
    def body(x: relax.Var, emit: Emit) -> relax.Var:
        outside = emit(relax.op.permute_dims(x, [0, 3, 1, 2]))
        row = emit(relax.op.sum(x, [0, 1, 3]))
        return emit(relax.op.multiply(row, outside))

    before = function(body, (2, 6, 8, 4))
    assert_same_values(before, SinkTransposes()(before), (2, 6, 8, 4))


def test_a_scalar_that_was_a_transposed_tensor() -> None:
    def body(x: relax.Var, emit: Emit) -> relax.Var:
        return emit(relax.op.sum(emit(relax.op.permute_dims(x)), [0, 1, 2]))

    before = function(body, (2, 3, 4))
    assert_same_values(before, SinkTransposes()(before), (2, 3, 4))


def test_moving_only_axes_of_length_one_is_a_reshape() -> None:
    def body(x: relax.Var, emit: Emit) -> relax.Var:
        return emit(relax.op.matmul(emit(relax.op.permute_dims(x, [0, 3, 1, 2])), relax.const(np.ones((1, 3), "f4"))))

    before = function(body, (5, 1, 1, 4))
    after = SinkTransposes()(before)
    assert operators(after) == ["reshape", "matmul"]
    assert_same_values(before, after, (5, 1, 1, 4))


@st.composite
def graphs(draw: st.DrawFn) -> tvm.IRModule:
    """Transposes, unary, binary, concat, reductions and what needs a real tensor, read any number of times."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((2, 3, 4), "float32"))
    values: list[relax.Var] = [x]

    def any_value() -> relax.Var:
        return draw(st.sampled_from(values))

    def of_shape(shape: list[int]) -> tvm.ir.Expr:
        same = [value for value in values if extents(value) == shape]
        cut = shape[draw(st.integers(0, len(shape))) :]
        ones = [extent if draw(st.booleans()) else 1 for extent in cut]
        constant = relax.const(np.linspace(-1, 2, int(np.prod(ones)), dtype=np.float32).reshape(ones))
        return draw(st.sampled_from([*same, constant]))

    with builder.function("main", [x]):
        with builder.dataflow():
            for _ in range(draw(st.integers(1, 10))):
                a = any_value()
                shape, rank = extents(a), len(extents(a))
                kind = draw(st.sampled_from("permute permute unary binary where concat reduce softmax reshape".split()))
                axis = draw(st.integers(-rank, rank - 1)) if rank else 0
                if kind == "permute":
                    expr = relax.op.permute_dims(a, draw(st.none() | st.permutations(range(rank))))
                elif kind == "unary" or rank == 0:
                    expr = draw(st.sampled_from([relax.op.nn.relu, relax.op.negative, relax.op.tanh]))(a)
                elif kind == "binary":
                    pair = [a, of_shape(shape)]
                    operator = draw(st.sampled_from([relax.op.add, relax.op.multiply, relax.op.maximum]))
                    expr = operator(*draw(st.permutations(pair)))
                elif kind == "where":
                    mask = builder.emit(relax.op.greater(a, relax.const(np.float32(0.5))))
                    expr = relax.op.where(mask, of_shape(shape), a)
                elif kind == "concat":
                    same = [value for value in values if extents(value) == shape]
                    expr = relax.op.concat([a, draw(st.sampled_from(same))], axis)
                elif kind == "reduce":
                    axes = draw(st.lists(st.integers(0, rank - 1), min_size=1, unique=True))
                    keep = draw(st.booleans())
                    operator = draw(st.sampled_from([relax.op.sum, relax.op.max, relax.op.mean, relax.op.variance]))
                    expr = operator(a, axes, keep)
                elif kind == "softmax":
                    expr = relax.op.nn.softmax(a, axis)
                else:
                    expr = relax.op.reshape(a, [int(np.prod(shape)), 1])
                values.append(builder.emit(expr))
            outputs = [values[-1], *draw(st.lists(st.sampled_from(values[1:]), max_size=2))]
            results = [builder.emit_output(output) for output in outputs]
        builder.emit_func_output(relax.Tuple(results))
    return builder.get()


@LAWS
@given(graphs())
def test_law_values_and_border_do_not_change(before: tvm.IRModule) -> None:
    after = SinkTransposes()(before)
    relax.analysis.well_formed(after)  # raises
    tvm.ir.assert_structural_equal(after["main"].ret_ty, before["main"].ret_ty)
    assert_same_values(before, after, (2, 3, 4))


@LAWS
@given(graphs())
def test_law_transposes_never_become_more(before: tvm.IRModule) -> None:
    assert transposes(SinkTransposes()(before)) <= transposes(before)


def function(body: Callable[[relax.Var, Emit], relax.Var], shape: tuple[int, ...]) -> tvm.IRModule:
    """A module whose main has one input and what `body` makes of it."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            result = builder.emit_output(body(x, builder.emit))
        builder.emit_func_output(result)
    return builder.get()


def assert_same(after: tvm.IRModule, expected: tvm.IRModule) -> None:
    tvm.ir.assert_structural_equal(
        relax.transform.CanonicalizeBindings()(after), relax.transform.CanonicalizeBindings()(expected)
    )


def assert_same_values(before: tvm.IRModule, after: tvm.IRModule, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for a, b in zip(run(before, [x]), run(after, [x]), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def operators(module: tvm.IRModule) -> list[str]:
    calls = [binding.value for block in module["main"].body.blocks for binding in block.bindings]
    return [call.op.name.removeprefix("relax.") for call in calls if isinstance(call, tvm.ir.Call)]


def transposes(module: tvm.IRModule) -> int:
    return operators(module).count("permute_dims")


def extents(value: relax.Var) -> list[int]:
    return [int(extent) for extent in value.ty.shape]
