"""Which record a compilation takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.errors import RecordsError
from edgetvm.schedule.recipe import machine_for
from edgetvm.target.load import load_target
from edgetvm.tune.best import TIME_UNITS, choices, choices_within, cost_of
from edgetvm.tune.record_file import RecordFile
from edgetvm.tune.records import Record, place_of
from edgetvm.tune.text import read_text, write_text
from edgetvm.tune.types import WRONG
from edgetvm.tune.use import tuned_for
from tests.tune.records import PLACE, record

A, B = {"dsp_unrolled": 16}, {"dsp_unrolled": 32}


def decision(*records: object) -> object:
    found = choices(list(records), PLACE, TIME_UNITS)  # type: ignore[arg-type]
    return found[record().kernel].best.decision if found else None


def test_the_cheapest_that_is_right() -> None:
    assert decision(record(), record(decision=A, cost=90), record(decision=B, cost=80)) == B
    assert decision(record(), record(decision=A, cost=90), record(decision=B, cost=None, status=WRONG)) == A
    assert decision(record(), record(decision=A, cost=110)) == {}


def test_within_the_spread_the_rule_decides() -> None:
    assert decision(record(spread=4), record(decision=A, cost=93, spread=4)) == {}
    assert decision(record(spread=1), record(decision=A, cost=93, spread=4)) == A


def test_the_last_measurement_of_a_candidate_counts() -> None:
    assert decision(record(), record(decision=A, cost=80), record(decision=A, cost=120)) == {}


def test_without_the_rules_own_choice_nothing_is_known() -> None:
    assert decision(record(decision=A)) is None


def test_time_counts_before_instructions() -> None:
    counted = [record(unit="instructions"), record(decision=A, cost=50, unit="instructions")]
    assert decision(*counted) == A
    assert decision(*counted, record(unit="us"), record(decision=A, cost=110, unit="us")) == {}


def test_other_places_do_not_count() -> None:
    for other in ({"core": "cortex-m7"}, {"tools": "edgetvm 0"}, {"optimize": "size"}, {"features": "dsp"}):
        place = replace(PLACE, **other)
        assert decision(record(place=place), record(decision=A, cost=1, place=place)) is None


KERNELS = ("a" * 16, "b" * 16)


def sized(kernel: str, decision: dict[str, int], cost: float, code_bytes: int) -> Record:
    return replace(record(kernel, decision, cost), code_bytes=code_bytes)


def test_within_a_limit_bytes_go_where_they_gain_most() -> None:
    records = [
        *(sized(kernel, {}, 100, 1000) for kernel in KERNELS),
        *(sized(kernel, A, 50, 1300) for kernel in KERNELS),
        *(sized(kernel, B, 90, 900) for kernel in KERNELS),
    ]

    def best(calls: int, room: int) -> list[dict[str, int]]:
        within = choices_within(records, PLACE, TIME_UNITS, {KERNELS[0]: calls, KERNELS[1]: 2}, room)
        return [dict(within[kernel].best.decision) for kernel in KERNELS]

    assert best(1, 600) == best(9, 600) == [A, A]
    assert best(1, 200) == [B, A] and best(9, 200) == [A, B]
    assert best(1, 199) == [B, B] == best(1, -200)
    assert choices_within(records, PLACE, TIME_UNITS, {}) == {}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(10, 200), st.integers(500, 1500)), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(10, 200), st.integers(500, 1500)), min_size=1, max_size=6),
    st.integers(0, 1200),
)
def test_within_a_limit_nothing_is_slower_or_larger(
    one: list[tuple[int, int]], other: list[tuple[int, int]], room: int
) -> None:
    records = [sized(kernel, {}, 100, 1000) for kernel in KERNELS]
    for kernel, options in zip(KERNELS, (one, other), strict=True):
        records += [sized(kernel, {"dsp_unrolled": n}, *option) for n, option in enumerate(options)]
    free = choices(records, PLACE, TIME_UNITS)
    within = choices_within(records, PLACE, TIME_UNITS, dict.fromkeys(KERNELS, 1), room)
    assert sum(choice.best.code_bytes - 1000 for choice in within.values()) <= room
    for kernel, choice in within.items():
        assert cost_of(free[kernel].best).value <= cost_of(choice.best).value <= 100


def test_text_is_sorted_and_comes_back(tmp_path: Path) -> None:
    made = [record("b" * 16, A, 7.0), record("a" * 16), record("b" * 16)]
    text = write_text(made)
    (tmp_path / "r.jsonl").write_text(text)
    back = read_text(tmp_path / "r.jsonl")
    assert [(r.kernel, r.decision, r.outcome.cost) for r in back] == [
        (r.kernel, r.decision, r.outcome.cost) for r in (made[1], made[0], made[2])
    ]
    assert write_text(reversed(back)) == text
    for bad in ("", "{}\n", '{"schema": 99}\n', "no\n"):
        (tmp_path / "r.jsonl").write_text(bad)
        with pytest.raises(RecordsError):
            read_text(tmp_path / "r.jsonl")


def test_a_compilation_is_told_what_is_of_no_use(tmp_path: Path) -> None:
    machine = machine_for(load_target("cortex-m4"), "library")
    place = place_of("cortex-m4", machine, "balanced")
    assert place == PLACE
    file = RecordFile(tmp_path / "r.sqlite")
    file.append([record(), record(decision=A, cost=80)])
    file.append([record(place=replace(place, core="cortex-m7")), record(place=replace(place, tools="edgetvm 0"))])
    tuned = tuned_for("cortex-m4", [machine], "balanced", file.path)
    assert tuned.machines[0].decisions[record().kernel] == A
    assert tuned.notes == [
        "r.sqlite: 1 records are of cortex-m7, and not used",
        "r.sqlite: 1 records are of edgetvm 0, and not used",
    ]
    with pytest.raises(RecordsError, match="does not exist"):
        tuned_for("cortex-m4", [machine], "balanced", tmp_path / "none.sqlite")
