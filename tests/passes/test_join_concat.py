"""join_concat: what is only concatenated becomes one kernel with the concatenation, and keeps its nodes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tvm
from tvm import relax

from edgetvm.importers.types import ImportedModel
from edgetvm.passes.pipeline import OptimizedModel, kernel_results, optimize

Emit = Callable[..., relax.Var]


def optimized(body: Callable[[relax.Var, Emit], tvm.ir.Expr], depth: int = 8) -> OptimizedModel:
    """What becomes of a model of one input [1, 6, 6, depth], in which every binding is a node of its name."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 6, 6, depth), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            result = builder.emit_output(builder.emit(body(x, builder.emit), "both"))
        builder.emit_func_output(result)
    names = ["one", "other", "both"]
    return optimize(ImportedModel(builder.get(), (), (), "test", {name: (name,) for name in names}))


def convolution(x: relax.Var, size: int, outputs: int) -> tvm.ir.Expr:
    w = np.random.default_rng(size).standard_normal((size, size, int(x.ty.shape[3]), outputs)).astype(np.float32)
    layouts = {"data_layout": "NHWC", "kernel_layout": "HWIO", "out_layout": "NHWC"}
    return relax.op.nn.conv2d(x, relax.const(w), padding=size // 2, **layouts)


def test_the_expansions_of_a_fire_module() -> None:
    def body(x: relax.Var, emit: Emit) -> tvm.ir.Expr:
        return relax.op.concat([emit(convolution(x, 1, 8), "one"), emit(convolution(x, 3, 8), "other")], 3)

    model = optimized(body)
    assert len(kernel_results(model)) == 1
    (nodes,) = (nodes for nodes in model.sources.values() if len(nodes) > 1)
    assert set(nodes) == {"one", "other", "both"}


def test_what_is_read_elsewhere_stays_apart() -> None:
    def body(x: relax.Var, emit: Emit) -> tvm.ir.Expr:
        one = emit(convolution(x, 1, 8), "one")
        other = emit(convolution(one, 3, 8), "other")
        return relax.op.concat([one, other], 3)

    assert [*kernel_results(optimized(body))] == ["one", "both"]


def test_inputs_larger_than_the_results_would_be_kept_for_longer() -> None:
    def body(x: relax.Var, emit: Emit) -> tvm.ir.Expr:
        return relax.op.concat([emit(convolution(x, 1, 2), "one"), emit(convolution(x, 3, 2), "other")], 3)

    assert len(kernel_results(optimized(body))) == 3


def test_a_maximum_is_no_sum_of_products() -> None:
    def body(x: relax.Var, emit: Emit) -> tvm.ir.Expr:
        pool = {"pool_size": (3, 3), "padding": (1, 1), "layout": "NHWC"}
        return relax.op.concat([emit(relax.op.nn.max_pool2d(x, **pool), "one"), x], 3)

    assert len(kernel_results(optimized(body))) == 2
