"""A flat graph written as ONNX computes what the model it came from computes, whatever opset its nodes had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx.helper import make_node as node

from edgetvm.errors import UnsupportedError
from edgetvm.importers.export import OPSET, export_graph
from edgetvm.importers.graph import Graph, Node, Tensor
from edgetvm.importers.onnx import read_graph
from tests.importers.execute import expected
from tests.importers.models import convolution, save

RNG = np.random.default_rng(0)


def round_trip(path: Path, folder: Path) -> onnx.ModelProto:
    """Export the model's graph, check it, and compare both on random data."""
    graph, refusals = read_graph(path, {})
    assert not refusals
    model = export_graph(graph, "again")
    onnx.checker.check_model(model, full_check=True)
    again = folder / "again.onnx"
    onnx.save(model, str(again))
    inputs = {name: RNG.standard_normal(graph.types[name].shape).astype(np.float32) for name in graph.inputs}
    for have, want in zip(expected(again, inputs), expected(path, inputs), strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-5)
    return model


def test_example(tmp_path: Path) -> None:
    model = round_trip(convolution(tmp_path / "m.onnx"), tmp_path)
    assert [n.op_type for n in model.graph.node] == ["Conv", "Relu"]
    assert [o.name for o in model.graph.output] == ["y"]
    assert model.opset_import[0].version == OPSET


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 21])
def test_law_values_stay_from_every_opset(opset: int, tmp_path: Path) -> None:
    """Clip, Squeeze and ReduceSum took attributes in old versions, inputs in new ones."""
    old = opset < 13
    clip = node("Clip", ["x"], ["c"], min=-0.5, max=0.5) if opset < 11 else node("Clip", ["x", "low", "high"], ["c"])
    squeeze = node("Squeeze", ["c"], ["s"], axes=[0]) if old else node("Squeeze", ["c", "axes"], ["s"])
    total = (
        node("ReduceSum", ["s"], ["y"], axes=[0], keepdims=0)
        if old
        else node("ReduceSum", ["s", "axes"], ["y"], keepdims=0)
    )
    constants = {"low": np.float32(-0.5), "high": np.float32(0.5), "axes": np.array([0])}
    arrays = {name: np.asarray(value) for name, value in constants.items()}
    round_trip(save(tmp_path / "m.onnx", [clip, squeeze, total], {"x": [1, 3, 4]}, ["y"], arrays, opset), tmp_path)


def test_an_output_that_is_an_input_or_another_output(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["r"]), node("Identity", ["r"], ["y"]), node("Identity", ["x"], ["z"])]
    round_trip(save(tmp_path / "m.onnx", nodes, {"x": [2, 3]}, ["r", "y", "z"]), tmp_path)


def test_what_onnx_cannot_convert_is_named() -> None:
    types = {name: Tensor("float32", (1, 1, 2, 2)) for name in "xy"}
    upsample = Node("Upsample", "", 9, "old", ("old",), ("x",), ("y",), {})  # where its scales are is not said
    with pytest.raises(UnsupportedError, match=r"old \(Upsample\) of opset 9 cannot be written as opset 21") as error:
        export_graph(Graph(["x"], [("y", "y")], [upsample], {}, types), "g")
    assert error.value.hint


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.sampled_from(["y", "y_1", "y_inner", "x", "c"]), min_size=1, max_size=3, unique=True))
def test_law_output_names_are_the_models(names: list[str], tmp_path: Path) -> None:
    """Whatever inner values are called."""
    types = {name: Tensor("float32", (2,)) for name in ["in", "y", "y_1", "y_inner", "x", "c"]}
    values = ["y", "y_1", "y_inner", "x", "c"]
    nodes = [
        Node("Relu" if i % 2 else "Neg", "", 13, v, (v,), (["in", *values][i],), (v,), {}) for i, v in enumerate(values)
    ]
    graph = Graph(["in"], list(zip(names, reversed(values), strict=False)), nodes, {}, types)
    model = export_graph(graph, "g")
    onnx.checker.check_model(model, full_check=True)
    assert [o.name for o in model.graph.output] == names
