"""Peeled borders of depthwise windows: every output in one run, and in it exactly the taps that are outside."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.schedule.rules.depthwise_window import Line, runs_of

SMALL = st.integers(1, 5)


@st.composite
def lines(draw: st.DrawFn) -> tuple[Line, int]:
    """Any axis with at least one output, and how many outputs it has."""
    taps, step, apart, size = draw(SMALL), draw(SMALL), draw(st.integers(1, 3)), draw(st.integers(1, 12))
    before, after = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    outputs = (size + before + after - (taps - 1) * apart - 1) // step + 1
    return Line(taps, -before, step, apart, size, pitch=7), max(outputs, 0)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(given_line=lines(), count=st.integers(1, 4))
def test_law_every_output_is_written_once_and_sees_what_it_should(given_line: tuple[Line, int], count: int) -> None:
    line, outputs = given_line
    written = []
    for run in runs_of(line, outputs, count):
        for repeat in range(run.repeats):
            start = run.first + repeat * run.count
            written += range(start, start + run.count)
            for n in range(run.count):
                for tap in range(line.taps):
                    place = n * line.step + tap * line.apart
                    assert (place in run.seen) == (0 <= line.first + start * line.step + place < (line.size or 0))
    assert written == list(range(outputs))


def test_only_borders_are_peeled() -> None:
    """Three taps with a border of one: the first, all between, the last."""
    line = Line(3, -1, 1, 1, 48, pitch=1)
    assert [(run.first, run.repeats, run.seen) for run in runs_of(line, 48, 1)] == [
        (0, 1, (1, 2)),
        (1, 46, (0, 1, 2)),
        (47, 1, (0, 1)),
    ]
    assert len(runs_of(Line(3, 0, 1, 1, None, pitch=1), 46, 1)) == 1
