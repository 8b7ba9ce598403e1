"""Where every tensor lies: in which arena, if there are several, and where in it.

Each buffer has a size and the range of calls in which it is alive; two buffers may share bytes
when their ranges do not meet, or where a call writes its output over what it has read of an input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from edgetvm.codegen.in_place import reusable_inputs
from edgetvm.codegen.offsets import Block, Leads, live_sets
from edgetvm.codegen.program import COPY, Call, Program
from edgetvm.codegen.spread import Room, spread
from edgetvm.cost.operations import WORD
from edgetvm.schedule.types import ScheduledKernel


class Place(NamedTuple):
    """An arena by its number, and the bytes from its start."""

    arena: int
    offset: int


@dataclass(frozen=True)
class Arena:
    """One block of memory of the caller; `region` is the memory of the board for which it is planned, None for any."""

    bytes: int
    region: str | None = None


@dataclass(frozen=True)
class MemoryPlan:
    """One arena, or one in each of several memory regions, the fastest first.

    `values` is keyed by the value that owns the memory; `workspaces` has a tuple per call.
    `in_place` are the calls whose output may lie on one of their inputs. `live_bytes` is the largest
    live set of any call, below which no plan can go.
    """

    values: Mapping[int, Place]
    workspaces: tuple[tuple[Place, ...], ...]
    in_place: frozenset[int]
    arenas: tuple[Arena, ...]
    live_bytes: int

    @property
    def arena_bytes(self) -> int:
        """Of all arenas."""
        return sum(arena.bytes for arena in self.arenas)


@dataclass(frozen=True)
class KernelMemory:
    """What the planner has to know of a kernel.

    workspaces   bytes of each scratch pointer
    reusable     (input, output) positions where the kernel may write its output exactly over that input
    leads        by input position, the bytes by which the output must begin before that input if it is written
                 over what was read of it
    accesses     to words, by inputs, outputs and workspaces; none where that does not matter
    """

    workspaces: tuple[int, ...] = ()
    reusable: Sequence[tuple[int, int]] = ()
    leads: Mapping[int, int] = field(default_factory=dict)
    accesses: tuple[float, ...] = ()


def kernel_memory(kernel: ScheduledKernel, workspaces: tuple[int, ...]) -> KernelMemory:
    """What the planner has to know of a scheduled kernel with these workspaces, in bytes."""
    over = ((position, 0) for position in kernel.overwrites)
    return KernelMemory(workspaces, (*reusable_inputs(kernel.blocks), *over), kernel.leads)


@dataclass(frozen=True)
class Layout:
    """The blocks of a program: `groups` of values that share one, then workspaces, of which `steps` has the calls."""

    blocks: tuple[Block, ...]
    leads: Leads
    owner: Mapping[int, int]
    groups: tuple[int, ...]
    steps: tuple[int, ...]
    in_place: frozenset[int]


def plan_memory(
    program: Program, kernels: Mapping[str, KernelMemory], align: int, rooms: Sequence[Room] = ()
) -> MemoryPlan:
    """Place all inputs, outputs, temporaries and workspaces of `program` at multiples of `align` bytes.

    What does not fit into the first of `rooms`, the memories of a board, is spread over them by the kernels' accesses.
    """
    layout = lay_out(program, kernels, align)
    parts = spread(layout.blocks, layout.leads, rooms)
    places = {block: Place(arena, part.offsets[block]) for arena, part in enumerate(parts) for block in part.offsets}
    place = {group: places[block] for block, group in enumerate(layout.groups)}
    per_call: list[list[Place]] = [[] for _ in program.calls]
    for block, step in enumerate(layout.steps, len(layout.groups)):
        per_call[step].append(places[block])
    over = {layout.blocks[written].first for written, _ in layout.leads}
    return MemoryPlan(
        values={root: place[owner] for root, owner in layout.owner.items()},
        workspaces=tuple(tuple(each) for each in per_call),
        in_place=layout.in_place | over,
        arenas=tuple(Arena(max(part.bytes, align), part.region) for part in parts),
        live_bytes=max(live_sets(layout.blocks, layout.leads).values(), default=0),
    )


def lay_out(program: Program, kernels: Mapping[str, KernelMemory], align: int) -> Layout:
    """What has to be placed, and until when it lives. A kernel that is not among `kernels` needs nothing."""
    end = len(program.calls)
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    size: dict[int, int] = {}

    def touch(value: int, step: int) -> None:
        root = program.root(value)
        if program.values[root].data is None:
            first.setdefault(root, step)
            last[root] = max(step, last.get(root, step))
            size[root] = program.values[root].bytes

    for value in program.inputs:
        touch(value, -1)
    for step, call in enumerate(program.calls):
        for value in (*call.inputs, *call.outputs):
            touch(value, step)
    for value in program.outputs:
        touch(value, end)

    needs = [kernels.get(call.kernel, KernelMemory()) for call in program.calls]
    owner, in_place = _merge_in_place(program, needs, last, size)
    groups = sorted({owner[root] for root in owner}, key=lambda root: (first[root], root))
    used, used_scratch = _accesses(program, needs, owner)
    blocks = [Block(_up(size[root], align), first[root], last[root], used.get(root, 0.0)) for root in groups]
    scratch = [
        (step, Block(_up(amount, align), step, step, used_scratch.get((step, number), 0.0)))
        for step, need in enumerate(needs)
        for number, amount in enumerate(need.workspaces)
    ]
    leads: dict[tuple[int, int], int] = {}
    for step, (call, need) in enumerate(zip(program.calls, needs, strict=True)):
        for position, lead in need.leads.items():
            source, result = (owner.get(program.root(value)) for value in (call.inputs[position], call.outputs[0]))
            if source is None or result is None or _uses(program, call, source, owner) > 1:
                continue
            if last[source] == step and first[result] == step:
                leads[groups.index(result), groups.index(source)] = _up(lead, align)
    return Layout(
        blocks=(*blocks, *(block for _, block in scratch)),
        leads=leads,
        owner=owner,
        groups=tuple(groups),
        steps=tuple(step for step, _ in scratch),
        in_place=frozenset(in_place),
    )


def _accesses(
    program: Program, needs: Sequence[KernelMemory], owner: Mapping[int, int]
) -> tuple[dict[int, float], dict[tuple[int, int], float]]:
    """To the words of each block, and of each workspace by its call and number, in one run."""
    blocks: dict[int, float] = {}
    scratch: dict[tuple[int, int], float] = {}
    for step, (call, need) in enumerate(zip(program.calls, needs, strict=True)):
        tensors = (*call.inputs, *call.outputs)
        counts = [program.values[i].bytes / WORD for i in tensors] if call.kernel == COPY else need.accesses
        for value, count in zip(tensors, counts, strict=False):
            block = owner.get(program.root(value))
            if block is not None:
                blocks[block] = blocks.get(block, 0.0) + count
        for number, count in enumerate(need.accesses[len(tensors) :]):
            scratch[step, number] = count
    return blocks, scratch


def _uses(program: Program, call: Call, block: int, owner: Mapping[int, int]) -> int:
    """How many inputs of a call lie in a block."""
    return sum(owner.get(program.root(value)) == block for value in call.inputs)


def _merge_in_place(
    program: Program,
    needs: Sequence[KernelMemory],
    last: dict[int, int],
    size: dict[int, int],
) -> tuple[dict[int, int], set[int]]:
    """Let outputs take over the bytes of inputs that die at their call."""
    owner = {root: root for root in size}
    in_place = set()
    for step, (call, need) in enumerate(zip(program.calls, needs, strict=True)):
        taken: set[int] = set()
        for source, result in need.reusable:
            origin, target = program.root(call.inputs[source]), program.root(call.outputs[result])
            if origin not in owner or target in taken or owner[target] != target:
                continue
            home = owner[origin]
            used_once = sum(program.root(v) == origin for v in call.inputs) == 1
            if home not in taken and used_once and last[home] == step and size[origin] == size[target]:
                owner[target] = home
                last[home] = last[target]
                taken |= {home, target}
                in_place.add(step)
    return owner, in_place


def _up(amount: int, align: int) -> int:
    return (amount + align - 1) // align * align
