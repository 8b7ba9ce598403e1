"""When a search ends."""

from __future__ import annotations

import pytest

from edgetvm.tune.budget import Budget, time_text


def test_room() -> None:
    assert Budget().room(1000, 1e6, 16) == 16
    assert Budget(trials=20).room(10, 1e6, 16) == 10
    assert Budget(trials=20).room(20, 0.0, 16) == 0
    assert Budget(trials=20, seconds=60).room(0, 60.0, 16) == 0


def test_what_is_left_is_the_nearer_limit_at_the_pace_so_far() -> None:
    assert Budget().left(10, 10, 5.0) is None
    assert Budget(trials=40).left(30, 0, 0.0) is None
    assert Budget(trials=40).left(10, 10, 5.0) == pytest.approx(15)
    assert Budget(trials=40).left(20, 10, 5.0) == pytest.approx(10)
    assert Budget(trials=40, seconds=12).left(10, 10, 5.0) == pytest.approx(7)
    assert Budget(seconds=60).left(100, 100, 61.0) == 0.0


def test_times_in_words() -> None:
    assert [time_text(seconds) for seconds in (0, 119, 120, 600)] == ["0 s", "119 s", "2 min", "10 min"]
