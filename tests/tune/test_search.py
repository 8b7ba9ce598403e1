"""A search that is interrupted goes on as if it had not been."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edgetvm.schedule.decision import decision_text
from edgetvm.schedule.recipe import Machine, machine_for
from edgetvm.target.load import load_target
from edgetvm.tune import search
from edgetvm.tune.best import choices
from edgetvm.tune.budget import Budget
from edgetvm.tune.measure import Measurer
from edgetvm.tune.record_file import RecordFile
from edgetvm.tune.records import Record
from edgetvm.tune.search import Search
from edgetvm.tune.space import Space
from edgetvm.tune.types import Candidate, TuningTask
from tests.tune.layers import conv_layer
from tests.tune.records import PLACE, record

TRIALS = 20
NUMBERS = {"dsp_unrolled": (32, 128)}


class Interrupted(BaseException):
    """As a Ctrl-C."""


class Prices:
    """A measurer whose trials end in any order and cost what their decisions say; `left` trials until an interrupt."""

    def __init__(self, machine: Machine, unit: str, left: int) -> None:
        self.builder, self.place, self.unit = SimpleNamespace(machine=machine), PLACE, unit
        self.left, self.measured = left, list[str]()

    def data(self, task: TuningTask) -> None:
        """Every task can be checked."""

    def measure(
        self, candidates: Sequence[Candidate], rounds: int, tell: Callable[[Record], None], bases: Mapping[str, float]
    ) -> None:
        for candidate in random.sample(list(candidates), len(candidates)):
            if self.left == 0:
                raise Interrupted
            self.left -= 1
            self.measured.append(f"{candidate.task.key} {decision_text(candidate.decision)}")
            cost = 100.0 - sum(len(name) * value % 37 for name, value in candidate.decision.items()) - rounds / 100
            tell(record(candidate.task.key, candidate.decision, cost, unit=self.unit))


@pytest.fixture(scope="module")
def tasks() -> list[TuningTask]:
    made = [conv_layer(channels=16, outputs=outputs) for outputs in (16, 32)]
    return [
        TuningTask(f"{number}b" * 8, "layer", func, constants, "dsp_tile", 1 + number)
        for number, (func, constants) in enumerate(made)
    ]


@pytest.fixture(scope="module")
def spaces() -> Callable[..., Space]:
    """Makes the space of a task once: what its rule writes takes long to find out."""
    made: dict[str, Space] = {}
    return lambda task, *arguments: made.setdefault(task.key, Space(task, *arguments))


def searched(tasks: list[TuningTask], file: Path, unit: str = "cycles", left: int = -1) -> list[str]:
    """What a search measures that is interrupted after `left` trials."""
    machine = machine_for(load_target("cortex-m4"), "library")
    prices = Prices(machine, unit, left)
    whole = Search(cast(Measurer, prices), RecordFile(file), lambda _: None, Budget(trials=TRIALS))
    whole.add(tasks, machine, NUMBERS, seed=1)
    try:
        whole.run()
    except Interrupted:
        assert left >= 0
    return prices.measured


def found_in(file: Path, unit: str) -> dict[str, Any]:
    return {kernel: choice.best.decision for kernel, choice in choices(RecordFile(file).read(), PLACE, [unit]).items()}


@pytest.mark.parametrize("unit", ["cycles", "us"])
def test_an_interrupted_search_goes_the_same_way(
    tasks: list[TuningTask],
    spaces: Callable[..., Space],
    unit: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "Space", spaces)
    alone, often = tmp_path / "alone.sqlite", tmp_path / "often.sqlite"
    undisturbed = searched(tasks, alone, unit)
    assert len(set(undisturbed)) == TRIALS
    parts = [searched(tasks, often, unit, left) for left in (0, 5, 7)]
    assert [len(part) for part in parts] == [0, 5, 7]
    parts.append(searched(tasks, often, unit))
    assert sorted(chain.from_iterable(parts)) == sorted(undisturbed)
    assert found_in(often, unit) == found_in(alone, unit) != {task.key: {} for task in tasks}
    assert searched(tasks, often, unit) == []
