"""One package for several kinds of cores: each runs its own kernels, all give the same bits, weights are shared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import edgetvm
from edgetvm.errors import TargetError
from tests.tools import require_tool

Compiled = Callable[..., edgetvm.Package]

GENERIC = "aarch64-generic"
# A core, the rule of its convolutions and products, and how many more instructions than its own package it may take.
CORES = {
    "cortex-a53": ("neon_panels", 1.20),
    "cortex-a76": ("dot_panels", 1.05),
    "cortex-a710": ("smmla_tile", 1.25),
}
MODELS = ("ic01", "kws01")


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("model", MODELS)
def test_every_core_runs_its_own_kernels(core: str, model: str, assets: Path, compiled: Compiled) -> None:
    require_tool("qemu-aarch64")
    source = assets / model / "reference_int8.tflite"
    # Records are for packages of one core: kernels are compared as rules decide them.
    package, single = compiled(source, GENERIC), compiled(source, core, use_records=False)
    report = package.verify(samples=2, board=core)
    assert (report.integer_mismatches, report.target) == (0, core)
    assert all(kernel.wrong == 0 for kernel in report.kernels)
    rule, most = CORES[core]
    rules = {call.rule for call in package.profile(board=core).calls}
    assert rule in rules
    assert not rules & {own for own, _ in CORES.values()} - {rule, "dot_panels"}
    ours, own = package.bench(board=core).instructions, single.bench().instructions
    assert ours is not None
    assert own is not None
    assert own * 0.8 <= ours <= own * most


@pytest.mark.parametrize("model", MODELS)
def test_it_is_little_larger_than_a_package_for_one_core(model: str, assets: Path, compiled: Compiled) -> None:
    source = assets / model / "reference_int8.tflite"
    package = compiled(source, GENERIC).manifest
    assert [variant["name"] for variant in package["variants"]] == ["dotprod", "i8mm"]
    for core in CORES:
        single = compiled(source, core).manifest
        assert single["variants"] == []
        assert package["flash_bytes"] <= 1.6 * single["flash_bytes"]
        assert package["weight_bytes"] <= 1.05 * single["weight_bytes"]
        assert package["arena"]["bytes"] <= 1.2 * single["arena"]["bytes"]
    base = {kernel["name"] for kernel in package["kernels"]}
    own = {kernel["name"] for variant in package["variants"] for kernel in variant["kernels"]}
    for variant in package["variants"]:
        assert set(variant["replaces"]) <= base
        assert set(variant["replaces"].values()) <= own


def test_the_best_emulated_core_stands_for_the_target(assets: Path, compiled: Compiled) -> None:
    require_tool("qemu-aarch64")
    package = compiled(assets / "kws01" / "reference_int8.tflite", GENERIC)
    assert package.verify(samples=1).integer_mismatches == 0
    assert package.bench().instructions == package.bench(board="cortex-a710").instructions


def test_one_object_holds_all_kernels(assets: Path, tmp_path: Path) -> None:
    require_tool("qemu-aarch64")
    source = assets / "ad01" / "reference_int8.tflite"
    package = edgetvm.compile(source, GENERIC, tmp_path / "object", format="object")
    for core in CORES:
        assert package.verify(samples=1, board=core).integer_mismatches == 0


def test_a_float_model_has_one_set_of_kernels(assets: Path, tmp_path: Path) -> None:
    require_tool("qemu-aarch64")
    package = edgetvm.compile(assets / "ad01" / "model.onnx", GENERIC, tmp_path / "float")
    assert all(not variant["kernels"] and not variant["replaces"] for variant in package.manifest["variants"])
    assert package.verify(samples=1, board="cortex-a53").passed


def test_c_text_cannot_choose(assets: Path, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="--format c: aarch64-generic chooses its kernels where it runs") as caught:
        edgetvm.compile(assets / "ad01" / "model.onnx", GENERIC, tmp_path / "text", format="c")
    assert "name one kind of core" in str(caught.value.hint)
    assert not (tmp_path / "text").exists()
