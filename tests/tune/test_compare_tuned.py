"""What the tool says that times packages with and without records: its arithmetic, and that both run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import edgetvm
from edgetvm.tune.types import Cost

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    import compare_tuned

    return compare_tuned


def ratio(low: float, high: float) -> Cost:
    return Cost((low * high) ** 0.5, low, high, "tuned / untuned")


def test_a_verdict_needs_an_interval_without_1(tool: ModuleType) -> None:
    assert tool.verdict(ratio(0.90, 0.99)) == "faster"
    assert tool.verdict(ratio(0.98, 1.02)) == "equal"
    assert tool.verdict(ratio(1.01, 1.05)) == "slower"


def test_geometric_mean_by_hand(tool: ModuleType) -> None:
    mean = tool.geometric_mean([ratio(0.5, 0.5), ratio(2.0, 2.0)])
    assert (mean.value, mean.low, mean.high) == pytest.approx((1, 1, 1))
    four = tool.geometric_mean([ratio(0.9, 1.1)] * 4)  # of four alike the interval is half as wide
    assert four.high / four.low == pytest.approx((1.1 / 0.9) ** 0.5)


def test_two_packages_take_turns(
    tool: ModuleType, compiled: Callable[..., edgetvm.Package], digits: Path, tmp_path: Path
) -> None:
    package = compiled(digits, "host", name="model").path
    shape = json.loads((package / "manifest.json").read_text())["inputs"][0]["shape"]
    np.savez(tmp_path / "inputs.npz", x=np.zeros(shape, np.float32))
    files = {tool.UNTUNED: package, tool.TUNED: package}
    times, same = tool.compare(files, tmp_path / "inputs.npz", tool.Turns(1, 2, 3, 0.001))
    assert set(times) == set(files) and all(us > 0 for us in times.values())
    assert 0.2 < same.value < 5
