"""Per-kernel figures add up to those of the whole, and stay with their kernels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import edgetvm
from edgetvm.cli.main import main
from edgetvm.deploy.exchange import Report, by_call, call_times
from edgetvm.deploy.measurement import RunRequest
from edgetvm.deploy.read_package import read_package
from edgetvm.deploy.runners import run
from edgetvm.report.profile import ProfileReport
from tests.tools import require_tool

DIGITS = Path(__file__).resolve().parents[2] / "demo" / "digits.onnx"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> edgetvm.Package:
    return edgetvm.compile(DIGITS, "host", tmp_path_factory.mktemp("profile") / "host")


def test_every_call_has_its_time(package: edgetvm.Package) -> None:
    report = package.profile()
    assert [call.kernel for call in report.calls] == [call["kernel"] for call in package.manifest["calls"]]
    rules = {kernel["name"]: kernel["rule"] for kernel in package.manifest["kernels"]}
    assert [call.rule for call in report.calls] == [rules[call.kernel] for call in report.calls]
    for call in report.calls:
        assert call.latency_us_median is not None
        assert call.latency_us_min is not None
        assert 0 <= call.latency_us_min <= call.latency_us_median
        assert call.instructions is None
    assert report.runner == "host"


@pytest.mark.parametrize(
    ("target", "emulator"),
    [("cortex-a53", "qemu-aarch64"), ("cortex-a8", "qemu-arm"), ("qemu-mps2-an386", "qemu-system-arm")],
)
def test_instructions_add_up(target: str, emulator: str, tmp_path: Path) -> None:
    """The calls' sum is the whole, less what the entry function does between them."""
    require_tool(emulator)
    package = edgetvm.compile(DIGITS, target, tmp_path / "package")
    report, bench = package.profile(), package.bench()
    whole = bench.instructions
    assert whole is not None
    assert report.total is not None
    assert whole * 0.99 - 50 <= report.total <= whole + 10 * len(report.calls)
    assert report.calls == package.profile().calls  # to the last instruction
    if target == "qemu-mps2-an386":
        assert bench.modelled_cycles is not None
        assert bench.modelled_cycles > whole
        assert report.total_cycles == pytest.approx(bench.modelled_cycles, rel=0.01)
    else:
        assert (bench.modelled_cycles, report.total_cycles) == (None, None)
    if target == "cortex-a53":  # elsewhere the compiler spills and splits what the model counts once
        assert_foreseen(report)
    assert all(call.latency_us_median is None for call in report.calls)


def assert_foreseen(report: ProfileReport) -> None:
    """The cost model ranks the kernels that matter as the measurement does, and is right within a factor of 2."""
    pairs = [(call.cost or 0, call.predicted or 0) for call in report.calls]
    dear = [pair for pair in pairs if pair[0] > 0.03 * (report.total or 0)]
    assert all(0.5 * measured <= predicted <= 2 * measured for measured, predicted in dear)
    for measured, predicted in dear:
        clearly_less = [other for other in dear if 1.5 * other[0] < measured]
        assert all(other[1] < predicted for other in clearly_less)


@pytest.mark.parametrize(("model", "target"), [("kws01", "cortex-a53"), ("ic01", "cortex-a76")])
def test_the_cost_model_foresees_integer_kernels(model: str, target: str, assets: Path, tmp_path: Path) -> None:
    """The published int8 models: each takes several schedule rules."""
    require_tool("qemu-aarch64")
    path = assets / model / "reference_int8.tflite"
    assert_foreseen(edgetvm.compile(path, target, tmp_path / "package", reference=False).profile())


def test_times_are_foreseen_as_shares(package: edgetvm.Package) -> None:
    report = package.profile()
    assert sum(call.predicted or 0 for call in report.calls) == pytest.approx(report.total)


def test_profiling_changes_no_output(package: edgetvm.Package) -> None:
    images = np.random.default_rng(0).random((3, 1, 1, 8, 8), np.float32)
    plain = run(package.path, RunRequest((images,)))
    profiled = run(package.path, RunRequest((images,), profile=True, repeats=2))
    assert plain.outputs[0].tobytes() == profiled.outputs[0].tobytes()
    assert plain.call_ns is None
    assert [len(repeat) for repeat in profiled.call_ns or ()] == [len(package.manifest["calls"])] * 2


def test_taps_of_one_call_belong_together(package: edgetvm.Package) -> None:
    read = read_package(package.path)
    count = len(read.calls)
    assert by_call(read, list(range(count))) == tuple(range(count))
    report = Report({"tap_ns": (5,), "call_ns": tuple([100] * count + [3] * count)})
    assert call_times(report, read) == ((95,) * count, (0,) * count)
    assert call_times(Report({}), read) is None


def test_command(package: edgetvm.Package, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", str(package.path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["runner"] == "host"
    assert len(printed["calls"]) == len(package.manifest["calls"])
    assert set(printed["calls"][0]) == {
        "kernel",
        "rule",
        "nodes",
        "latency_us",
        "instructions",
        "modelled_cycles",
        "predicted",
    }
    assert main(["profile", str(package.path)]) == 0
    assert "share" in capsys.readouterr().out
