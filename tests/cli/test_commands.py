"""Commands on the demo model: what they print, the JSON keys that docs/cli.md promises, their exit status."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import edgetvm
from edgetvm.cli.main import main
from tests.cli.test_docs import CLI, json_keys
from tests.deploy import hand_made
from tests.report.test_reports import package as hand_made_package

Captured = pytest.CaptureFixture[str]
Compiled = Callable[..., edgetvm.Package]
ROOT = Path(__file__).resolve().parent.parent.parent
DATA = str(ROOT / "demo" / "evaluation.npz")


@pytest.fixture
def package(compiled: Compiled, digits: Path) -> str:
    return str(compiled(digits, "host").path)


def run_json(argv: list[str], capfd: Captured, status: int = 0) -> dict[str, Any]:
    """Run with --json; capfd sees what C libraries print too."""
    capfd.readouterr()
    assert main([*argv, "--json"]) == status
    value = json.loads(capfd.readouterr().out)
    assert isinstance(value, dict)
    assert list(value) == json_keys(CLI.read_text(), argv[0])
    return value


def test_compile(digits: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "out"
    options = ["--format", "c", "--optimize", "size", "--name", "mine", "--no-reference", "--shape", "image=1,1,8,8"]
    assert main(["compile", str(digits), "--target", "nucleo-f746zg", "-o", str(out), *options]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["name"] == "mine"
    assert manifest["format"] == "c"
    assert manifest["options"]["optimize"] == "size"
    assert manifest["options"]["shapes"] == {"image": [1, 1, 8, 8]}
    assert not (out / "reference").exists()
    assert "mine for nucleo-f746zg" in printed.out
    assert f"{manifest['arena']['bytes']:,} bytes" in printed.out
    assert f"of {64 * 1024:,}" in printed.out  # the region of the arena
    assert str(out) in printed.out
    assert main(["verify", str(out)]) == 1
    assert "--no-reference" in capsys.readouterr().err


def test_verify(package: str, capfd: Captured) -> None:
    report = run_json(["verify", package], capfd)
    assert report["samples"] == 10
    assert report["max_rel_error"] <= report["tolerance"] == 1e-4
    assert report["runner"] == "host"
    assert report["integer_mismatches"] is None
    assert run_json(["verify", package, "--data", DATA, "--samples", "3"], capfd)["samples"] == 3
    assert main(["verify", package]) == 0
    printed = capfd.readouterr().out
    assert "passed: 10 samples, host on host" in printed
    assert "probabilities" in printed


def test_verify_fails_another_model(package: str, digits: Path, tmp_path: Path, capfd: Captured) -> None:
    model = onnx.load(str(digits))
    weights = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    changed = numpy_helper.to_array(weights) * np.float32(1.05)
    weights.CopyFrom(numpy_helper.from_array(changed, weights.name))
    onnx.save(model, str(tmp_path / "other.onnx"))
    report = run_json(["verify", package, "--model", str(tmp_path / "other.onnx")], capfd, status=1)
    assert report["max_rel_error"] > report["tolerance"]
    assert main(["verify", package, "--model", str(tmp_path / "other.onnx")]) == 1
    assert "FAILED: 10 samples" in capfd.readouterr().out


def test_bench(package: str, capfd: Captured) -> None:
    report = run_json(["bench", package, "--runs", "20"], capfd)
    manifest = json.loads((Path(package) / "manifest.json").read_text())
    assert 0 < report["latency_us"]["min"] <= report["latency_us"]["median"]
    assert report["flash_bytes"] == manifest["flash_bytes"]
    assert report["ram_bytes"] == manifest["ram_bytes"]
    assert report["arena_bytes"] == manifest["arena"]["bytes"]
    assert report["instructions"] is None
    assert main(["bench", package, "--runs", "5", "--bound"]) == 0
    assert "host on host, 1 thread" in capfd.readouterr().out
    assert main(["bench", package, "--runs", "20", "--threads", "2"]) == 0
    printed = capfd.readouterr().out
    assert "host on host, 2 threads" in printed
    assert re.search(r"instructions\s+-", printed)


def test_evaluate(package: str, capfd: Captured) -> None:
    report = run_json(["evaluate", package, "--data", DATA], capfd)
    assert report["metric"] == "top1"
    assert report["samples"] == len(np.load(DATA)["y"])
    assert report["value"] > 0.95
    assert main(["evaluate", package, "--data", DATA]) == 0
    assert capfd.readouterr().out == f"top1 {report['value']:.4f} over {report['samples']} samples\n"


def test_evaluate_without_labels(package: str, tmp_path: Path, capfd: Captured) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 1, 8, 8), np.float32))
    assert main(["evaluate", package, "--data", str(tmp_path / "d.npz"), "--json"]) == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "d.npz has no labels" in printed.err


def test_inspect(digits: Path, capfd: Captured) -> None:
    summary = run_json(["inspect", str(digits)], capfd)
    assert summary["inputs"] == [{"name": "image", "shape": [1, 1, 8, 8], "dtype": "float32"}]
    assert summary["macs"] == sum(node["macs"] for node in summary["nodes"]) > 0
    assert summary["unsupported"] == []
    assert main(["inspect", str(digits)]) == 0
    printed = capfd.readouterr().out
    assert "Conv" in printed
    assert "[1, 1, 8, 8]" in printed


def test_inspect_names_what_is_not_supported(tmp_path: Path, capfd: Captured) -> None:
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Bernoulli", ["x"], ["y"], name="toss [a]")],
        "random",
        [value("x", onnx.TensorProto.FLOAT, [2])],
        [value("y", onnx.TensorProto.FLOAT, [2])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(tmp_path / "random.onnx"))
    (refusal,) = run_json(["inspect", str(tmp_path / "random.onnx")], capfd, status=1)["unsupported"]
    assert (refusal["node"], refusal["operator"]) == ("toss [a]", "Bernoulli")
    assert refusal["reason"]
    assert main(["inspect", str(tmp_path / "random.onnx")]) == 1
    assert "toss [a]" in capfd.readouterr().out  # brackets are no markup


def test_targets(capfd: Captured) -> None:
    shown = run_json(["targets"], capfd)
    boards = {board["name"]: board for board in shown["boards"]}
    assert boards["nucleo-f746zg"]["processor"] == "cortex-m7"
    assert sum(m["bytes"] for m in boards["nucleo-f746zg"]["memory"] if m["kind"] == "ram") == 320 * 1024
    assert boards["qemu-mps2-an386"]["emulator"] == "mps2-an386"
    assert "cortex-a53" in {processor["name"] for processor in shown["processors"]}
    assert main(["targets"]) == 0
    printed = capfd.readouterr().out
    assert all(name in printed for name in boards)


def test_progress_is_for_terminals_only(tmp_path: Path) -> None:
    # `bench` times this for about a second: long enough for the bar to appear.
    slow = "for (i = 0; i < 20000000; i++) { scratch[0] = (uint8_t)i; } " + hand_made.ADD_ONE
    folder = hand_made_package(tmp_path, slow)
    command = [sys.executable, "-m", "edgetvm.cli.main", "bench", str(folder), "--json"]
    piped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert piped.stderr == ""
    assert json.loads(piped.stdout)["runner"] == "host"
    terminal, stderr = pty.openpty()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=stderr, env=os.environ | {"TERM": "xterm"}
    ) as running:
        os.close(stderr)
        shown = read_terminal(terminal)
        assert running.stdout is not None
        assert json.loads(running.stdout.read())["runner"] == "host"
    assert "bench" in shown
    assert shown.endswith("\x1b[2K")  # and is wiped in the end


def read_terminal(terminal: int) -> str:
    """All that is written to a terminal until its other end is closed."""
    shown = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        while chunk := os.read(terminal, 4096):
            shown += chunk
    os.close(terminal)
    return shown.decode()
