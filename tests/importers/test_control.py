"""If, Loop and Scan: what is known when compiling is unrolled, the rest refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.helper import make_graph, make_node, make_tensor_value_info

from edgetvm.errors import UnsupportedError
from edgetvm.importers.onnx import import_onnx
from tests.importers.execute import agree, expected, imported
from tests.importers.models import save

FLOAT = TensorProto.FLOAT


def value(name: str, shape: list[int] | None = None, kind: int = FLOAT) -> onnx.ValueInfoProto:
    return make_tensor_value_info(name, kind, shape)


def branch(operator: str) -> onnx.GraphProto:
    """A branch that reads `x` of the graph around it."""
    return make_graph([make_node(operator, ["x"], ["r"], name=operator.lower())], operator, [], [value("r")])


def conditional(path: Path, condition: bool | None) -> Path:
    chosen = make_node("If", ["c"], ["y"], then_branch=branch("Exp"), else_branch=branch("Neg"), name="if")
    constants = {} if condition is None else {"c": np.array(condition)}
    path = save(path, [chosen], {"x": [2, 3]}, ["y"], constants)
    if condition is None:
        model = onnx.load(path)
        model.graph.input.append(value("c", [], TensorProto.BOOL))
        onnx.save(model, path)
    return path


@pytest.mark.parametrize("condition", [True, False])
def test_constant_condition_takes_one_branch(condition: bool, tmp_path: Path) -> None:
    path = conditional(tmp_path / "m.onnx", condition)
    assert ("exp" in import_onnx(path).module.script()) == condition
    agree(path)


@pytest.mark.parametrize("condition", [True, False])
def test_condition_at_run_time_selects(condition: bool, tmp_path: Path) -> None:
    path = conditional(tmp_path / "m.onnx", None)
    inputs = {"x": np.array([[1, -2, 3], [4, 5, 0]], np.float32), "c": np.array(condition)}
    np.testing.assert_allclose(imported(path, inputs)[0], expected(path, inputs)[0], rtol=1e-6)


def loop(path: Path, count: int | None, stop: bool) -> Path:
    """Doubles its state and collects it; with `stop` it ends when the iteration number reaches 2."""
    nodes = [
        make_node("Add", ["state", "state"], ["next"], name="double"),
        make_node("Identity", ["next"], ["row"]),
        make_node("Less", ["i", "limit"], ["going_on"]) if stop else make_node("Identity", ["go"], ["going_on"]),
    ]
    inputs = [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("state", [2])]
    outputs = [value("going_on", [], TensorProto.BOOL), value("next", [2]), value("row", [2])]
    body = make_graph(nodes, "body", inputs, outputs)
    constants = {"limit": np.array(2), "true": np.array(True)}
    if count is not None:
        constants["count"] = np.array(count)
    call = make_node("Loop", ["" if count is None else "count", "true", "x"], ["last", "rows"], body=body, name="loop")
    return save(path, [call], {"x": [2]}, ["last", "rows"], constants)


@pytest.mark.parametrize(("count", "stop"), [(3, False), (9, True), (None, True), (1, True)])
def test_loop_of_known_length(count: int | None, stop: bool, tmp_path: Path) -> None:
    agree(loop(tmp_path / "m.onnx", count, stop))


def test_endless_loop_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"loop.*more than 1024 times"):
        import_onnx(loop(tmp_path / "m.onnx", None, False))


@pytest.mark.parametrize(("axis", "backwards"), [(0, 0), (1, 0), (0, 1)])
def test_scan(axis: int, backwards: int, tmp_path: Path) -> None:
    nodes = [make_node("Add", ["sum", "row"], ["total"]), make_node("Identity", ["total"], ["out"])]
    body = make_graph(nodes, "body", [value("sum", [3]), value("row", [3])], [value("total", [3]), value("out", [3])])
    attributes = {"scan_input_axes": [axis], "scan_input_directions": [backwards], "scan_output_axes": [1]}
    call = make_node("Scan", ["zero", "x"], ["last", "sums"], body=body, num_scan_inputs=1, **attributes)
    shape = [4, 3] if axis == 0 else [3, 4]
    agree(save(tmp_path / "m.onnx", [call], {"x": shape}, ["last", "sums"], {"zero": np.zeros(3, np.float32)}))
