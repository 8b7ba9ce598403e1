"""The comparison with peers: its figures by hand, and that it still runs."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edgetvm.deploy.counts import Block
from tests.tools import unavailable

TOOLS = Path(__file__).resolve().parents[1] / "tools"
ASSETS = Path(os.environ.get("EDGETVM_ASSETS", TOOLS.parents[1] / "shared" / "assets"))


@pytest.fixture
def compare_peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    import compare_peers

    return compare_peers


@pytest.fixture
def cycles(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    import compare_peers_cycles

    return compare_peers_cycles


def test_a_ratio_is_taken_round_by_round(compare_peers: ModuleType) -> None:
    """The machine was half as fast in the second round: both engines saw it."""
    ours, slow, fast = (
        compare_peers.Times((10.0 * k, 20.0 * k, 10.0 * k), (9.0 * k, 18.0 * k, 9.0 * k)) for k in (1, 4, 2)
    )
    times = {"ours": ours, "onnxruntime": slow, "openvino": fast}
    assert compare_peers.ratio(times, "ours", ("onnxruntime", "openvino")) == (0.5, 0.5)
    assert compare_peers.ratio(times, "ours", ("onnxruntime",)) == (0.25, 0.25)
    assert compare_peers.ratio(times, "ours", ("litert",)) is None
    assert compare_peers.ratio(times, "ours-int8", ("openvino",)) is None
    assert compare_peers.geometric_means([(0.5, 1.0), None, (2.0, 4.0)]) == "1.00 (2.00)"
    assert compare_peers.geometric_means([None]) == "-"


def test_only_what_computes_the_same_is_compared(compare_peers: ModuleType) -> None:
    class Answer:
        def __init__(self, *values: float) -> None:
            self.output = np.array(values)

    wrong = compare_peers.unlike(
        {
            "onnxruntime": Answer(0.0, 1.0, 2.0),
            "ours": Answer(0.0, 1.0, 2.1),
            "openvino": Answer(0.0, 1.0, 2.0001),
            "litert": Answer(0.1, 0.9, 2.2),
            "ours-int8": Answer(2.0, 1.0, 0.0),
            "ours-tflite": Answer(0.0, 1.0),
        }
    )
    assert set(wrong) == {"ours", "ours-int8", "ours-tflite"}


def test_blocks_of_calls_add_up(cycles: ModuleType) -> None:
    one = cycles.by_block((Block(0x1000, 16, 4, 10, 1), Block(0x1010, 8, 2, 3, 0)))
    assert one == {(0x1000, 4): 10, (0x1010, 2): 3}
    assert cycles.merged([one, {(0x1000, 4): 1}]) == {(0x1000, 4): 11, (0x1010, 2): 3}


@pytest.mark.slow  # llvm-mca comes with `make bench`
def test_a_block_is_priced_whatever_it_jumps_to(cycles: ModuleType) -> None:
    try:
        cycles.llvm_tool("llvm-mca")
    except cycles.Unavailable as error:
        unavailable(str(error))
    code = {
        0x40: "ldp\tq5, q6, [x11, #-0x100]",
        0x44: "fmla\tv4.4s, v5.4s, v6.s[0]",
        0x48: "adrp\tx1, 0x1117000 <.text+0x20>",
        0x4C: "cbnz\tx3, 0x40 <.text+0x40>",
    }
    assert cycles.price((0x40, 4), code, "cortex-a72") > 1
    assert cycles.price((0x40, 5), code, "cortex-a72") is None  # the fifth instruction is not known


def test_figures_of_peers_are_whole() -> None:
    peers = tomllib.loads((TOOLS / "compare_peers_arm.toml").read_text())
    assert peers["source"]
    for peer in peers["peer"]:
        assert set(peer) == {"name", "precision", "processor", "target", "instructions"}
        assert all(count > 100_000 for count in peer["instructions"].values())


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["compare_peers.py", "--rounds", "1", "--threads", "1"], ["compare_peers_arm.py", "--samples", "1"]]
)
def test_the_tables_are_printed(command: list[str]) -> None:
    if not (ASSETS / "ad01").is_dir():
        pytest.skip("no assets here: set EDGETVM_ASSETS")
    done = subprocess.run(
        [sys.executable, str(TOOLS / command[0]), *command[1:], "--models", "ad01"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "| geometric mean |" in done.stdout
    assert "\n| ad01 |" in done.stdout
