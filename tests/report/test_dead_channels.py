"""Packages without dead channels are held against the interpreter on the graph that has them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import edgetvm
from edgetvm.cli.main import main
from tests.passes.integer.qdq import Pair, Weights, write_model

Compiled = Callable[..., edgetvm.Package]
CHANNELS, DEAD = 40, 20


@pytest.fixture(scope="module")
def model(session_dir: Path) -> Path:
    """A convolution of which some channels are their bias alone, different ones, and a pointwise one that reads all."""
    rng = np.random.default_rng(0)
    first = rng.integers(-128, 128, (CHANNELS, 3, 3, 3)).astype(np.int8)
    first[:DEAD] = 0
    codes = {
        "first_w": Weights(first, Pair(0.01)),
        "first_b": Weights(rng.integers(-3000, 9000, CHANNELS).astype(np.int32), Pair(0.0001, 0, "int32")),
        "last_w": Weights(rng.integers(-128, 128, (5, CHANNELS, 1, 1)).astype(np.int8), Pair(0.01)),
    }
    between = {"scale": np.float32(0.05), "zero": np.int8(-128)}
    nodes = [
        helper.make_node("Conv", ["x", "first_w", "first_b"], ["sum"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["sum"], ["positive"]),
        helper.make_node("QuantizeLinear", ["positive", *between], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", *between], ["numbers"]),
        helper.make_node("Conv", ["numbers", "last_w"], ["y"], name="last"),
    ]
    inputs = {"x": ((1, 3, 6, 7), Pair(0.01, 5))}
    return write_model(session_dir / "dead.onnx", inputs, nodes, {"y": Pair(1.0)}, codes | between)


@pytest.mark.parametrize("target", ["host", "qemu-mps2-an386"])
def test_every_kernel_is_verified(compiled: Compiled, model: Path, target: str) -> None:
    package = compiled(model, target)
    assert package.manifest["dead_channels"]["removed"] > 0
    report = package.verify(samples=3)
    assert report.integer_mismatches == 0
    assert all(kernel.wrong == 0 for kernel in report.kernels)


def test_they_can_be_kept(compiled: Compiled, model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kept = compiled(model, "host", keep_dead_channels=True)
    assert kept.manifest["dead_channels"] is None
    assert kept.verify(samples=2).integer_mismatches == 0
    x = np.random.default_rng(1).normal(0, 1, (1, 3, 6, 7)).astype(np.float32)
    (wanted,), (found,) = (package.run({"x_in": x}).values() for package in (kept, compiled(model, "host")))
    np.testing.assert_array_equal(found, wanted)
    assert main(["compile", str(model), "--target", "cortex-m4", "-o", str(tmp_path / "p")]) == 0
    assert "removed, and with them" in capsys.readouterr().out
    arguments = ["compile", str(model), "--target", "cortex-m4", "-o", str(tmp_path / "q"), "--keep-dead-channels"]
    assert main(arguments) == 0
    assert "dead channels" not in capsys.readouterr().out


def test_a_wrong_constant_is_blamed(compiled: Compiled, model: Path, tmp_path: Path) -> None:
    """The reference has other weights in the channels that the package does not compute."""
    shutil.copytree(compiled(model, "host").path, tmp_path / "p")
    path = tmp_path / "p" / "reference" / "model.onnx"
    reference = onnx.load(path)
    tensor = next(tensor for tensor in reference.graph.initializer if tensor.name == "last_w_q")
    codes = numpy_helper.to_array(tensor).copy()
    codes[:, :DEAD] = 1
    tensor.CopyFrom(numpy_helper.from_array(codes, tensor.name))
    onnx.save(reference, path)
    report = edgetvm.load(tmp_path / "p").verify(samples=1)
    (wrong,) = [kernel for kernel in report.kernels if kernel.wrong]
    assert "last" in wrong.nodes
