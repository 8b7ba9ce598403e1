"""Float and integers tensor by tensor: ONNX Runtime's codes against the integer interpreter, and the figures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgetvm.importers.onnx import import_onnx, interface, read_graph
from edgetvm.oracle.data import load_data
from edgetvm.oracle.dataset import Dataset
from edgetvm.oracle.integer import interpret
from edgetvm.passes.integer.lower import lower_to_integers
from edgetvm.passes.quantize.options import QuantizeOptions
from edgetvm.passes.quantize.post_training import quantize_graph, write_graph
from edgetvm.passes.quantize.quantization import Quantization
from edgetvm.passes.quantize.search_damage import some
from edgetvm.passes.quantize.session import Session
from edgetvm.report.tensors import compare_tensors, quantized_values


@pytest.fixture(scope="module")
def data(digits: Path, demo_calibration: Path) -> Dataset:
    return some(load_data(demo_calibration, interface(read_graph(digits, {})[0])[0]), 12)


@pytest.fixture(scope="module")
def made(digits: Path, data: Dataset) -> Quantization:
    return quantize_graph(digits, data, QuantizeOptions(adaround=False))


def interpreted(made: Quantization, data: Dataset, path: Path) -> list[dict[str, np.ndarray]]:
    """The codes of every activation by the name of its pair, from the integer operators."""
    write_graph(made.result, path)
    lowered = lower_to_integers(import_onnx(path))
    assert lowered.floats == ()
    found = []
    for sample in data:
        results = interpret(lowered.model.module, [sample[name] for name in made.graph.inputs])
        found.append({name: value for name, value in results.items() if isinstance(value, np.ndarray)})
    return found


def test_codes_are_those_of_the_integer_interpreter(made: Quantization, data: Dataset, tmp_path: Path) -> None:
    """Within 1 code, and nearly all equal; so what is compared are the integers that a package computes."""
    codes = quantized_values(made.result)
    session = Session(made.result, made.result.nodes, made.result.inputs, list(codes.values()))
    compared = 0
    for sample, results in zip(data, interpreted(made, data, tmp_path / "q.onnx"), strict=True):
        for value, held in session.run(sample).items():
            name = next(name for name, code in codes.items() if code == value)
            # The last binding of a pair has its codes; operators in front of it share its name.
            own = [r for n, r in results.items() if n.rstrip("0123456789") == f"{name}_QuantizeLinear"]
            own = [r for r in own if r.dtype == held.dtype and r.size == held.size]
            if not own:
                continue  # a move: it has the codes of what it moves
            difference = np.abs(own[-1].reshape(held.shape).astype(int) - held.astype(int))
            assert difference.max() <= 1, name
            # Steps of int16 are near those of the float simulation itself.
            assert (difference > 0).mean() < (0.02 if held.dtype == np.int8 else 0.5), name
            compared += 1
    assert compared >= 7 * len(data)


def test_figures_of_tensors(made: Quantization, data: Dataset) -> None:
    """Against their definitions, on one tensor, from whole runs."""
    tensors = {tensor.name: tensor for tensor in compare_tensors(made, data)}
    assert set(tensors) == {node.inputs[0] for node in made.result.nodes if node.op == "QuantizeLinear"}
    tensor = tensors["relu_2"]
    value = next(n.outputs[0] for n in made.result.nodes if n.op == "DequantizeLinear" and "relu_2_q" in n.inputs[0])
    real = Session(made.graph, made.graph.nodes, made.graph.inputs, ["relu_2"])
    integer = Session(made.result, made.result.nodes, made.result.inputs, [value])
    a = np.concatenate([real.run(s)["relu_2"].ravel() for s in data]).astype(np.float64)
    b = np.concatenate([integer.run(s)[value].ravel() for s in data]).astype(np.float64)
    assert tensor.node == "node_relu_2"
    assert tensor.sqnr_db == pytest.approx(10 * math.log10((a**2).sum() / ((a - b) ** 2).sum()), abs=1e-3)
    assert tensor.cosine == pytest.approx(a @ b / math.sqrt((a @ a) * (b @ b)), abs=1e-7)
    assert tensor.max_abs_error == pytest.approx(np.abs(a - b).max(), rel=1e-4)
