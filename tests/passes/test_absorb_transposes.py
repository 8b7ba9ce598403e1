"""AbsorbTransposes: attention without a transposed tensor; values, dtypes and the border stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax
from tvm.script import ir as I  # noqa: N812
from tvm.script import relax as R  # noqa: N812

from edgetvm.passes.absorb_transposes import AbsorbTransposes
from tests.passes.relax_numpy import run


@I.ir_module
class AttentionBefore:
    """Heads behind positions outside, in front of them inside."""

    @R.function
    def main(
        q: R.Tensor((1, 5, 2, 4), "float32"), k: R.Tensor((1, 6, 2, 4), "float32"), v: R.Tensor((1, 6, 2, 4), "float32")
    ) -> R.Tensor((1, 5, 2, 4), "float32"):
        with R.dataflow():
            rows = R.permute_dims(q, [0, 2, 1, 3])
            columns = R.permute_dims(k, [0, 2, 3, 1])
            scores = R.matmul(rows, columns)
            weights = R.nn.softmax(scores, axis=-1)
            values = R.permute_dims(v, [0, 2, 1, 3])
            weighted = R.matmul(weights, values)
            result = R.permute_dims(weighted, [0, 2, 1, 3])
            R.output(result)
        return result


@I.ir_module
class AttentionAfter:
    """Nothing is transposed."""

    @R.function
    def main(
        q: R.Tensor((1, 5, 2, 4), "float32"), k: R.Tensor((1, 6, 2, 4), "float32"), v: R.Tensor((1, 6, 2, 4), "float32")
    ) -> R.Tensor((1, 5, 2, 4), "float32"):
        with R.dataflow():
            scores = R.einsum((q, k), subscripts="acbe,adbe->abcd")
            weights = R.nn.softmax(scores, axis=-1)
            weighted = R.einsum((weights, v), subscripts="abce,aebd->acbd")
            R.output(weighted)
        return weighted


def absorbed(module: tvm.IRModule) -> tvm.IRModule:
    after = relax.transform.DeadCodeElimination()(AbsorbTransposes()(module))
    relax.analysis.well_formed(after)  # raises
    return after


def test_attention_is_two_products_and_a_softmax() -> None:
    after = absorbed(AttentionBefore)
    tvm.ir.assert_structural_equal(after, AttentionAfter, map_free_vars=True)
    names = [binding.var.name for block in after["main"].body.blocks for binding in block.bindings]
    assert names[:3] == ["scores", "weights", "weighted"]  # the names of their nodes


@pytest.mark.parametrize("reason", ["a constant", "rows across memory", "no transpose"])
def test_what_it_leaves_alone(reason: str) -> None:
    """Weights are transposed when compiling; a sum across memory would be slower than a transpose."""
    builder = relax.BlockBuilder()
    x, y = (relax.Var(name, relax.TensorType((3, 3), "float32")) for name in "xy")
    with builder.function("main", [x, y]):
        with builder.dataflow():
            turned = builder.emit(relax.op.permute_dims(x))
            sides = {
                "a constant": (x, relax.const(np.ones((3, 3), np.float32))),
                "rows across memory": (turned, y),
                "no transpose": (x, y),
            }
            result = builder.emit_output(builder.emit(relax.op.matmul(*sides[reason])))
        builder.emit_func_output(result)
    before = builder.get()
    tvm.ir.assert_structural_equal(AbsorbTransposes()(before), before)


@st.composite
def products(draw: st.DrawFn) -> tvm.IRModule:
    """A product of transposed tensors, transposed again and perhaps read as it is too."""
    builder = relax.BlockBuilder()
    rank = draw(st.integers(2, 4))
    size = dict(zip("abmkn", draw(st.tuples(*[st.integers(1, 4)] * 5)), strict=True))
    batch = "ab"[: rank - 2]
    shapes = [[size[axis] for axis in batch + side] for side in ("mk", "kn")]
    orders = [draw(st.permutations(range(rank))) for _ in range(2)]
    params = [
        relax.Var(f"x{i}", relax.TensorType([shape[order.index(axis)] for axis in range(rank)], "float32"))
        for i, (shape, order) in enumerate(zip(shapes, orders, strict=True))
    ]
    with builder.function("main", params):
        with builder.dataflow():
            sides = [builder.emit(relax.op.permute_dims(x, order)) for x, order in zip(params, orders, strict=True)]
            product = builder.emit(relax.op.matmul(*sides))
            turned = builder.emit(relax.op.permute_dims(product, draw(st.permutations(range(rank)))))
            results = [turned, *[product] * draw(st.integers(0, 1))]
            outputs = [builder.emit_output(result) for result in results]
        builder.emit_func_output(relax.Tuple(outputs))
    return builder.get()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(products())
def test_law_values_and_border_do_not_change(before: tvm.IRModule) -> None:
    after = absorbed(before)
    shapes = [[int(extent) for extent in param.ty.shape] for param in before["main"].params]
    inputs = [np.random.default_rng(0).standard_normal(shape).astype(np.float32) for shape in shapes]
    for ours, expected in zip(run(after, inputs), run(before, inputs), strict=True):
        assert ours.shape == expected.shape
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
