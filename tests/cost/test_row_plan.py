"""Plans of rows, played with row numbers for rows: whatever a stage reads is where the plan says."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.cost.row_plan import Image, RowPlan, Source, Stage, plan_rows
from edgetvm.cost.row_runs import runs_of
from edgetvm.cost.row_windows import Window

BORDER = -1
SAME = Window(1, 3, 1, BORDER)
POINT = Window(1, 1, 0)


def height(rows: int, window: Window, after: int) -> int:
    return (rows + window.before + after - window.taps) // window.stride + 1


@st.composite
def plans(draw: st.DrawFn) -> RowPlan:
    """Stages that read the one before, the first an image; the last may read any other in step with it."""
    rows = draw(st.integers(4, 20))
    images = {"x": Image(rows, draw(st.integers(1, 4)))}
    stages: list[Stage] = []
    source: Source = "x"
    for number in range(draw(st.integers(1, 4))):
        window = Window(draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(0, 1)), BORDER)
        size = height(rows, window, draw(st.integers(0, 1)))
        if size < 2:
            window, size = POINT, rows
        stages.append(Stage(Image(size, draw(st.integers(1, 4))), {source: window}))
        rows, source = size, number
    last = stages[-1]
    for number, stage in enumerate(stages[:-1]):
        if number not in last.reads and stage.result.rows == rows and draw(st.booleans()):
            last = Stage(last.result, {**last.reads, number: POINT})
    plan = plan_rows([*stages[:-1], last], images, draw(st.integers(1, 4)))
    return plan if plan is not None else draw(plans())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(plan=plans())
def test_law_rows_lie_where_they_are_read(plan: RowPlan) -> None:
    scratch = [np.full(plan.scratch_rows(number), BORDER) for number in range(len(plan.stages) - 1)]
    written: list[int] = []
    for step in range(plan.steps):
        for number, stage in enumerate(plan.stages):
            first, end = plan.rows(number, step)
            for source, window in stage.reads.items() if first < end else ():
                low = plan.first_read(number, source, step)
                high = low + (end - first - 1) * window.stride + window.taps
                if isinstance(source, str):
                    assert low >= 0 and high <= plan.images[source].rows
                    continue
                place = plan.place(source, low, step)
                limit = plan.stages[source].result.rows
                wanted = [row if 0 <= row < limit else BORDER for row in range(low, high)]
                assert list(scratch[source][place : place + high - low]) == wanted
            if number == len(plan.stages) - 1:
                written += range(first, end)
                continue
            rows = [*range(first, end), *[BORDER] * (plan.tiles[number] - end + first)]
            if step >= plan.delays[number]:
                scratch[number][-plan.tiles[number] :] = rows
        for tile, rows in zip(plan.tiles, scratch, strict=False):
            rows[: len(rows) - tile] = rows[tile:].copy()
    assert written == list(range(plan.stages[-1].result.rows))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(plan=plans())
def test_law_what_is_written_over_is_read_before(plan: RowPlan) -> None:
    lead, last = plan.lead("x"), len(plan.stages) - 1
    image = plan.images["x"]
    over = -lead  # bytes of the image that the result has taken
    for step in range(plan.steps):
        for number, stage in enumerate(plan.stages):
            first, end = plan.rows(number, step)
            if number == last and first < end:
                over = end * stage.result.row_bytes - lead
            if "x" in stage.reads and first < end:
                assert plan.first_read(number, "x", step) * image.row_bytes >= over


@settings(max_examples=50, deadline=None, derandomize=True)
@given(plan=plans())
def test_law_runs_are_all_steps(plan: RowPlan) -> None:
    for number in range(len(plan.stages)):
        steps = [
            (step, run.row + (step - run.first) * plan.tiles[number], run.count)
            for run in runs_of(plan, number)
            for step in range(run.first, run.end)
        ]
        assert [step for step, _, _ in steps] == list(range(plan.steps))
        for step, row, count in steps:
            first, end = plan.rows(number, step)
            assert count == end - first and (count == 0 or row == first)


def test_a_block_with_a_residual() -> None:
    stages = [Stage(Image(32, 512), {"x": SAME}), Stage(Image(32, 512), {0: SAME, "x": POINT})]
    plan = plan_rows(stages, {"x": Image(32, 512)}, 1)
    assert plan is not None
    assert plan.copies == ("x",)
    assert plan.delays == (0, 1, 2)
    assert plan.scratch == (3 * 512, 3 * 512)
    assert plan.lead("x") == 0


def test_a_pointwise_stage_needs_no_copy() -> None:
    stages = [Stage(Image(8, 64), {"x": POINT}), Stage(Image(8, 64), {0: SAME})]
    plan = plan_rows(stages, {"x": Image(8, 32)}, 1)
    assert plan is not None
    assert plan.copies == ()
    assert plan.scratch == (3 * 64,)
    assert plan.lead("x") == 8 * 64 - 8 * 32  # the result is larger: it ends where the image ends


def test_refused_plans() -> None:
    image = {"x": Image(8, 8)}
    halves = Stage(Image(4, 8), {0: Window(2, 1, 0)})
    two_speeds = [Stage(Image(8, 8), {"x": POINT}), halves, Stage(Image(4, 8), {0: POINT, 1: POINT})]
    assert plan_rows(two_speeds, image, 1) is None
    unknown = [Stage(Image(8, 8), {"x": POINT}), Stage(Image(8, 8), {0: Window(1, 3, 1)})]
    assert plan_rows(unknown, image, 1) is None
