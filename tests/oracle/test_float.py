"""The float reference: the right numbers, and clear errors where it cannot give any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgetvm.errors import DataError, ModelError
from edgetvm.oracle.float import reference_outputs


def affine(path: Path) -> Path:
    nodes = [helper.make_node("Mul", ["a", "b"], ["p"]), helper.make_node("Sub", ["p", "b"], ["q"])]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 2]) for n in "abpq"]
    graph = helper.make_graph(nodes, "affine", values[:2], values[2:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def test_outputs_by_name_for_every_sample(tmp_path: Path) -> None:
    model = affine(tmp_path / "m.onnx")
    generator = np.random.default_rng(0)
    samples = [{n: generator.normal(size=(3, 2)).astype(np.float32) for n in "ab"} for _ in range(4)]
    outputs = reference_outputs(model, iter(samples))
    assert [list(o) for o in outputs] == [["p", "q"]] * 4
    for sample, output in zip(samples, outputs, strict=True):
        np.testing.assert_array_equal(output["p"], sample["a"] * sample["b"])
        np.testing.assert_array_equal(output["q"], sample["a"] * sample["b"] - sample["b"])


def test_errors(tmp_path: Path) -> None:
    model = affine(tmp_path / "m.onnx")
    good = np.zeros((3, 2), np.float32)
    with pytest.raises(DataError, match=r"m\.onnx on sample 1"):
        reference_outputs(model, [{"a": good, "b": good}, {"a": good.astype(np.float64), "b": good}])
    with pytest.raises(DataError, match="sample 0"):
        reference_outputs(model, [{"a": good}])
    with pytest.raises(ModelError, match="does not exist"):
        reference_outputs(tmp_path / "absent.onnx", [])
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match=r"cannot load .*text\.onnx"):
        reference_outputs(tmp_path / "text.onnx", [])
