"""Run an imported model on Relax's virtual machine, and the same model by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from edgetvm.importers.onnx import import_onnx, read_graph
from tools.onnx_backend_tests import relax_vm

Arrays = Mapping[str, np.ndarray]


def imported(path: Path, inputs: Arrays) -> list[np.ndarray]:
    return relax_vm(path, {}, [inputs])[0]


def expected(path: Path, inputs: Arrays) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, dict(inputs)))


def agree(path: Path, seed: int = 0, tolerance: float = 1e-5) -> None:
    """Compare both on random data for every input."""
    rng = np.random.default_rng(seed)
    inputs = {i.name: rng.standard_normal(i.shape).astype(i.dtype) for i in import_onnx(path).inputs}
    for have, want in zip(imported(path, inputs), expected(path, inputs), strict=True):
        assert have.dtype == want.dtype
        np.testing.assert_allclose(have, want, rtol=tolerance, atol=tolerance * max(1.0, float(np.abs(want).max())))


def operators(path: Path) -> list[str]:
    """Operators of the cleaned graph, in order."""
    graph, refusals = read_graph(path, {})
    assert not refusals
    return [node.op for node in graph.nodes]
