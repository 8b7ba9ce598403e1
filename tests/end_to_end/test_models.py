"""The real models, all the way: ONNX in, package out, run on its target, compared with ONNX Runtime."""

from __future__ import annotations

import filecmp
from collections.abc import Callable
from pathlib import Path

import pytest

import edgetvm
from edgetvm.deploy.measurement import RunRequest
from edgetvm.deploy.runners import run
from edgetvm.oracle.random_data import random_data
from tests.tools import require_tool

ALL = (
    "ad01",
    "ic01",
    "kws01",
    "vww01",
    "resnet20_cifar10",
    "mobilenet_v1_025",
    "mobilenet_v2",
    "squeezenet1_1",
    "minilm_l6",
)
TINY = ALL[:4]
EMULATED = [
    *(("cortex-a53", model, "qemu-aarch64") for model in (*TINY, "mobilenet_v1_025", "squeezenet1_1")),
    *(("cortex-a8", model, "qemu-arm") for model in TINY),
    *(("qemu-mps2-an500", model, "qemu-system-arm") for model in TINY),
    ("qemu-mps2-an386", "kws01", "qemu-system-arm"),
    ("qemu-mps3-an547", "kws01", "qemu-system-arm"),
]

Compiled = Callable[..., edgetvm.Package]


@pytest.mark.parametrize("model", ALL)
def test_host_agrees_with_onnx_runtime(model: str, assets: Path, compiled: Compiled) -> None:
    package = compiled(assets / model / "model.onnx", "host")
    report = package.verify(samples=3)
    assert report.runner == "host"
    assert report.max_rel_error <= 1e-4


@pytest.mark.parametrize("model", ALL)
def test_arena_is_close_to_the_largest_live_set(model: str, assets: Path, compiled: Compiled) -> None:
    arena = compiled(assets / model / "model.onnx", "host").manifest["arena"]
    assert arena["live_bytes"] <= arena["bytes"] <= 1.15 * arena["live_bytes"]


@pytest.mark.parametrize(("target", "model", "emulator"), EMULATED)
def test_emulated_targets_agree_too(target: str, model: str, emulator: str, assets: Path, compiled: Compiled) -> None:
    require_tool(emulator)
    report = compiled(assets / model / "model.onnx", target).verify(samples=1)
    assert report.runner == emulator
    assert report.max_rel_error <= 1e-4


@pytest.mark.parametrize("form", ["library", "object", "c"])
@pytest.mark.parametrize("target", ["host", "cortex-a53", "qemu-mps2-an500"])
def test_every_format_runs_and_stays_in_its_arena(target: str, form: str, digits: Path, compiled: Compiled) -> None:
    if target != "host":
        require_tool({"cortex-a53": "qemu-aarch64"}.get(target, "qemu-system-arm"))
    package = compiled(digits, target, format=form)
    inputs = package.manifest["inputs"]
    sample = next(iter(random_data([_Tensor(entry) for entry in inputs], 1, 0)))
    request = RunRequest(tuple(sample[entry["name"]][None] for entry in inputs), guard=True)
    result = run(package.path, request)
    assert result.guard_ok is True
    assert result.arena_touched == package.manifest["arena"]["bytes"]
    assert package.verify(samples=2).passed


@pytest.mark.parametrize("target", ["host", "cortex-a53", "qemu-mps2-an386"])
@pytest.mark.parametrize("form", ["library", "object", "c"])
def test_the_same_command_gives_the_same_bytes(target: str, form: str, digits: Path, tmp_path: Path) -> None:
    first, second = (edgetvm.compile(digits, target, tmp_path / name, format=form).path for name in ("a", "b"))
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert filecmp.cmpfiles(first, second, files, shallow=False) == (files, [], [])


def test_users_buffers_need_no_more_than_the_alignment_of_an_element(digits: Path, compiled: Compiled) -> None:
    package = compiled(digits, "host")
    entry = package.manifest["inputs"][0]
    sample = next(iter(random_data([_Tensor(entry)], 1, 0)))
    inputs = (sample[entry["name"]][None],)
    in_arena = run(package.path, RunRequest(inputs))
    from_caller = run(package.path, RunRequest(inputs, caller_buffers=True))
    assert (in_arena.outputs[0] == from_caller.outputs[0]).all()


def test_two_threads_give_the_same_bits_as_one(assets: Path, compiled: Compiled) -> None:
    package = compiled(assets / "mobilenet_v1_025" / "model.onnx", "host")
    entry = package.manifest["inputs"][0]
    sample = next(iter(random_data([_Tensor(entry)], 1, 0)))
    inputs = (sample[entry["name"]][None],)
    one, two = (run(package.path, RunRequest(inputs, threads=threads)) for threads in (1, 2))
    assert (one.outputs[0] == two.outputs[0]).all()


class _Tensor:
    """An entry of the manifest as random_data wants it."""

    def __init__(self, entry: dict[str, object]) -> None:
        self.name, self.shape, self.dtype = str(entry["name"]), tuple(entry["shape"]), str(entry["dtype"])  # type: ignore[arg-type]
