"""The published int8 models, all the way: every kernel equals the integer interpreter on every kind of target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import edgetvm
from tests.tools import require_tool

TINY = ("ad01", "ic01", "kws01", "vww01")
TARGETS = {
    "cortex-a53": "qemu-aarch64",
    "cortex-a76": "qemu-aarch64",
    "cortex-a8": "qemu-arm",
    "qemu-mps2-an386": "qemu-system-arm",
    "qemu-mps3-an547": "qemu-system-arm",
}

Compiled = Callable[..., edgetvm.Package]


@pytest.mark.parametrize("model", TINY)
def test_host(model: str, assets: Path, compiled: Compiled) -> None:
    package = compiled(assets / model / "reference_int8.tflite", "host", require_integer=True)
    assert package.manifest["integer"] == {"float_operators": []}
    report = package.verify(samples=10)
    assert report.integer_mismatches == 0
    assert all(kernel.wrong == 0 for kernel in report.kernels)


@pytest.mark.parametrize(
    ("target", "model"),
    [*((target, "kws01") for target in TARGETS), ("cortex-a53", "vww01"), ("cortex-a76", "ic01")],
)
def test_emulated(target: str, model: str, assets: Path, compiled: Compiled) -> None:
    require_tool(TARGETS[target])
    report = compiled(assets / model / "reference_int8.tflite", target).verify(samples=2)
    assert report.runner == TARGETS[target]
    assert report.integer_mismatches == 0
    assert all(kernel.wrong == 0 for kernel in report.kernels)


def test_a_border_of_integers_may_be_asked_for_again(assets: Path, compiled: Compiled) -> None:
    """The file takes and gives codes itself; the reference is given codes too."""
    report = compiled(assets / "ad01" / "reference_int8.tflite", "host", integer_io=True).verify(samples=2)
    assert report.passed and report.integer_mismatches == 0


@pytest.mark.parametrize("target", ["host", "cortex-a53", "cortex-a76"])
@pytest.mark.parametrize("model", TINY)
def test_memory_of_applications(model: str, target: str, assets: Path, compiled: Compiled) -> None:
    """Kernels that copy rows for their borders or their instructions stay within the same bound."""
    floats = compiled(assets / model / "model.onnx", target).manifest
    integers = compiled(assets / model / "reference_int8.tflite", target).manifest
    assert integers["arena"]["bytes"] <= 0.3 * floats["arena"]["bytes"]


@pytest.mark.parametrize("model", ["ic01", "kws01", "vww01"])
def test_a_third_of_the_memory_where_it_is_scarce(model: str, assets: Path, compiled: Compiled) -> None:
    floats = compiled(assets / model / "model.onnx", "qemu-mps2-an500").manifest
    integers = compiled(assets / model / "reference_int8.tflite", "qemu-mps2-an386").manifest
    assert integers["arena"]["bytes"] <= 0.3 * floats["arena"]["bytes"]
    assert integers["weight_bytes"] <= 0.3 * floats["flash_bytes"]
