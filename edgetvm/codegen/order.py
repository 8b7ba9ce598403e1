"""The order of kernel calls that needs the least memory at once, of all in which every call follows what it reads.

A state is the set of calls that are done. What is alive then depends on the set alone, not on how it was reached, so
that the best order is the path from no call to all whose largest need is least: found by always going on from the
state that needed least so far. A chain has one order; how many sets there are grows with the width of the graph.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgetvm.codegen.memory import KernelMemory
from edgetvm.codegen.program import Program

MOST_STATES = 4_000  # a second where forty calls may come next


def order_calls(program: Program, kernels: Mapping[str, KernelMemory]) -> Program:
    """`program` in the best order, or as it is where that is as good or the search would take too long.

    A kernel that is not among `kernels` needs nothing but its tensors.
    """
    graph = _Graph(program, kernels)
    given = tuple(range(len(program.calls)))
    order = _search(graph, graph.peak(given))
    return program if order is None else replace(program, calls=tuple(program.calls[step] for step in order))


class _Graph:
    """Who reads what, as bits of a set of calls, and what calls need."""

    def __init__(self, program: Program, kernels: Mapping[str, KernelMemory]) -> None:
        def roots(values: Sequence[int]) -> list[int]:
            return [root for root in map(program.root, values) if program.values[root].data is None]

        self.bytes = {root: program.values[root].bytes for root in range(len(program.values))}
        self.reads = [roots(call.inputs) for call in program.calls]
        self.writes = [roots(call.outputs) for call in program.calls]
        needs = [kernels.get(call.kernel, KernelMemory()) for call in program.calls]
        self.scratch = [sum(need.workspaces) for need in needs]
        self.readers: dict[int, int] = {}
        for step, reads in enumerate(self.reads):
            for root in reads:
                self.readers[root] = self.readers.get(root, 0) | 1 << step
        made = {root: step for step, writes in enumerate(self.writes) for root in writes}
        self.before = [sum({1 << made[root] for root in reads if root in made}) for reads in self.reads]
        self.outputs = set(roots(program.outputs))
        self.inputs = roots(program.inputs)
        self.shares = [
            [
                (program.root(call.inputs[source]), program.root(call.outputs[result]), lead)
                for source, result, lead in (
                    *((source, result, 0) for source, result in need.reusable),
                    *((source, 0, lead) for source, lead in need.leads.items()),
                )
            ]
            for call, need in zip(program.calls, needs, strict=True)
        ]

    def dies(self, root: int, done: int) -> bool:
        """Whether nothing will read it any more."""
        return root not in self.outputs and not self.readers.get(root, 0) & ~done

    def start(self) -> int:
        """Bytes alive before the first call."""
        return sum(self.bytes[root] for root in set(self.inputs))

    def step(self, call: int, done: int, alive: int) -> tuple[int, int]:
        """Bytes while `call` runs, and behind it. `done` are the calls before it, `alive` bytes behind those."""
        behind = done | 1 << call
        alive += sum(self.bytes[root] for root in self.writes[call])
        freed = {root for root in (*self.reads[call], *self.writes[call]) if self.dies(root, behind)}
        saved: dict[int, int] = {}
        for source, result, lead in self.shares[call]:
            if source in freed and self.reads[call].count(source) == 1:
                out, old = self.bytes[result], self.bytes[source]
                saved[result] = max(saved.get(result, 0), out + old - max(out, old + lead))
        need = alive + self.scratch[call] - sum(saved.values())
        return need, alive - sum(self.bytes[root] for root in freed)

    def peak(self, order: Sequence[int]) -> int:
        """The largest need of any call."""
        done, alive, most = 0, self.start(), 0
        for call in order:
            need, alive = self.step(call, done, alive)
            done, most = done | 1 << call, max(most, need)
        return most


def _search(graph: _Graph, given: int) -> tuple[int, ...] | None:
    """An order whose peak is below `given`; None if there is none or too many states are in between."""
    count = len(graph.reads)
    states: list[tuple[int, int, tuple[int, ...], int, int]] = [(0, 0, (), 0, graph.start())]
    seen: set[int] = set()
    while states and len(seen) < MOST_STATES:
        peak, _, order, done, alive = heapq.heappop(states)
        if len(order) == count:
            return order
        if done in seen:
            continue
        seen.add(done)
        for call in range(count):
            if not done >> call & 1 and not graph.before[call] & ~done:
                need, behind = graph.step(call, done, alive)
                if max(peak, need) < given:
                    state = (max(peak, need), -len(order) - 1, (*order, call), done | 1 << call, behind)
                    heapq.heappush(states, state)
    return None
