"""Figures of flat graphs: those that `evaluate` gives a package, and no run more than a verdict needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import edgetvm
from edgetvm.importers.graph import Graph
from edgetvm.importers.onnx import interface, read_graph
from edgetvm.oracle.data import load_data
from edgetvm.oracle.dataset import Dataset, Sample
from edgetvm.report.accuracy import auc
from edgetvm.report.figure import judge


def test_top1_is_that_of_the_package(compiled: Callable[..., edgetvm.Package], digits: Path, demo_data: Path) -> None:
    graph, _ = read_graph(digits, {})
    judged = judge(load_data(demo_data, interface(graph)[0]), graph, "top1")
    value = judged.value(graph)
    assert value == compiled(digits, "host").evaluate(demo_data).value
    assert judged.holds(graph, value)
    assert not judged.holds(graph, value + 1e-6)


def summed(tmp_path: Path) -> Graph:
    """The sum of four numbers."""
    nodes = [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0, name="sum")]
    graph = helper.make_graph(
        nodes,
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(tmp_path / "sum.onnx"))
    return read_graph(tmp_path / "sum.onnx", {})[0]


def test_auc_over_the_windows_of_a_sample(tmp_path: Path) -> None:
    graph = summed(tmp_path)
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, (20, 5, 2)).astype(np.float32), np.arange(20) % 2
    np.savez(tmp_path / "d.npz", x=x, y=y)
    judged = judge(load_data(tmp_path / "d.npz", interface(graph)[0], window=2), graph, "auc")
    windows = np.stack([x[:, t : t + 2].reshape(20, 4).sum(axis=1, dtype=np.float64) for t in range(4)])
    assert judged.value(graph) == pytest.approx(auc(windows.mean(axis=0), y))


def test_a_verdict_stops_at_the_first_sample_too_many(digits: Path, demo_data: Path) -> None:
    graph, _ = read_graph(digits, {})
    data = load_data(demo_data, interface(graph)[0])
    fetched: list[int] = []

    def fetch(index: int) -> Sample:
        fetched.append(index)
        return data.fetch(index)

    assert data.labels is not None
    wrong: Dataset = replace(data, fetch=fetch, labels=(data.labels + 1) % 10)
    assert not judge(wrong, graph, "top1").holds(graph, 0.9)
    assert len(fetched) < len(data) * 0.2
