"""What is told before a board is there: time on its core, and the boards that have room."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

import edgetvm
from edgetvm.cli.main import main
from edgetvm.codegen.sizes import Sizes
from edgetvm.deploy.emulator import emulated_board
from edgetvm.errors import UnsupportedError
from edgetvm.report.fit import fit_board
from edgetvm.target.load import load_target
from tests.tools import require_tool

KIB = 1024


@pytest.mark.parametrize(
    ("target", "board"),
    [
        ("nucleo-l4r5zi", "qemu-mps2-an386"),
        ("cortex-m4", "qemu-mps2-an386"),
        ("nucleo-f746zg", "qemu-mps2-an500"),
        ("qemu-microbit", "qemu-microbit"),
        ("cortex-m0plus", None),
        ("raspberry-pi-4", None),
    ],
)
def test_an_emulator_of_the_same_core_stands_in(target: str, board: str | None) -> None:
    assert emulated_board(load_target(target)) == board


def test_time_at_the_boards_clock(compiled: Callable[..., edgetvm.Package], int8_digits: Path) -> None:
    require_tool("qemu-system-arm")
    package = compiled(int8_digits, "nucleo-l4r5zi", integer_io=True)
    foreseen, bench = package.foresee(), package.bench(board="qemu-mps2-an386")
    assert foreseen.modelled_cycles == bench.modelled_cycles
    assert foreseen.milliseconds == foreseen.modelled_cycles / 120e3
    assert foreseen.stack_bytes == bench.stack_bytes
    m7 = compiled(int8_digits, "nucleo-f746zg", integer_io=True).foresee()
    assert m7.instructions is not None
    assert (m7.modelled_cycles, m7.milliseconds) == (None, None)
    assert compiled(int8_digits, "host").foresee() is None


def test_compile_prints_it(int8_digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require_tool("qemu-system-arm")
    out = tmp_path / "package"
    assert main(["compile", str(int8_digits), "--target", "nucleo-l4r5zi", "--integer-io", "-o", str(out)]) == 0
    manifest, printed = json.loads((out / "manifest.json").read_text()), capsys.readouterr().out
    assert f"{manifest['flash_bytes']:,} bytes of 2,097,152" in printed
    assert f".arena {manifest['arena']['bytes']:,}" in printed
    assert "at 120 MHz" in printed
    assert f"arena of {manifest['arena']['bytes']:,} bytes" in printed
    assert main(["compile", str(int8_digits), "--target", "cortex-m0plus", "-o", str(tmp_path / "m0")]) == 0
    assert "cycles" not in capsys.readouterr().out


def test_margins() -> None:
    sections = {".vectors": 64, ".text": 1000, ".rodata": 200 * KIB, ".data": 8, ".stack": 4096, ".arena": 300 * KIB}
    sizes = Sizes(sections, 0, 0)
    small = fit_board(load_target("nucleo-f746zg"), sizes)
    assert not small.fits
    assert small.margin("ram") == (256 - 300) * KIB
    assert small.margin("flash") == 1024 * KIB - 64 - 1000 - 200 * KIB - 8
    assert {use.region.name: use.bytes for use in small.regions}["dtcm"] == 4096 + 8
    assert fit_board(load_target("nucleo-h743zi"), sizes).fits
    linux = fit_board(load_target("beaglebone-black"), Sizes({}, 1000, 24))
    assert linux.fits
    assert (linux.margin("flash"), linux.margin("ram")) == (None, 512 * KIB * KIB - 1024)
    refused = fit_board(load_target("qemu-microbit"), UnsupportedError("no such instruction"))
    assert (refused.fits, refused.reason, refused.margin("ram")) == (False, "no such instruction", None)


def test_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A product with 80,000 weights: too much flash for one board of all."""
    weights = numpy_helper.from_array(np.ones((20, 4000), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "big",
        [helper.make_tensor_value_info("x", 1, [1, 20])],
        [helper.make_tensor_value_info("y", 1, [1, 4000])],
        [weights],
    )
    path = tmp_path / "big.onnx"
    path.write_bytes(
        helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    )
    assert main(["fit", str(path), "--json"]) == 0
    boards = {board["board"]: board for board in json.loads(capsys.readouterr().out)["boards"]}
    assert {name for name, board in boards.items() if not board["fits"]} == {"qemu-microbit", "nucleo-g071rb"}
    assert boards["qemu-microbit"]["flash_margin"] < 256 * KIB - 320_000 < boards["nucleo-f746zg"]["flash_margin"]
    assert set(boards) == {target.name for target in edgetvm.targets() if target.board is not None}
