"""What the importer makes of a graph, against ONNX Runtime on the compiled package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import edgetvm
from edgetvm.importers.onnx import import_onnx
from tests.importers.models import convolution, save

RNG = np.random.default_rng(0)


def kernels(package: edgetvm.Package) -> int:
    return len(package.manifest["calls"])


def compile_and_verify(path: Path) -> edgetvm.Package:
    package = edgetvm.compile(path, "host", path.parent / f"{path.stem}-package")
    report = package.verify(samples=3)
    assert report.max_rel_error <= 1e-5
    return package


def test_batch_normalization_is_folded(tmp_path: Path) -> None:
    package = compile_and_verify(convolution(tmp_path / "m.onnx"))
    sources = [node for call in package.manifest["calls"] for node in call["nodes"]]
    assert {"conv", "relu"} <= set(sources)
    assert kernels(package) <= 3  # the convolution, and the border's transposes
    assert "multiply" not in import_onnx(tmp_path / "m.onnx").module.script()


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 21])
def test_opsets(opset: int, tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("MatMul", ["r", "w"], ["y"])]
    weights = RNG.standard_normal((4, 5)).astype(np.float32)
    compile_and_verify(save(tmp_path / "m.onnx", nodes, {"x": [2, 4]}, ["y"], {"w": weights}, opset))


def test_weights_stored_as_float16_and_int8(tmp_path: Path) -> None:
    constants = {
        "half": RNG.standard_normal((4, 5)).astype(np.float16),
        "byte": RNG.integers(-127, 128, (5, 3)).astype(np.int8),
        "scale": np.float32(0.02),
    }
    nodes = [
        helper.make_node("Cast", ["half"], ["w1"], to=onnx.TensorProto.FLOAT),
        helper.make_node("DequantizeLinear", ["byte", "scale"], ["w2"]),
        helper.make_node("MatMul", ["x", "w1"], ["h"]),
        helper.make_node("MatMul", ["h", "w2"], ["y"]),
    ]
    package = compile_and_verify(save(tmp_path / "m.onnx", nodes, {"x": [2, 4]}, ["y"], constants))
    assert kernels(package) == 2


def test_shape_chain_is_resolved(tmp_path: Path) -> None:
    constants = {"zero": np.array(0), "minus": np.array([-1]), "axes": np.array([0])}
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "axes"], ["n1"]),
        helper.make_node("Concat", ["n1", "minus"], ["to"], axis=0),
        helper.make_node("Reshape", ["x", "to"], ["y"]),
    ]
    package = compile_and_verify(save(tmp_path / "m.onnx", nodes, {"x": [2, 3, 4]}, ["y"], constants))
    assert package.manifest["outputs"][0]["shape"] == [2, 12]


def test_resize_with_empty_scales(tmp_path: Path) -> None:
    constants = {"sizes": np.array([1, 2, 6, 8]), "empty": np.array([], np.float32)}
    node = helper.make_node("Resize", ["x", "", "empty", "sizes"], ["y"], mode="linear")
    graph = save(tmp_path / "m.onnx", [node], {"x": [1, 2, 3, 4]}, ["y"], constants, 11)
    model = onnx.load(graph)
    model.graph.node[0].input[1] = "empty"  # roi has no default in opset 11
    onnx.save(model, graph)
    compile_and_verify(graph)


def test_gelu_written_out_becomes_one_kernel(tmp_path: Path) -> None:
    constants = {"root": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)}
    nodes = [
        helper.make_node("Div", ["x", "root"], ["d"]),
        helper.make_node("Erf", ["d"], ["e"]),
        helper.make_node("Add", ["e", "one"], ["a"]),
        helper.make_node("Mul", ["x", "a"], ["m"]),
        helper.make_node("Mul", ["m", "half"], ["y"]),
    ]
    assert kernels(compile_and_verify(save(tmp_path / "m.onnx", nodes, {"x": [3, 8]}, ["y"], constants))) == 1


def test_clip_keeps_convolutions_together(tmp_path: Path) -> None:
    constants = {
        "w": RNG.standard_normal((4, 4, 1, 1)).astype(np.float32),
        "low": np.float32(0),
        "high": np.float32(6),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Clip", ["a", "low", "high"], ["b"]),
        helper.make_node("HardSwish", ["b"], ["c"]),
        helper.make_node("Conv", ["c", "w"], ["d"]),
        helper.make_node("Clip", ["d", "low", "high"], ["y"]),
    ]
    package = compile_and_verify(save(tmp_path / "m.onnx", nodes, {"x": [1, 4, 5, 5]}, ["y"], constants))
    assert kernels(package) <= 4  # two convolutions, and a transpose at each border


def test_names_and_layout_of_the_border_are_the_models_own(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["a/b:0"], ['out "1"'])]
    package = compile_and_verify(save(tmp_path / "odd name.onnx", nodes, {"a/b:0": [1, 2, 3, 4]}, ['out "1"']))
    assert [entry["name"] for entry in package.manifest["inputs"]] == ["a/b:0"]
    assert [entry["name"] for entry in package.manifest["outputs"]] == ['out "1"']


@pytest.mark.parametrize(("model", "macs"), [("ic01", 12.50), ("kws01", 2.66), ("vww01", 7.49), ("ad01", 0.26)])
def test_multiply_accumulates(model: str, macs: float, assets: Path) -> None:
    summary = edgetvm.inspect(assets / model / "model.onnx")
    assert round(summary.macs / 1e6, 2) == macs
    assert summary.macs == sum(node.macs for node in summary.nodes)
