"""The live view of `edgetvm tune`."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from edgetvm.cli.show_tuning import live_tuning, view
from edgetvm.tune.status import DONE, SEARCHING, WAITING, Status, TaskStatus, cost_text, gain_text

TASKS = (
    TaskStatus("k1_convolve_add_requantize", "dsp_tile", 16, 0.75, 203_982.0, 192_560.0, 9, SEARCHING),
    TaskStatus("k2_softmax", "elementwise", 1, 0.25, 54.28, 54.28, 1, DONE),
)


def lines(status: Status, width: int = 120) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(view(status))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_all_and_each_task() -> None:
    total, titles, first, second = lines(Status("cycles", 10, 8, 4.0, 30.0, 3_263_766.0, 3_081_014.0, TASKS))
    assert total.startswith("tune: 10 trials, 120 a minute; 1 of 2 tasks done; 3,263,766 -> 3,081,014 cycles an inf")
    assert total.endswith("(0.944); 4 s, 30 s left")
    assert titles.split() == "kernel rule calls share before best ratio trials state".split()
    assert first.split() == "k1_convolve_add_requantize dsp_tile 16 75.0 % 203,982 192,560 0.944 9 searching".split()
    assert second.split() == "k2_softmax elementwise 1 25.0 % 54.3 54.3 1.000 1 done".split()


def test_what_is_not_known_yet() -> None:
    task = TaskStatus("k1", "dsp_tile", 1, 0.0, None, None, 0, WAITING)
    total, _, row = lines(Status("us", 0, 0, 0.0, None, None, None, (task,)))
    assert total == "tune: 0 trials, 0 a minute; 0 of 1 tasks done; 0 s"
    assert row.split() == "k1 dsp_tile 1 0.0 % - - - 0 waiting".split()


def test_a_narrow_terminal_cuts_names_and_no_figures() -> None:
    shown = lines(Status("cycles", 10, 8, 4.0, 30.0, None, None, TASKS), width=82)
    first = next(line for line in shown if line.startswith("k1"))
    assert "\u2026" in first and first.split()[-6:] == "% 203,982 192,560 0.944 9 searching".split()


def test_without_a_terminal_there_is_no_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with live_tuning() as watch:
        assert watch is None


def test_three_significant_digits() -> None:
    assert list(map(cost_text, (None, 54.28, 3.14159, 0.01234, 123.4, 18_059_744.0))) == [
        "-", "54.3", "3.14", "0.0123", "123", "18,059,744",
    ]  # fmt: skip
    assert gain_text(54.28, 51.0, "us") == "54.3 -> 51.0 us an inference (0.940)"
    assert gain_text(0.0, 0.0, "us") == "nothing was measured"
