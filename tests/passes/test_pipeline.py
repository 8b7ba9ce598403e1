"""The passes of one compile together, on models as the importer gives them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import tvm
from onnx import TensorProto, helper, numpy_helper
from tvm import relax, tirx

from edgetvm.importers.onnx import import_onnx
from edgetvm.passes.pipeline import OptimizedModel, optimize

SHAPE = [1, 4, 6, 6]


def test_only_kernels_and_views_are_left(digits: Path) -> None:
    optimized = optimize(import_onnx(digits))
    assert {type(func) for func in optimized.module.functions.values()} == {relax.Function, tirx.PrimFunc}
    left = {value.op.name for value in bound(optimized) if isinstance(value, tvm.ir.Call)}
    assert left <= {"relax.call_tir", "relax.reshape"}


def test_the_border_is_the_models_own(digits: Path) -> None:
    model = import_onnx(digits)
    main = optimize(model).module["main"]
    params = [(tuple(int(extent) for extent in param.ty.shape), str(param.ty.dtype)) for param in main.params]
    assert params == [(tensor.shape, tensor.dtype) for tensor in model.inputs]
    tvm.ir.assert_structural_equal(main.ret_ty, model.module["main"].ret_ty)


def test_a_convolution_takes_in_what_follows_it(tmp_path: Path) -> None:
    names = kernel_nodes(tmp_path, ["conv", "relu", "conv2", "relu2"])
    assert [nodes for nodes in names if nodes] == [{"conv", "relu"}, {"conv2", "relu2"}]


def test_nodes_called_like_bindings_of_a_pass(tmp_path: Path) -> None:
    names = kernel_nodes(tmp_path, ["transpose1", "transpose", "conv1", "transpose2"])
    assert [nodes for nodes in names if nodes] == [{"transpose1", "transpose"}, {"conv1", "transpose2"}]


def test_every_node_of_a_real_model_has_a_call(digits: Path) -> None:
    model = import_onnx(digits)
    optimized = optimize(model)
    reached = {name for names in optimized.sources.values() for name in names}
    assert reached == {name for names in model.sources.values() for name in names}


def kernel_nodes(folder: Path, names: list[str]) -> list[set[str]]:
    """The nodes of every kernel call of two convolutions, each with a relu, whose nodes have these names."""
    weights = numpy_helper.from_array(np.random.default_rng(0).standard_normal((4, 4, 1, 1)).astype(np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name=names[0]),
        helper.make_node("Relu", ["a"], ["b"], name=names[1]),
        helper.make_node("Conv", ["b", "w"], ["c"], name=names[2]),
        helper.make_node("Relu", ["c"], ["y"], name=names[3]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in "xy")
    graph = helper.make_graph(nodes, "model", [x], [y], [weights])
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    optimized = optimize(import_onnx(path))
    return [
        set(optimized.sources[binding.var])
        for block in optimized.module["main"].body.blocks
        for binding in block.bindings
        if isinstance(binding.value, tvm.ir.Call) and binding.value.op == tvm.ir.Op.get("relax.call_tir")
    ]


def bound(optimized: OptimizedModel) -> list[tvm.ir.Expr]:
    return [binding.value for block in optimized.module["main"].body.blocks for binding in block.bindings]
