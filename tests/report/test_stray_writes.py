"""A kernel that writes beside its buffers is found and named; no kernel of the real models does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgetvm
from edgetvm.cli.main import main
from edgetvm.codegen.memory import Arena
from edgetvm.deploy.package import Call, Package
from edgetvm.deploy.read_package import read_package
from edgetvm.errors import RunError
from edgetvm.report.stray_writes import StrayWrite, stray_writes
from tests.tools import require_tool

Compiled = Callable[..., edgetvm.Package]
BOARD = "qemu-mps2-an386"
PUBLISHED = ("ad01", "ic01", "kws01", "vww01", "mobilenet_v1_025")


def package_of(*writes: tuple[tuple[int, int], ...]) -> Package:
    """An arena of 8 bytes with an input at 4, and calls that may write what is given."""
    calls = tuple(Call(f"k{i}", (), (), 1, i, each) for i, each in enumerate(writes))
    return Package(Path(), "p", "host", "c", None, (), (), (Arena(8),), 8, calls, {}, False, False, input_offsets=(4,))


def test_the_arena_tells_who_wrote_where() -> None:
    package, inputs = package_of(((0, 2),), ((2, 2), (6, 1))), [np.array([[0, 0], [1, 1]], np.uint8)]
    first, second, third, fourth = (np.zeros(8, np.uint8) for _ in range(4))
    second[[2, 3, 6]] = 1
    third[[0, 2, 3, 4, 5, 6]] = 1
    fourth[[0, 2, 3, 4, 5, 6]] = [1, 2, 2, 1, 1, 2]
    arenas = np.stack([first, second, third, fourth]).reshape(2, 2, 8)
    assert stray_writes(package, arenas, inputs) == []
    arenas[1, 1, [5, 7]] = 9
    assert stray_writes(package, arenas, inputs) == [StrayWrite(1, "k1", 5, 2)]
    arenas[1, 1] = arenas[1, 0]
    arenas[1, :, 4] = 9
    assert stray_writes(package, arenas, inputs) == [StrayWrite(0, "k0", 4, 1)]


def broken(package: edgetvm.Package, call: int, folder: Path) -> tuple[edgetvm.Package, str]:
    """A copy whose kernel of that call also writes the byte behind its output; it, and the kernel's name."""
    shutil.copytree(package.path, folder)
    known = read_package(folder).calls[call]
    own = {at for offset, count in known.writes for at in range(offset, offset + count)}
    beside = next(at for at in range(package.manifest["arena"]["bytes"]) if at not in own)
    source = folder / "src" / f"{package.manifest['name']}.c"
    tap = f"    EDGETVM_TAP({call}, 0,"
    text = source.read_text()
    assert text.count(tap) == 1
    source.write_text(text.replace(tap, f"    arena_0[{beside}] ^= 0x55;\n{tap}"))
    return edgetvm.load(folder), known.kernel


@pytest.mark.parametrize("target", ["host", BOARD])
@pytest.mark.parametrize("call", [0, 1, -1])
def test_a_broken_kernel_is_named(
    call: int, target: str, compiled: Compiled, int8_digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its outputs may still be right: what it overwrites may be dead."""
    if target != "host":
        require_tool("qemu-system-arm")
    package = compiled(int8_digits, target, integer_io=True)
    call %= len(package.manifest["calls"])
    wrong, kernel = broken(package, call, tmp_path / "broken")
    with pytest.raises(RunError, match=f"kernel {kernel} wrote 1 bytes of the arena, from byte"):
        wrong.verify(samples=1, canary=True)
    assert main(["verify", str(wrong.path), "--canary", "--samples", "2"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert package.verify(samples=2, canary=True).passed


@pytest.mark.parametrize("model", PUBLISHED)
def test_no_kernel_of_a_published_model_does(model: str, assets: Path, compiled: Compiled) -> None:
    require_tool("qemu-system-arm")
    report = compiled(assets / model / "reference_int8.tflite", BOARD).verify(samples=2, canary=True)
    assert (report.passed, report.runner) == (True, "qemu-system-arm")


@pytest.mark.slow
def test_nor_of_squeezenet(assets: Path, compiled: Compiled, tmp_path: Path) -> None:
    """Quantized by what chance gives: what matters is where its kernels write."""
    require_tool("qemu-system-arm")
    images = np.random.default_rng(0).normal(0, 60, (2, 3, 224, 224)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=images)
    model = assets / "squeezenet1_1" / "model.onnx"
    quantized = edgetvm.quantize(model, tmp_path / "int8.onnx", tmp_path / "x.npz", calibrator="minmax").path
    assert compiled(quantized, BOARD).verify(samples=1, canary=True).passed
