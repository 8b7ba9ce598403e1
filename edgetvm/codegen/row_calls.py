"""What the calls of a program need, in bytes and in time, when some of them go over rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import tvm

from edgetvm.codegen.memory import KernelMemory, Layout, lay_out
from edgetvm.codegen.offsets import assign_offsets, live_sets
from edgetvm.codegen.program import COPY, Call, Program
from edgetvm.cost.row_plan import Source
from edgetvm.cost.row_stages import plan_stages

Span = tuple[int, int, int]  # calls from the first to the end as one kernel, and its rows a step; 0 for a call as it is
Spans = tuple[Span, ...]


@dataclass(frozen=True)
class RowKernel:
    """One call for the calls of a span, and what going by rows costs: about an instruction for two units."""

    call: Call
    memory: KernelMemory
    cost: int = 0


@dataclass
class RowCalls:
    """A program whose calls go over rows as spans say. `known` has what is known of spans.

    `step` is what a stage costs at each step, in bytes that move for as much.
    """

    module: tvm.IRModule
    program: Program
    memory: Mapping[str, KernelMemory]
    align: int
    step: int
    known: dict[Span, RowKernel | None] = field(default_factory=dict)

    def cost(self, spans: Spans) -> int:
        """Of all spans."""
        return sum(kernel.cost for span in spans if (kernel := self.kernel(span)) is not None)

    def live(self, spans: Spans) -> dict[int, int]:
        """Bytes alive at each call."""
        layout = self._layout(spans)
        return live_sets(layout.blocks, layout.leads)

    def arena(self, spans: Spans) -> int:
        """Bytes of the arena."""
        layout = self._layout(spans)
        return assign_offsets(layout.blocks, layout.leads)[1]

    def _layout(self, spans: Spans) -> Layout:
        found = [kernel for span in spans if (kernel := self.kernel(span)) is not None]
        calls = tuple(replace(kernel.call, kernel=str(number)) for number, kernel in enumerate(found))
        kernels = {str(number): kernel.memory for number, kernel in enumerate(found)}
        return lay_out(replace(self.program, calls=calls), kernels, self.align)

    def kernel(self, span: Span) -> RowKernel | None:
        """The calls of a span as one; None if they cannot be one."""
        if span not in self.known:
            first, end, tile = span
            call = self.program.calls[first]
            plain = RowKernel(call, self.memory.get(call.kernel, KernelMemory()))
            self.known[span] = self._join(first, end, tile) if tile else plain
        return self.known[span]

    def _join(self, first: int, end: int, tile: int) -> RowKernel | None:
        program, calls = self.program, self.program.calls[first:end]
        results = {value: number for number, call in enumerate(calls) for value in call.outputs}
        others = (*program.calls[:first], *program.calls[end:])
        read = {program.root(value) for call in others for value in call.inputs}
        read |= set(map(program.root, program.outputs))
        inner = [value for call in calls[:-1] for value in call.outputs]
        if any(value in read for value in inner) or any(call.kernel == COPY for call in calls):
            return None
        outside = list(dict.fromkeys(value for call in calls for value in call.inputs if value not in results))
        names: dict[int, Source] = {value: str(position) for position, value in enumerate(outside)}
        names |= results
        plan = plan_stages(
            [(self.module[call.kernel], [names[value] for value in call.inputs]) for call in calls], tile
        )
        if plan is None or plan.ragged:
            return None
        work = max(sum(self.memory[call.kernel].workspaces) for call in calls)
        leads = {int(name): plan.lead(name) for name in plan.images}
        memory = KernelMemory((*plan.scratch, work), (), leads)
        cost = plan.moved_bytes + plan.steps * len(plan.stages) * self.step
        return RowKernel(Call("", tuple(outside), calls[-1].outputs, ()), memory, cost)
