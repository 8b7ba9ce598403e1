"""Instruction counts are exact: checked by loops of known length and by the boards' own timers."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetvm.deploy import counting
from edgetvm.deploy.counting import build_plugin, marker_addresses
from edgetvm.deploy.measurement import Measurement, RunRequest
from edgetvm.deploy.runners import run
from tests.deploy import hand_made
from tests.deploy.hand_made import samples, write_package
from tests.tools import require_tool

# Two instructions a turn, on every Arm core.
LOOP = """static const volatile uint32_t turns = TURNS;
    uint32_t left = turns;
    __asm__ volatile(".p2align 2\\n1: SUBTRACT\\n\\tbne 1b" : "+r"(left) : : "cc");
"""
SUBTRACT = {"cortex-a53": "subs %w0, %w0, #1", "qemu-microbit": "subs %0, #1"}

# CMSDK timer 0 counts down at 25 MHz; the SSE counter up at 32 MHz. `-icount shift=6` gives an instruction 64 ns.
TIMERS = {
    "qemu-mps2-an386": ("cmsdk", 25e6, "t[2] = 0xFFFFFFFFu; t[1] = 0xFFFFFFFFu; t[0] = 1;", "0xFFFFFFFFu - t[1]"),
    "qemu-mps2-an500": ("cmsdk", 25e6, "t[2] = 0xFFFFFFFFu; t[1] = 0xFFFFFFFFu; t[0] = 1;", "0xFFFFFFFFu - t[1]"),
    "qemu-mps3-an547": ("sse", 32e6, "t[0] = 1;", "t[0x400]"),
}
ADDRESSES = {"cmsdk": "0x40000000u", "sse": "0x58100000u"}
NS_PER_INSTRUCTION = 64


def measure(folder: Path, target: str, body: str) -> Measurement:
    return run(write_package(folder, body, target), RunRequest(samples(1), count=True))


@pytest.mark.parametrize("target", ["cortex-a53", "cortex-a8", "qemu-mps2-an386", "qemu-mps3-an547", "qemu-microbit"])
def test_a_loop_of_known_length(target: str, tmp_path: Path) -> None:
    require_tool({"cortex-a53": "qemu-aarch64", "cortex-a8": "qemu-arm"}.get(target, "qemu-system-arm"))
    loop = LOOP.replace("SUBTRACT", SUBTRACT.get(target, "subs %0, %0, #1"))
    short, long = (
        measure(tmp_path / str(turns), target, loop.replace("TURNS", str(turns)) + hand_made.ADD_ONE)
        for turns in (1000, 101000)
    )
    assert short.instructions is not None
    assert long.instructions is not None
    assert long.instructions - short.instructions == 2 * 100000
    if target in ("qemu-mps2-an386", "qemu-microbit"):  # subtract, branch, refill of two
        assert short.cycles is not None
        assert long.cycles is not None
        assert long.cycles - short.cycles == 4 * 100000
    else:
        assert (short.cycles, long.cycles) == (None, None)  # no manual prices the instructions


@pytest.mark.parametrize("board", TIMERS)
def test_the_boards_timer_agrees(board: str, tmp_path: Path) -> None:
    require_tool("qemu-system-arm")
    timer, hertz, start, read = TIMERS[board]
    instructions, ticks = [], []
    for turns in (1000, 101000):
        loop = LOOP.replace("SUBTRACT", "subs %0, %0, #1").replace("TURNS", str(turns))
        body = f"volatile uint32_t *const t = (volatile uint32_t *){ADDRESSES[timer]}; uint32_t began; {start}"
        body += f" began = {read}; {loop} y[0] = (float)({read} - began);"
        measurement = measure(tmp_path / str(turns), board, body)
        assert measurement.instructions is not None
        instructions.append(measurement.instructions)
        ticks.append(float(measurement.outputs[0][0, 0]))
    by_timer = (ticks[1] - ticks[0]) / hertz * 1e9 / NS_PER_INSTRUCTION
    assert abs(by_timer - (instructions[1] - instructions[0])) <= 1  # a tick is 0.6 or 0.5 instructions


def test_the_emulator_names_the_version_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin of a version that QEMU does not know is refused, and built again as it says."""
    emulator = require_tool("qemu-aarch64")
    assert counting._LIMIT.search(counting._try_loading(emulator, build_plugin(99))) is not None
    monkeypatch.setattr(counting, "_FIRST_VERSION", 99)
    counting.loadable_plugin.cache_clear()
    try:
        plugin = counting.loadable_plugin(emulator)
        assert plugin is not None
        assert plugin != build_plugin(99)
    finally:
        counting.loadable_plugin.cache_clear()


def test_without_a_plugin_there_is_no_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulator that was built without plugins still runs the model."""
    require_tool("qemu-aarch64")
    monkeypatch.setattr(counting, "loadable_plugin", lambda emulator: None)
    measurement = measure(tmp_path / "p", "cortex-a53", hand_made.ADD_ONE)
    assert measurement.instructions is None
    assert measurement.outputs[0][0, 0] == 1.0


def test_markers_are_read_from_the_file() -> None:
    tag = b"edgetvm-markers\0"
    assert marker_addresses(b"junk" + tag + bytes(range(16)), 8) == (0x0706050403020100, 0x0F0E0D0C0B0A0908)
    assert marker_addresses(tag + b"\x01\x10\0\0\x09\x10\0\0", 4) == (0x1000, 0x1008)  # Thumb's bit is gone
