"""ToHalf: long sums of products in half precision, all that magnifies rounding in single, the border as it was."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from edgetvm.passes.half import LEAST_PRODUCTS, ToHalf
from tests.passes.relax_numpy import run

Emit = Callable[[tvm.ir.Expr], relax.Var]
LONG, SHORT = LEAST_PRODUCTS, LEAST_PRODUCTS - 1


def build(
    body: Callable[[relax.Var, Emit], tvm.ir.Expr], shape: tuple[int, ...], dtype: str = "float32"
) -> tvm.IRModule:
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, dtype))
    with builder.function("main", [x]):
        with builder.dataflow():
            result = builder.emit_output(body(x, builder.emit))
        builder.emit_func_output(result)
    return builder.get()


def to_half(module: tvm.IRModule) -> tvm.IRModule:
    return tvm.transform.Sequential([ToHalf()])(module)


def types(module: tvm.IRModule) -> list[tuple[str, str]]:
    """Operator and dtype of every binding."""
    bindings = [binding for block in module["main"].body.blocks for binding in block.bindings]
    calls = [binding for binding in bindings if isinstance(binding.value, tvm.ir.Call)]
    return [(call.value.op.name.removeprefix("relax."), str(call.var.ty.dtype)) for call in calls]


def weights(rows: int, columns: int, scale: float = 0.1) -> relax.Constant:
    data = np.random.default_rng(rows).standard_normal((rows, columns)) * scale
    return relax.const(data.astype(np.float32))


def layers(widths: list[int]) -> Callable[[relax.Var, Emit], tvm.ir.Expr]:
    """Dense layers of such widths, each with bias and relu."""

    def body(x: relax.Var, emit: Emit) -> tvm.ir.Expr:
        value: tvm.ir.Expr = x
        for rows, columns in pairwise(widths):
            value = emit(relax.op.matmul(value, weights(rows, columns)))
            value = emit(relax.op.add(value, weights(1, columns)))
            value = emit(relax.op.nn.relu(value))
        return value

    return body


def test_long_sums_are_half_and_the_last_are_single() -> None:
    module = to_half(build(layers([LONG, SHORT, LONG, 8, 4]), (2, LONG)))
    assert types(module) == [
        ("astype", "float16"),
        ("matmul", "float16"),  # long
        ("astype", "float32"),
        ("add", "float32"),
        ("nn.relu", "float32"),
        ("matmul", "float32"),  # short
        ("add", "float32"),
        ("nn.relu", "float32"),
        ("astype", "float16"),
        ("matmul", "float16"),  # long
        ("astype", "float32"),
        ("add", "float32"),
        ("nn.relu", "float32"),
        ("matmul", "float32"),  # short, and last
        ("add", "float32"),
        ("nn.relu", "float32"),
    ]
    relax.analysis.well_formed(module)


def test_what_moves_half_stays_half() -> None:
    def body(x: relax.Var, emit: Emit) -> tvm.ir.Expr:
        a = emit(relax.op.matmul(x, weights(LONG, LONG)))
        b = emit(relax.op.reshape(emit(relax.op.nn.relu(a)), (LONG, 2)))
        c = emit(relax.op.concat([emit(relax.op.permute_dims(b)), a]))
        return emit(relax.op.matmul(emit(relax.op.matmul(c, weights(LONG, LONG))), weights(LONG, 3)))

    found = types(to_half(build(body, (2, LONG))))
    assert [dtype for name, dtype in found if name in ("nn.relu", "reshape", "permute_dims", "concat")] == [
        "float16"
    ] * 4
    assert [dtype for name, dtype in found if name == "matmul"] == ["float16", "float16", "float32"]


@pytest.mark.parametrize("value", [7e4, -1e30])
def test_a_constant_beyond_half_keeps_its_operator_single(value: float) -> None:
    def body(x: relax.Var, emit: Emit) -> tvm.ir.Expr:
        large = weights(LONG, LONG).value.numpy().copy()
        large[3, 5] = value
        a = emit(relax.op.matmul(x, relax.const(large)))
        return emit(relax.op.matmul(a, weights(LONG, 4)))

    assert types(to_half(build(body, (2, LONG)))) == [("matmul", "float32"), ("matmul", "float32")]


def test_integers_and_a_border_of_half_stay() -> None:
    def body(x: relax.Var, emit: Emit) -> tvm.ir.Expr:
        return emit(relax.op.add(x, x))

    assert types(to_half(build(body, (2, 3), "int32"))) == [("add", "int32")]
    module = to_half(build(body, (2, 3), "float16"))
    assert str(module["main"].ret_ty.dtype) == "float16"


@settings(max_examples=20, deadline=None, derandomize=True)
@given(widths=st.lists(st.sampled_from([1, 3, 17, 96, 128, 200, 300]), min_size=2, max_size=5), seed=st.integers(0, 9))
def test_results_are_close_and_of_the_same_type(widths: list[int], seed: int) -> None:
    module = build(layers(widths), (3, widths[0]))
    x = np.random.default_rng(seed).standard_normal((3, widths[0])).astype(np.float32)
    (wanted,), (found,) = run(module, [x]), run(to_half(module), [x])
    assert found.dtype == wanted.dtype == np.float32
    scale = max(float(np.abs(wanted).max()), 1e-3)
    np.testing.assert_allclose(found, wanted, atol=1e-2 * scale, rtol=0)
