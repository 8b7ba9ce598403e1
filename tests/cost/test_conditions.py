"""How often conditions on loop variables hold, against a count in Python."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import tirx

from edgetvm.cost.conditions import share

ROW, COLUMN = tirx.Var("i", "int32"), tirx.Var("j", "int32")


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 9), columns=st.integers(1, 9), low=st.integers(-2, 10), high=st.integers(-2, 20))
def test_a_part_of_the_iterations(rows: int, columns: int, low: int, high: int) -> None:
    condition = tirx.And(low <= ROW * 2 + COLUMN, tirx.Not(high < ROW * 2 + COLUMN))
    holds = [low <= 2 * i + j <= high for i in range(rows) for j in range(columns)]
    assert share(condition, [], {ROW: rows, COLUMN: columns}) == pytest.approx(sum(holds) / len(holds))


def test_of_a_chain_every_condition_counts_where_those_before_do_not_hold() -> None:
    first, second = ROW < 2, ROW < 5
    assert share(first, [], {ROW: 10}) == pytest.approx(0.2)
    assert share(second, [tirx.Not(first)], {ROW: 10}) == pytest.approx(3 / 8)
    assert share(tirx.Not(second), [tirx.Not(first)], {ROW: 10}) == pytest.approx(5 / 8)


def test_what_is_not_known() -> None:
    assert share(ROW < COLUMN, [], {ROW: 10}) is None
    assert share(ROW < 2, [ROW < 0], {ROW: 10}) is None
    assert share(ROW < 2, [], {ROW: 1 << 20}) is None
    assert share(tirx.Select(ROW < 2, ROW, COLUMN) < 2, [], {ROW: 4, COLUMN: 4}) is None
