"""Kernels of several stages: the rules schedule each stage for a few rows, and one loop goes over the rows.

Between stages only those rows are kept that are still read (`cost/row_plan.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from tvm import tirx

from edgetvm.cost.row_plan import RowPlan
from edgetvm.cost.row_runs import Run, runs_of
from edgetvm.cost.row_stages import TILE, plan_of, row_elements, stages_of
from edgetvm.cost.row_windows import AXIS
from edgetvm.schedule.copy_rows import with_copies
from edgetvm.schedule.decision import decided
from edgetvm.schedule.move_elements import fill_elements, move_elements
from edgetvm.schedule.place_part import Place, place_part, scratch_bytes, without_blocks
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.write_code import Code, Offset, number
from edgetvm.schedule.slice_rows import slice_rows
from edgetvm.schedule.types import Constants, Packing, ScheduledKernel, Task

ScheduleOne = Callable[[tirx.PrimFunc, Machine, Constants], ScheduledKernel]


def schedule_rows(
    func: tirx.PrimFunc, machine: Machine, constants: Constants, schedule: ScheduleOne
) -> ScheduledKernel:
    """Schedule a kernel with the attributes of `row_stages`; `schedule` schedules a part.

    Where parts of a stage would read a constant in different layouts, the rules decide everything themselves, or each
    stage goes over all rows at once.
    """
    stages = stages_of(func)
    machines = [machine, replace(machine, decisions={})] if machine.decisions else [machine]
    for tile in (int(func.attrs[TILE]), max(int(stage.params[-1].shape[AXIS]) for stage in stages)):
        plan = plan_of(func, stages, tile)
        assert plan is not None
        for own in machines:
            writer = RowWriter(func, with_copies(func, stages, plan), plan, own)
            if writer.schedule_parts(constants, schedule):
                return writer.write()
    raise AssertionError("a stage of all rows has one part")


@dataclass
class RowWriter:
    """Writes the loop. `parts` are scheduled kernels by stage and rows, `packed` the constants as they read them.

    What is decided about the part that a stage calls most often holds for its other parts.
    """

    func: tirx.PrimFunc
    stages: Sequence[tirx.PrimFunc]
    plan: RowPlan
    machine: Machine
    parts: dict[tuple[int, int], tirx.PrimFunc] = field(default_factory=dict)
    layouts: dict[int, Packing | None] = field(default_factory=dict)
    packed: dict[tirx.Buffer, tirx.Buffer] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)

    @cached_property
    def runs(self) -> list[tuple[Run, ...]]:
        """Of each stage."""
        return [runs_of(self.plan, number) for number in range(len(self.stages))]

    @cached_property
    def results(self) -> dict[tirx.Buffer, int]:
        """Which stage computes a buffer."""
        return {stage.params[-1]: number for number, stage in enumerate(self.stages)}

    @cached_property
    def positions(self) -> dict[tirx.Buffer, int]:
        """Of the parameters of the whole."""
        return {param: position for position, param in enumerate(self.func.params)}

    def schedule_parts(self, constants: Constants, schedule: ScheduleOne) -> bool:
        """Schedule all parts; False if they lay a constant out in two ways."""
        for order, stage in enumerate(self.stages):
            own = {
                at: constants[position]
                for at, param in enumerate(stage.params)
                if (position := self.positions.get(param, -1)) in constants and str(position) not in self.plan.images
            }
            slices, times = self._slices(order)
            often = max(slices, key=times.__getitem__)
            machine, decision = decided(self.machine, slices[often])
            for count, func in slices.items():
                part = schedule(func, machine, own)
                self.parts[order, count] = without_blocks(part.func)
                if count == often and len(part.tasks) == 1:
                    self.tasks.append(replace(part.tasks[0], func=func, decision=decision, times=times[count]))
                for at in own:
                    position, layout = self.positions[stage.params[at]], part.packing.get(at)
                    if self.layouts.setdefault(position, layout) != layout:
                        return False
                    self.packed[stage.params[at]] = part.func.params[at]
        return True

    def _slices(self, order: int) -> tuple[dict[int, tirx.PrimFunc], Counter[int]]:
        """The parts of a stage by their rows, and in how many steps each is called."""
        slices: dict[int, tirx.PrimFunc] = {}
        times: Counter[int] = Counter()
        for run in self.runs[order]:
            if run.count:
                times[run.count] += run.end - run.first
                if run.count not in slices:
                    slices[run.count] = slice_rows(self.stages[order], (run.row, run.row + run.count))
        return slices, times

    def write(self) -> ScheduledKernel:
        """The whole."""
        code, plan = Code(), self.plan
        scratch = [
            code.array(f"rows{number}", plan.scratch_rows(number) * row_elements(buffer), str(buffer.dtype), "global")
            for buffer, number in self.results.items()
            if number < len(self.stages) - 1
        ]
        shared = max(map(scratch_bytes, self.parts.values()))  # by all parts, since one runs after the other
        work = code.array("work", shared, "int8", "global") if shared else self.func.params[-1]
        for buffer, border in zip(scratch, plan.borders, strict=False):
            if border is not None:
                fill_elements(code, buffer, 0, int(buffer.shape[0]), border, self.machine)
        with code.loop("step", plan.steps) as step:
            for stage in range(len(self.stages)):
                code.add(self._stage(stage, scratch, work, step))
            for stage, buffer in enumerate(scratch):
                moved = plan.tiles[stage] * row_elements(self.stages[stage].params[-1])
                move_elements(code, buffer, moved, int(buffer.shape[0]) - moved, self.machine)
        params = [self.packed.get(param, param) for param in self.func.params]
        packing = {position: layout for position, layout in self.layouts.items() if layout is not None}
        leads = {int(name): plan.lead(name) for name in plan.images}
        func = tirx.PrimFunc(params, code.statement(), self.func.ret_type, self.func.attrs)
        noalias = all(bool(part.attrs.get("tirx.noalias", True)) for part in self.parts.values())
        return ScheduledKernel(
            func.with_attrs({"global_symbol": "main", "tirx.noalias": noalias}),
            "row_stages",
            packing,
            leads=leads,
            tasks=tuple(self.tasks),
        )

    def _stage(self, stage: int, scratch: Sequence[tirx.Buffer], work: tirx.Buffer, step: Offset) -> tirx.Stmt:
        """What a stage does in a step: a chain of conditions on the step."""
        whole: tirx.Stmt | None = None
        for run in reversed(self.runs[stage]):
            code = Code()
            part = self.parts.get((stage, run.count))
            if part is None:
                code.add(tirx.Evaluate(number(0)))  # nothing yet, or no more
            else:
                places = [self._place(stage, param, run, scratch, step) for param in self.stages[stage].params]
                place_part(code, part, places, work)
            self._border(code, stage, run, scratch)
            body = code.statement()
            whole = body if whole is None else tirx.IfThenElse(number(step) < number(run.end), body, whole)
        assert whole is not None
        return whole

    def _place(self, stage: int, param: tirx.Buffer, run: Run, scratch: Sequence[tirx.Buffer], step: Offset) -> Place:
        """Where the rows begin that a part reads or writes."""
        plan, source, elements = self.plan, self.results.get(param), row_elements(param)
        if source is not None and source < len(scratch):
            row = run.row if source == stage else plan.first_read(stage, source, run.first)
            return scratch[source], plan.place(source, row, run.first) * elements
        if source is not None:
            return param, _moving(run.row, plan.tiles[stage], run, step) * elements
        window = plan.stages[stage].reads.get(name := str(self.positions[param]))
        if window is None:
            return self.packed.get(param, param), 0
        row = plan.first_read(stage, name, run.first)
        return param, _moving(row, plan.tiles[stage] * window.stride, run, step) * elements

    def _border(self, code: Code, stage: int, run: Run, scratch: Sequence[tirx.Buffer]) -> None:
        """Rows behind the last one, as later stages see them."""
        border, missing = self.plan.borders[stage], self.plan.tiles[stage] - run.count
        if border is None or missing == 0 or run.row + run.count < self.plan.stages[stage].result.rows:
            return
        size = missing * row_elements(self.stages[stage].params[-1])
        fill_elements(code, scratch[stage], int(scratch[stage].shape[0]) - size, size, border, self.machine)


def _moving(row: int, rows: int, run: Run, step: Offset) -> Offset:
    """`row` in the first step of a run, `rows` more in each after it."""
    return row if run.end - run.first == 1 else (step - run.first) * rows + row
