"""verify, bench and evaluate on packages of known behaviour: each verdict has a package that deserves it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgetvm.deploy.measurement import Measurement, RunRequest
from edgetvm.deploy.read_package import read_package
from edgetvm.deploy.runners import run
from edgetvm.errors import DataError, ModelError, PackageError, RunError
from edgetvm.oracle.data import load_data
from edgetvm.report.batches import run_batches
from edgetvm.report.bench import bench_package
from edgetvm.report.evaluate import evaluate_package
from edgetvm.report.verify import verify_package
from tests.deploy import hand_made
from tests.deploy.hand_made import ARENA_BYTES, write_package
from tests.tools import require_tool

NEARLY = "for (i = 0; i < 4; i++) { y[i] = x[i] + 1.00001f; }"
CLASSES = "for (i = 0; i < 4; i++) { y[i] = x[(i + 1) % 4]; }"


def add_one(path: Path, output: str = "y") -> Path:
    """The model that `hand_made.ADD_ONE` computes."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "one"], [output])],
        "add_one",
        [value("x", TensorProto.FLOAT, [4])],
        [value(output, TensorProto.FLOAT, [4])],
        [numpy_helper.from_array(np.float32([1.0]), "one")],
    )
    path.parent.mkdir(exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def package(folder: Path, body: str = hand_made.ADD_ONE, target: str = "host") -> Path:
    write_package(folder / "p", body, target)
    add_one(folder / "p" / "reference" / "model.onnx")
    return folder / "p"


def test_verify_passes_what_is_right(tmp_path: Path) -> None:
    report = verify_package(package(tmp_path))
    assert report.passed
    assert report.to_json() == {
        "max_abs_error": 0.0,
        "max_rel_error": 0.0,
        "tolerance": 1e-4,
        "samples": 10,
        "runner": "host",
        "target": "host",
        "integer_mismatches": None,
    }


def test_verify_measures_what_is_nearly_right(tmp_path: Path) -> None:
    report = verify_package(package(tmp_path, NEARLY), samples=50)
    assert report.passed
    assert report.samples == 50
    assert 0.9e-5 < report.max_abs_error < 1.1e-5
    assert report.max_rel_error == pytest.approx(report.max_abs_error / 6, rel=0.5)  # 200 normal values span about 6


def test_verify_on_data(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.float32([[0, 0, 0, 0], [0, 0, 0, 100]]))
    report = verify_package(package(tmp_path, NEARLY.replace("1.00001", "1.005")), data=tmp_path / "d.npz")
    assert report.samples == 2
    assert report.passed  # .005 of a range of 100
    assert report.max_rel_error == pytest.approx(5e-5, rel=0.01)
    first = verify_package(tmp_path / "p", data=tmp_path / "d.npz", samples=1)
    assert not first.passed


def test_verify_fails_what_is_wrong(tmp_path: Path) -> None:
    report = verify_package(package(tmp_path, CLASSES))
    assert not report.passed
    assert report.max_rel_error > 0.1
    assert [error.name for error in report.outputs] == ["y"]


def test_a_nan_fails_and_is_still_json(tmp_path: Path) -> None:
    report = verify_package(package(tmp_path, hand_made.ADD_ONE + " y[1] = x[0] / (x[0] - x[0]);"))
    assert not report.passed
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["max_abs_error"] is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (hand_made.OUTSIDE_AFTER, "outside its arena of 64 bytes"),
        (hand_made.READS_UNWRITTEN, "memory that it has not written"),
        ("*(volatile int *)(uintptr_t)scratch[0] = 1; " + hand_made.ADD_ONE, "crashed"),
    ],
)
def test_verify_of_a_dangerous_package(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(RunError, match=words):
        verify_package(package(tmp_path, body))


def test_verify_needs_a_reference(tmp_path: Path) -> None:
    folder = package(tmp_path)
    shutil.rmtree(folder / "reference")
    with pytest.raises(PackageError, match="no reference model") as info:
        verify_package(folder)
    assert "--model" in str(info.value.hint)
    with pytest.raises(ModelError, match=r"absent\.onnx does not exist"):
        verify_package(folder, model=tmp_path / "absent.onnx")
    assert verify_package(folder, model=add_one(tmp_path / "given.onnx")).passed
    with pytest.raises(DataError, match="no output 'y': it has other"):
        verify_package(folder, model=add_one(tmp_path / "other.onnx", output="other"))


def test_bench_on_the_host(tmp_path: Path) -> None:
    folder = package(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"flash_bytes": 1234, "ram_bytes": 96}))
    report = bench_package(folder, runs=20)
    shown = report.to_json()
    latency = shown.pop("latency_us")
    assert isinstance(latency, dict)
    assert 0 < latency["min"] <= latency["median"] < 1000
    stack = shown.pop("stack_bytes")
    assert isinstance(stack, int) and stack > 0
    assert shown == {
        "runner": "host",
        "target": "host",
        "threads": 1,
        "instructions": None,
        "modelled_cycles": None,
        "flash_bytes": 1234,
        "ram_bytes": 96,
        "arena_bytes": ARENA_BYTES,
    }


def test_bench_times_for_about_a_second(tmp_path: Path) -> None:
    slow = "for (i = 0; i < 20000000; i++) { scratch[0] = (uint8_t)i; } " + hand_made.ADD_ONE
    requests: list[RunRequest] = []

    def observed(package_dir: Path, request: RunRequest, *, board: str | None = None) -> Measurement:
        requests.append(request)
        return run(package_dir, request, board=board)

    report = bench_package(package(tmp_path, slow), run=observed)
    assert report.latency_us_median is not None
    assert 10 <= requests[-1].repeats < 1000
    assert requests[-1].repeats * report.latency_us_median < 2e7


def test_bench_under_an_emulator(tmp_path: Path) -> None:
    require_tool("qemu-system-arm")
    folder = package(tmp_path, target="qemu-mps2-an386")
    report = bench_package(folder, runs=1000)
    assert report.runner == "qemu-system-arm"
    assert report.latency_us_median is None and report.latency_us_min is None
    assert report.instructions is not None and 50 < report.instructions < 1000
    assert bench_package(folder).instructions == report.instructions
    other = bench_package(folder, board="qemu-mps2-an500")
    assert other.target == "qemu-mps2-an500"
    assert verify_package(folder, board="qemu-mps2-an500").target == "qemu-mps2-an500"


def data(folder: Path, **arrays: object) -> Path:
    np.savez(folder / "d.npz", **arrays)
    return folder / "d.npz"


def one_hot(classes: Sequence[int]) -> np.ndarray:
    return np.eye(4, dtype=np.float32)[list(classes)]


def test_top1(tmp_path: Path) -> None:
    # The package rotates by one: x with class c gives class c - 1.
    file = data(tmp_path, x=one_hot([1, 2, 3, 0]), y=np.array([0, 1, 2, 2]))
    report = evaluate_package(package(tmp_path, CLASSES), file)
    assert report.to_json() == {"metric": "top1", "value": 0.75, "samples": 4}


def test_windowed_auc(tmp_path: Path) -> None:
    clips = np.random.default_rng(0).normal(size=(12, 6, 2)).astype(np.float32)
    labels = np.arange(12) % 2
    report = evaluate_package(package(tmp_path, CLASSES), data(tmp_path, x=clips, y=labels), metric="auc", window=2)
    by_hand = []
    for clip in clips.astype(np.float64):
        errors = [np.mean((w - np.roll(w, -1)) ** 2) for t in range(5) for w in [clip[t : t + 2].ravel()]]
        by_hand.append(np.mean(errors))
    pairs = [
        a > b for a, y in zip(by_hand, labels, strict=True) if y for b, z in zip(by_hand, labels, strict=True) if not z
    ]
    assert (report.metric, report.samples) == ("auc", 12)
    assert report.value == pytest.approx(np.mean(pairs))


def test_mse_against_the_input_or_the_target(tmp_path: Path) -> None:
    folder = package(tmp_path)
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    assert evaluate_package(folder, data(tmp_path, x=x), metric="mse").value == 1.0
    assert evaluate_package(folder, data(tmp_path, x=x, y=x + 3), metric="mse").value == 4.0


@pytest.mark.parametrize(
    ("arrays", "options", "words"),
    [
        ({}, {}, "has no labels"),
        ({"y": np.array([0, 4])}, {}, "labels 0 to 4, the output has 4 classes"),
        ({"y": np.array([0.0, 1.0])}, {}, "y is float64"),
        ({"y": np.array([0, 0])}, {"metric": "auc"}, "0 of 1 and 2 of 0"),
        ({"y": np.array([0, 1])}, {"metric": "f1"}, "unknown metric 'f1'"),
        ({"y": np.array([0, 1])}, {"output": "z"}, "no output 'z'"),
        ({"x": np.zeros((2, 3, 2), np.float32), "y": np.array([0, 1])}, {"window": 2}, "classes of windows"),
    ],
)
def test_evaluate_refuses(tmp_path: Path, arrays: dict[str, object], options: dict[str, object], words: str) -> None:
    file = data(tmp_path, **({"x": one_hot([1, 2])} | arrays))
    with pytest.raises(DataError, match=words):
        evaluate_package(package(tmp_path), file, **options)  # type: ignore[arg-type]


def test_batches_cover_every_sample_once(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(150, 4)).astype(np.float32)
    folder = package(tmp_path)
    given = read_package(folder)
    steps: list[tuple[str, int, int]] = []
    seen, got, guards = [], [], []
    loaded = load_data(data(tmp_path, x=x), given.inputs)
    for inputs, outputs, measurement in run_batches(given, loaded, run, progress=lambda *step: steps.append(step)):
        seen += [sample["x"] for sample in inputs]
        got += [sample["y"] for sample in outputs]
        guards.append(measurement.guard_ok)
    np.testing.assert_array_equal(seen, x)
    np.testing.assert_array_equal(got, x + np.float32(1))
    assert guards == [True] + [None] * (len(guards) - 1)
    assert len(steps) > 1
    assert steps[-1] == ("run", 150, 150)
