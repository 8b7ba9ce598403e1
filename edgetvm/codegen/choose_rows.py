"""Which kernels to join so that a model needs less memory: those around the call that needs the most.

Joined kernels go over rows (`cost/row_plan.py`): of what they pass on only a few rows are kept, and they write
their result over the rows of their input that are not read any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import tvm

from edgetvm.codegen.memory import KernelMemory, kernel_memory, lay_out
from edgetvm.codegen.offsets import live_sets
from edgetvm.codegen.program import COPY, Call, Program
from edgetvm.cost.row_plan import Source
from edgetvm.cost.row_stages import plan_stages
from edgetvm.passes.join_rows import Segment
from edgetvm.schedule.place_part import scratch_bytes, without_blocks
from edgetvm.schedule.types import ScheduledKernel

MOST_STAGES = 8

Span = tuple[int, int]  # calls from the first to the end, which are one kernel


def choose_rows(
    module: tvm.IRModule, program: Program, scheduled: Mapping[str, ScheduledKernel], align: int
) -> tuple[Segment, ...]:
    """The calls of `program` to join, in order, so that its largest live set becomes small.

    The call that needs the most is joined with those neighbours with which it needs least, again and again, until
    that helps no more. `align` is the alignment of tensors in bytes.
    """
    memory = {
        name: kernel_memory(kernel, (scratch_bytes(without_blocks(kernel.func)),)) for name, kernel in scheduled.items()
    }
    rows = _Rows(module, program, memory, align)
    spans: tuple[Span, ...] = tuple((call, call + 1) for call in range(len(program.calls)))
    best, peak = spans, None
    while True:
        live = rows.live(spans)
        worst = max(live, key=lambda call: live[call], default=-1)
        if peak is None or live.get(worst, 0) < peak:
            best, peak = spans, live.get(worst, 0)
        choices = [(rows.live(each)[at], at, each) for at, each in rows.joined_around(spans, worst)]
        needed, _, spans = min(choices, default=(peak, 0, spans))
        if needed >= peak:
            return tuple(Segment(first, end, 1) for first, end in best if end - first > 1)


@dataclass
class _Rows:
    """What calls need when some of them are joined. `known` has what is known of spans."""

    module: tvm.IRModule
    program: Program
    memory: Mapping[str, KernelMemory]
    align: int
    known: dict[Span, tuple[Call, KernelMemory] | None] = field(default_factory=dict)

    def joined_around(self, spans: tuple[Span, ...], call: int) -> Iterator[tuple[int, tuple[Span, ...]]]:
        """All ways to join a call of `spans` with its neighbours: (its number then, spans)."""
        for first in range(call + 1):
            for end in range(max(call + 1, first + 2), len(spans) + 1):
                span = (spans[first][0], spans[end - 1][1])
                if span[1] - span[0] <= MOST_STAGES and self.joined(span) is not None:
                    yield first, (*spans[:first], span, *spans[end:])

    def live(self, spans: tuple[Span, ...]) -> dict[int, int]:
        """Bytes alive at each call."""
        found = [self.joined(span) for span in spans]
        calls = [replace(entry[0], kernel=str(number)) for number, entry in enumerate(found) if entry is not None]
        kernels = {str(number): entry[1] for number, entry in enumerate(found) if entry is not None}
        layout = lay_out(replace(self.program, calls=tuple(calls)), kernels, self.align)
        return live_sets(layout.blocks, layout.leads)

    def joined(self, span: Span) -> tuple[Call, KernelMemory] | None:
        """The calls of a span as one; None if they cannot be one."""
        if span not in self.known:
            first = self.program.calls[span[0]]
            single = span[1] - span[0] == 1
            self.known[span] = (first, self.memory.get(first.kernel, KernelMemory())) if single else self._join(span)
        return self.known[span]

    def _join(self, span: Span) -> tuple[Call, KernelMemory] | None:
        program, calls = self.program, self.program.calls[span[0] : span[1]]
        results = {value: number for number, call in enumerate(calls) for value in call.outputs}
        others = (*program.calls[: span[0]], *program.calls[span[1] :])
        read = {
            program.root(value) for values in (*(call.inputs for call in others), program.outputs) for value in values
        }
        inner = [value for call in calls[:-1] for value in call.outputs]
        if any(value in read for value in inner) or any(call.kernel == COPY for call in calls):
            return None
        outside = list(dict.fromkeys(value for call in calls for value in call.inputs if value not in results))
        names: dict[int, Source] = {value: str(position) for position, value in enumerate(outside)}
        names |= results
        kernels = [(self.module[call.kernel], [names[value] for value in call.inputs]) for call in calls]
        plan = plan_stages(kernels, 1)
        if plan is None:
            return None
        work = max(sum(self.memory[call.kernel].workspaces) for call in calls)
        leads = {int(name): plan.lead(name) for name in plan.images}
        return Call("", tuple(outside), calls[-1].outputs, ()), KernelMemory((*plan.scratch, work), (), leads)
