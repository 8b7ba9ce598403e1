"""What is no usable model ends in one line that names the file and the thing, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import edgetvm
from edgetvm.errors import EdgeTVMError, ModelError, UnsupportedError
from edgetvm.importers.onnx import import_onnx
from tests.importers.models import convolution, save


def refused(path: Path, error: type[EdgeTVMError], *words: str, **options: object) -> EdgeTVMError:
    """Compile, expect `error`, check its one line and that no package appeared."""
    output = path.parent / "package"
    with pytest.raises(error) as caught:
        edgetvm.compile(path, "host", output, **options)  # type: ignore[arg-type]
    assert "\n" not in caught.value.message
    for word in words:
        assert word in caught.value.message
    assert sorted(path.parent.glob("*package*")) == []
    return caught.value


def test_not_an_onnx_file(tmp_path: Path) -> None:
    path = tmp_path / "picture.onnx"
    path.write_bytes(b"\x89PNG and so on")
    refused(path, ModelError, "picture.onnx", "not an ONNX model")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_truncated(share: float, tmp_path: Path) -> None:
    path = convolution(tmp_path / "cut.onnx")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(path, ModelError, "cut.onnx")


def test_missing_file(tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx", ModelError, "none.onnx")


def test_external_data_missing(tmp_path: Path) -> None:
    path = convolution(tmp_path / "split.onnx")
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=16)
    (tmp_path / "weights.bin").unlink()
    refused(path, ModelError, "split.onnx", "weights.bin")


def test_nan_weights(tmp_path: Path) -> None:
    weights = np.ones((4, 3, 3, 3), np.float32)
    weights[1, 2, 0, 0] = np.nan
    refused(convolution(tmp_path / "nan.onnx", weights), ModelError, "nan.onnx", "'w'", "1 NaN of 108")


def test_dynamic_shape_not_frozen(tmp_path: Path) -> None:
    path = save(tmp_path / "dynamic.onnx", [helper.make_node("Relu", ["x"], ["y"])], {"x": ["batch", 4]}, ["y"])
    error = refused(path, EdgeTVMError, "dynamic.onnx", "x")
    assert "--shape" in (error.hint or "") + error.message
    assert import_onnx(path, {"x": [2, 4]}).inputs[0].shape == (2, 4)


@pytest.mark.parametrize("shape", [[1, 3, 9, 8], [3, 8, 8], [1, 3, 0, 8], [1, 3, -1, 8]])
def test_wrong_shape_given(shape: list[int], tmp_path: Path) -> None:
    refused(convolution(tmp_path / "m.onnx"), EdgeTVMError, "m.onnx", "x", shapes={"x": shape})


def test_shape_of_no_input(tmp_path: Path) -> None:
    refused(convolution(tmp_path / "m.onnx"), EdgeTVMError, "'z'", shapes={"z": [1]})


def test_unsupported_operators_are_named_all_at_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Bernoulli", ["x"], ["a"], name="toss"),
        helper.make_node("RandomNormalLike", ["x"], ["b"], name="draw"),
        helper.make_node("Add", ["a", "b"], ["y"], name="sum"),
    ]
    error = refused(save(tmp_path / "r.onnx", nodes, {"x": [2, 3]}, ["y"]), UnsupportedError, "2 nodes", "toss")
    assert "draw" in (error.hint or "")
    summary = edgetvm.inspect(tmp_path / "r.onnx")
    assert {(r.node, r.operator) for r in summary.refusals} == {("toss", "Bernoulli"), ("draw", "RandomNormalLike")}


def test_wrong_data_given_to_run(tmp_path: Path) -> None:
    package = edgetvm.compile(convolution(tmp_path / "m.onnx"), "host", tmp_path / "package")
    for inputs, word in (
        ({}, "missing"),
        ({"x": np.zeros((1, 3, 8, 9), np.float32)}, "shape"),
        ({"x": np.zeros((1, 3, 8, 8), np.float64)}, "dtype"),
        ({"x": np.zeros((1, 3, 8, 8), np.float32), "z": np.zeros(1)}, "'z'"),
    ):
        with pytest.raises(EdgeTVMError, match=word):
            package.run(inputs)
