"""Kernels of integer packages are held against the interpreter one by one, and what is wrong is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import edgetvm
from edgetvm.cli.main import main
from edgetvm.errors import PackageError, UnsupportedError

Compiled = Callable[..., edgetvm.Package]
TARGETS = ["host", "cortex-a53", "qemu-mps2-an386"]


@pytest.mark.parametrize("target", TARGETS)
def test_no_kernel_differs(compiled: Compiled, int8_digits: Path, target: str) -> None:
    report = compiled(int8_digits, target).verify(samples=3)
    assert report.passed
    assert report.integer_mismatches == 0
    assert all(kernel.wrong == 0 for kernel in report.kernels)
    assert report.max_rel_error < 0.02  # of ONNX Runtime's simulation in float


def tampered(package: edgetvm.Package, folder: Path, kernel: int) -> tuple[edgetvm.Package, str]:
    """A copy of a package whose reference has other weights in the layer that kernel number `kernel` computes."""
    shutil.copytree(package.path, folder)
    path = folder / "reference" / "model.onnx"
    model = onnx.load(path)
    nodes = {node.name: node for node in model.graph.node}
    name = next(node for node in package.manifest["calls"][kernel]["nodes"] if nodes[node].op_type == "Conv")
    reader = {output: node for node in model.graph.node for output in node.output}
    weights = reader[nodes[name].input[1]].input[0]
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == weights)
    tensor.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(tensor), weights))
    onnx.save(model, path)
    return edgetvm.load(folder), name


@pytest.mark.parametrize("kernel", [1, 3])
def test_the_wrong_kernel_is_the_only_one_blamed(
    compiled: Compiled, int8_digits: Path, tmp_path: Path, kernel: int, capsys: pytest.CaptureFixture[str]
) -> None:
    package, node = tampered(compiled(int8_digits, "host"), tmp_path / "p", kernel)
    report = package.verify(samples=2)
    assert not report.passed
    (wrong,) = [entry for entry in report.kernels if entry.wrong]
    assert wrong.kernel == package.manifest["calls"][kernel]["kernel"]
    assert report.integer_mismatches == wrong.wrong
    assert main(["verify", str(package.path), "--samples", "2"]) == 1
    printed = capsys.readouterr().out
    assert wrong.kernel in printed
    assert node in printed


def test_every_kernel_is_listed(compiled: Compiled, int8_digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = compiled(int8_digits, "host")
    assert main(["verify", str(package.path), "--samples", "1", "--per-layer"]) == 0
    listed = capsys.readouterr().out
    for call in package.manifest["calls"]:
        assert call["kernel"] in listed
    assert main(["verify", str(package.path), "--samples", "1", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["integer_mismatches"], printed["tolerance"]) == (0, None)


def test_without_a_reference_kernels_cannot_be_verified(int8_digits: Path, tmp_path: Path) -> None:
    package = edgetvm.compile(int8_digits, "host", tmp_path / "p", reference=False)
    with pytest.raises(PackageError, match="has no reference model"):
        package.verify(model=int8_digits, samples=1)


def test_integer_borders(compiled: Compiled, int8_digits: Path, demo_data: Path, tmp_path: Path) -> None:
    """The same classes with integers at the border as with floats; codes are accepted as data."""
    plain, integer = compiled(int8_digits, "host"), compiled(int8_digits, "host", integer_io=True)
    assert [entry["dtype"] for entry in integer.manifest["inputs"] + integer.manifest["outputs"]] == ["int8", "int8"]
    assert integer.evaluate(demo_data).value == plain.evaluate(demo_data).value
    assert integer.verify(samples=2).passed
    (entry,) = integer.manifest["inputs"]
    codes = np.random.default_rng(0).integers(-128, 128, (3, *entry["shape"])).astype(np.int8)
    np.savez(tmp_path / "codes.npz", x=codes)
    assert integer.verify(data=tmp_path / "codes.npz").integer_mismatches == 0
    numbers = (codes[0].astype(np.float32) - entry["zero_point"]) * np.float32(entry["scale"])
    (found,), (wanted,) = integer.run({entry["name"]: codes[0]}).values(), plain.run({entry["name"]: numbers}).values()
    (out,) = integer.manifest["outputs"]
    scale = np.float32(out["scale"])
    np.testing.assert_array_equal((found.astype(np.float32) - out["zero_point"]) * scale, wanted)
    header = (integer.path / "include" / "int8_digits.h").read_text()
    assert f"INT8_DIGITS_INPUT_0_SCALE {entry['scale']!r}" in header
    assert f"INT8_DIGITS_INPUT_0_ZERO_POINT {entry['zero_point']}" in header


def test_a_float_model_is_not_integer(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="is a float model"):
        edgetvm.compile(digits, "host", tmp_path / "p", require_integer=True)
    with pytest.raises(UnsupportedError, match="is a float model"):
        edgetvm.compile(digits, "host", tmp_path / "p", integer_io=True)
    assert not (tmp_path / "p").exists()


def test_quantizing_in_one_step(digits: Path, demo_calibration: Path, demo_data: Path, tmp_path: Path) -> None:
    package = edgetvm.compile(
        digits, "host", tmp_path / "p", quantize="int8", calibration=demo_calibration, require_integer=True
    )
    assert package.manifest["integer"] == {"float_operators": []}
    assert (package.path / "reference" / "quantized.onnx").is_file()
    report = package.verify(data=demo_data, samples=5)
    assert report.passed
    assert report.max_abs_error > 0  # the reference is the float model
    assert package.evaluate(demo_data).value >= 0.97
    options = package.manifest["options"]
    assert (options["quantize"], options["calibration"]["name"]) == ("int8", "calibration.npz")
