"""Packages appear whole or not at all; a model that does not fit says what lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgetvm
from edgetvm.codegen.package import staged_folder, write_files
from edgetvm.errors import DoesNotFitError, OutputError
from tests.importers.models import save


def test_a_folder_appears_when_complete(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "out") as stage:
        write_files(stage, {"a/b.txt": "text"})
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out" / "a" / "b.txt").read_text() == "text"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), staged_folder(tmp_path / "out") as stage:
        write_files(stage, {"half": b"1"})
        raise ValueError("stop")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["full", "file", "/proc/none/out"])
def test_places_that_cannot_be_used(place: str, tmp_path: Path, digits: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError) as caught:
        edgetvm.compile(digits, "host", tmp_path / place)
    assert place in caught.value.message
    assert (tmp_path / "full" / "kept.txt").read_text() == (tmp_path / "file").read_text() == "mine"


def test_disk_full(tmp_path: Path, digits: Path) -> None:
    """A limit on the size of files stands for the full disk: writing fails in the same way."""
    code = (
        "import resource, signal, sys, edgetvm\n"
        "edgetvm.compile(sys.argv[1], 'host', sys.argv[2] + '/first')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    edgetvm.compile(sys.argv[1], 'host', sys.argv[2] + '/second')\n"
        "except edgetvm.EdgeTVMError as error:\n"
        "    sys.exit(f'refused: {error.message}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(digits), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ,
    )
    assert "refused: " in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["first"]


def dense(path: Path, inputs: int, outputs: int) -> Path:
    import onnx

    weights = np.ones((inputs, outputs), np.float32)
    return save(
        path,
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"], name="dense")],
        {"x": [1, inputs]},
        ["y"],
        {"w": weights},
    )


def test_too_much_ram(tmp_path: Path) -> None:
    with pytest.raises(DoesNotFitError) as caught:
        edgetvm.compile(dense(tmp_path / "wide.onnx", 4, 8192), "qemu-microbit", tmp_path / "out")
    assert caught.value.message == (
        "wide.onnx needs 32 KiB of activations; the largest RAM region of qemu-microbit, 'ram', has 16 KiB"
    )
    assert caught.value.hint == "largest tensors: dense 32 KiB, x 0.0 KiB"
    assert not (tmp_path / "out").exists()


def test_too_much_flash(tmp_path: Path) -> None:
    with pytest.raises(DoesNotFitError, match=r"deep.onnx needs \d+ KiB of flash; region 'flash' of qemu-microbit has"):
        edgetvm.compile(dense(tmp_path / "deep.onnx", 512, 256), "qemu-microbit", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_manifest_maps_kernels_to_nodes(digits: Path, tmp_path: Path) -> None:
    import onnx

    package = edgetvm.compile(digits, "host", tmp_path / "out")
    named = {node for call in package.manifest["calls"] for node in call["nodes"]}
    nodes = {node.name for node in onnx.load(digits).graph.node}
    assert {node for node in nodes if "conv" in node} <= named
    assert all(call["nodes"] for call in package.manifest["calls"])
