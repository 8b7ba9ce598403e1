"""`--precision fp16`: close to the float model, smaller and with fewer instructions, refused where it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import edgetvm
from edgetvm.errors import EdgeTVMError
from tests.tools import require_tool

Compiled = Callable[..., edgetvm.Package]
# Of the flash and of the instructions in single precision, what half may take at most.
MOST = {"kws01": (0.75, 0.85), "vww01": (0.75, 0.9), "ad01": (0.75, 0.85)}


@pytest.mark.parametrize("model", MOST)
def test_it_is_close_and_cheaper(model: str, assets: Path, compiled: Compiled) -> None:
    require_tool("qemu-aarch64")
    source = assets / model / "model.onnx"
    half, single = (compiled(source, "cortex-a76", precision=precision) for precision in ("fp16", "fp32"))
    assert half.manifest["options"]["precision"] == "fp16"
    assert [entry["dtype"] for key in ("inputs", "outputs") for entry in half.manifest[key]] == ["float32"] * 2
    data = assets / model / "evaluation.npz"
    report = half.verify(data=data if data.is_file() else None, samples=5)
    assert report.passed
    assert report.tolerance == 1e-2
    assert 1e-6 < report.max_rel_error <= 1e-2
    flash, instructions = MOST[model]
    assert half.manifest["flash_bytes"] <= flash * single.manifest["flash_bytes"]
    ours, theirs = half.bench().instructions, single.bench().instructions
    assert ours is not None
    assert theirs is not None
    assert ours <= instructions * theirs


def test_every_core_with_half_runs_it(assets: Path, compiled: Compiled) -> None:
    require_tool("qemu-aarch64")
    package = compiled(assets / "ad01" / "model.onnx", "cortex-a710", precision="fp16")
    assert package.verify(samples=3).passed


REFUSED = [
    ({"target": "cortex-a53"}, "--precision fp16: cortex-a53 has no arithmetic of half precision"),
    ({"target": "aarch64-generic"}, "--precision fp16: aarch64-generic has no arithmetic of half precision"),
    ({"target": "x86-64-v4"}, "--precision fp16: x86-64-v4 has no arithmetic of half precision"),
    ({"target": "nucleo-f746zg"}, "--precision fp16: nucleo-f746zg has no arithmetic of half precision"),
    ({"format": "c"}, "--precision fp16: C99 has no type of half precision"),
    ({"quantize": "int8-dynamic"}, "--precision fp16 is for float models, --quantize int8-dynamic gives another"),
    ({"precision": "fp8"}, "--precision fp8: choose from fp32, fp16"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_what_cannot_be_half_is_refused_in_one_line(
    options: dict[str, str], message: str, digits: Path, tmp_path: Path
) -> None:
    chosen = {"target": "cortex-a76", "precision": "fp16", **options}
    with pytest.raises(EdgeTVMError) as caught:
        edgetvm.compile(digits, output=tmp_path / "out", **chosen)  # type: ignore[arg-type]
    assert caught.value.message == message
    assert not (tmp_path / "out").exists()


def test_a_quantized_model_is_refused(int8_digits: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgeTVMError, match="is a quantized model: half precision is for float ones"):
        edgetvm.compile(int8_digits, "cortex-a76", tmp_path / "out", precision="fp16")
