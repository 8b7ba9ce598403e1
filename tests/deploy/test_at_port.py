"""Boards at a serial port: an emulated one stands in, whose UART is a socket of this machine."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import edgetvm
from edgetvm.deploy import at_port
from edgetvm.deploy.measurement import RunRequest
from edgetvm.deploy.runners import run
from edgetvm.deploy.serial_line import serve
from edgetvm.errors import RunError, TargetError, ToolError
from tests.deploy import hand_made
from tests.deploy.board_at_port import BOARD, appearing_board, own_board
from tests.deploy.hand_made import samples, write_package


class Script:
    """A line whose board sends what it is told."""

    def __init__(self, sends: bytes) -> None:
        self.sends, self.heard = sends, b""

    def read(self, size: int) -> bytes:
        taken, self.sends = self.sends[:size], self.sends[size:]
        return taken

    def write(self, data: bytes, /) -> int:
        self.heard += data
        return len(data)

    def close(self) -> None:
        pass


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


def answers(*values: int) -> bytes:
    return b"".join(b">" + words(value) for value in values)


def opened(name: bytes, writes: bool) -> bytes:
    return b"o" + words(writes, len(name)) + name


def test_files(tmp_path: Path) -> None:
    (tmp_path / "inputs.bin").write_bytes(b"0123456789")
    board = Script(
        b"\0noiseEdgeTVM?\nEdgeTVM?\nEdge"
        + opened(b"inputs.bin", False)
        + opened(b"outputs.bin", True)
        + b"s" + words(0, 4) + b"r" + words(0, 3) + b"r" + words(0, 9)
        + b"w" + words(1, 2) + b"ab" + b"c" + words(1) + b"m" + words(5) + b"hello" + b"x" + words(7)
    )  # fmt: skip
    assert serve(board, tmp_path, lambda: True) == (7, "hello")
    assert board.heard == b"!!" + answers(0, 1, 0, 0) + b"456" + answers(-1, 0, 0)
    assert (tmp_path / "outputs.bin").read_bytes() == b"ab"


@pytest.mark.parametrize(
    ("name", "writes"), [(b"../secret", False), (b"/etc/passwd", False), (b"inputs.bin", True), (b"other", True)]
)
def test_a_board_reaches_no_other_file(name: bytes, writes: bool, tmp_path: Path) -> None:
    (tmp_path / "inputs.bin").write_bytes(b"kept")
    board = Script(b"EdgeTVM?\n" + opened(name, writes) + b"x" + words(0))
    assert serve(board, tmp_path, lambda: True) == (0, "")
    assert board.heard == b"!" + answers(-1)
    assert [path.name for path in tmp_path.iterdir()] == ["inputs.bin"]
    assert (tmp_path / "inputs.bin").read_bytes() == b"kept"


def test_a_line_that_fails(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="did not finish in time"):
        serve(Script(b""), tmp_path, lambda: False)
    with pytest.raises(RunError, match="the line lost bytes"):
        serve(Script(b"EdgeTVM?\n" + b"m" + words(0) + b"Q"), tmp_path, lambda: True)


@pytest.fixture
def port(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The port of an emulated board, a Cortex-M4 if nothing is said."""
    with appearing_board(monkeypatch, getattr(request, "param", "mps2-an386")) as found:
        yield found


def test_a_model_runs(port: str, compiled: Callable[..., edgetvm.Package], int8_digits: Path) -> None:
    """The same request as on the emulator itself: outputs, taps, guard and stack are the same."""
    package = compiled(int8_digits, BOARD, integer_io=True)
    info = package.manifest["inputs"][0]
    images = np.random.default_rng(0).integers(-128, 128, (3, *info["shape"]), info["dtype"], endpoint=False)
    request = RunRequest((images,), guard=True, taps=True, timeout_s=60)
    there, here = run(package.path, request, board=f"@{port}"), run(package.path, request)
    assert there.runner == "board"
    assert there.outputs[0].tobytes() == here.outputs[0].tobytes()
    for one, other in zip(there.taps, here.taps, strict=True):
        assert [each.tobytes() for each in one] == [each.tobytes() for each in other]
    assert (there.guard_ok, there.repeatable) == (True, True)
    assert there.arena_touched == here.arena_touched
    assert there.stack_bytes == here.stack_bytes


@pytest.mark.parametrize("rounds", [1000, 12_000_000])
def test_a_core_without_a_cycle_counter_is_timed_by_systick(rounds: int, port: str, tmp_path: Path) -> None:
    """Its code runs on the emulated Cortex-M4, 64 ns an instruction. The longer run lets the 24 bits wrap."""
    body = f"for (i = 0; i < {rounds}; i++) {{ scratch[0] = 1; }} {hand_made.ADD_ONE}"
    package = write_package(tmp_path / "p", body, own_board(tmp_path, "cortex-m0plus", "mps2-an386"))
    instructions = run(package, RunRequest(samples(1), count=True)).instructions
    (latency,) = run(package, RunRequest(samples(1), repeats=1, timeout_s=60), board=f"@{port}").latency_ns
    assert latency == pytest.approx(64 * instructions, rel=0.05)
    assert (latency > (1 << 24) * 40) == (rounds > 1000)


@pytest.mark.parametrize("port", ["mps2-an500"], indirect=True)
def test_a_core_with_caches_runs(port: str, tmp_path: Path) -> None:
    """They are invalidated and switched on first; the emulator has none, and takes the writes."""
    own = own_board(tmp_path, "cortex-m7", "mps2-an500", "cache_kib = [4]")
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, own)
    found = run(package, RunRequest(samples(2), guard=True, timeout_s=60), board=f"@{port}")
    np.testing.assert_array_equal(found.outputs[0], samples(2)[0] + 1)


def test_a_fault_is_told(port: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p", hand_made.WRITES_NOWHERE, BOARD)
    with pytest.raises(RunError, match="BusFault at pc 0x"):
        run(package, RunRequest(samples(3), timeout_s=60), board=f"{BOARD}@{port}")


def test_what_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, "nrf5340dk")
    with pytest.raises(TargetError, match="nrf5340dk has no serial port that is known"):
        run(package, RunRequest(samples(1)), board="@/dev/none")
    with pytest.raises(TargetError, match="'nrf5340dk@' names no port behind its @"):
        run(package, RunRequest(samples(1)), board="nrf5340dk@")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="pyocd is not installed"):
        at_port.load(tmp_path / "image.elf", "stm32l4r5zitx")
    (tmp_path / "pyocd").write_text("#!/bin/sh\nwhile :; do :; done\n")
    (tmp_path / "pyocd").chmod(0o755)
    monkeypatch.setattr(at_port, "_LOAD_S", 0.1)
    with pytest.raises(ToolError, match="pyocd did not load stm32l4r5zitx in"):
        at_port.load(tmp_path / "image.elf", "stm32l4r5zitx")


@pytest.mark.parametrize(
    ("board", "probe"),
    [
        ("nucleo-l4r5zi", "stm32l4r5zitx"),
        ("nucleo-f746zg", "stm32f746zgtx"),
        ("nucleo-h743zi", "stm32h743zitx"),
        ("nucleo-g071rb", "stm32g071rbtx"),
        ("nucleo-u575zi-q", "stm32u575zitxq"),
    ],
)
def test_it_links_for_a_real_board(board: str, probe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its clock and its registers; what it does there no test tells."""
    loaded = []
    monkeypatch.setattr(at_port, "load", lambda image, probe: loaded.append((image.stat().st_size, probe)))
    monkeypatch.setattr(at_port, "open_port", lambda port, baud: Script(b""))
    package = write_package(tmp_path / "p", hand_made.ADD_ONE, board)
    with pytest.raises(RunError, match="did not finish in time"):
        run(package, RunRequest(samples(1), timeout_s=0.01), board="@/dev/ttyACM0")
    assert [probe_ for _, probe_ in loaded] == [probe]
