"""Where every tensor lies in the arena.

Each buffer has a size and the range of calls in which it is alive; two buffers may share bytes
when their ranges do not meet. Finding the smallest arena is strip packing (NP-hard), so first-fit
runs over a few good orders and then over seeded shuffles until the lower bound is met.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgetvm.codegen.program import Program

SHUFFLES = 200


@dataclass(frozen=True)
class Block:
    """A run of bytes needed from call `first` to call `last`, both included."""

    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class MemoryPlan:
    """Offsets in bytes from the arena's start.

    `values` is keyed by the value that owns the memory; `workspaces` has a tuple per call.
    `in_place` are the calls whose output lies on one of their inputs. `live_bytes` is the largest
    live set of any call, below which no plan can go.
    """

    values: Mapping[int, int]
    workspaces: tuple[tuple[int, ...], ...]
    in_place: frozenset[int]
    arena_bytes: int
    live_bytes: int


def plan_memory(
    program: Program,
    workspaces: Mapping[str, tuple[int, ...]],
    reusable: Mapping[str, Sequence[tuple[int, int]]],
    align: int,
) -> MemoryPlan:
    """Place all inputs, outputs, temporaries and workspaces of `program`.

    `reusable[kernel]` are the (input, output) positions where the kernel may write its output over
    that input.
    """
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

    owner, in_place = _merge_in_place(program, reusable, last, size)
    groups = sorted({owner[root] for root in owner}, key=lambda root: (first[root], root))
    blocks = [Block(_up(size[root], align), first[root], last[root]) for root in groups]
    scratch = [
        (step, Block(_up(amount, align), step, step))
        for step, call in enumerate(program.calls)
        for amount in workspaces.get(call.kernel, ())
    ]
    offsets, arena, bound = assign_offsets([*blocks, *(block for _, block in scratch)])
    place = dict(zip(groups, offsets, strict=False))
    per_call: list[list[int]] = [[] for _ in program.calls]
    for (step, _), offset in zip(scratch, offsets[len(groups) :], strict=True):
        per_call[step].append(offset)
    return MemoryPlan(
        values={root: place[owner[root]] for root in owner},
        workspaces=tuple(tuple(each) for each in per_call),
        in_place=frozenset(in_place),
        arena_bytes=max(arena, align),
        live_bytes=bound,
    )


def _merge_in_place(
    program: Program,
    reusable: Mapping[str, Sequence[tuple[int, int]]],
    last: dict[int, int],
    size: dict[int, int],
) -> tuple[dict[int, int], set[int]]:
    """Let outputs take over the bytes of inputs that die at their call."""
    owner = {root: root for root in size}
    in_place = set()
    for step, call in enumerate(program.calls):
        taken: set[int] = set()
        for source, result in reusable.get(call.kernel, ()):
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


def assign_offsets(blocks: Sequence[Block]) -> tuple[list[int], int, int]:
    """Offsets of `blocks`, the bytes used and the lower bound (largest sum alive at once)."""
    steps = {block.first for block in blocks}
    bound = max((sum(b.bytes for b in blocks if b.first <= s <= b.last) for s in steps), default=0)
    orders: list[list[int]] = [
        sorted(range(len(blocks)), key=key)
        for key in (
            lambda i: (-blocks[i].bytes, blocks[i].first),
            lambda i: (-blocks[i].bytes * (blocks[i].last - blocks[i].first + 1), blocks[i].first),
            lambda i: (blocks[i].first - blocks[i].last, -blocks[i].bytes),
            lambda i: (blocks[i].first, -blocks[i].bytes),
        )
    ]
    best: tuple[int, list[int]] | None = None
    rng = random.Random(0)  # noqa: S311
    for attempt in range(len(orders) + SHUFFLES):
        order = orders[attempt] if attempt < len(orders) else _perturb(orders[0], rng)
        offsets, used = _first_fit(blocks, order)
        if best is None or used < best[0]:
            best = (used, offsets)
            orders[0] = order
        if used == bound:
            break
    assert best is not None
    return best[1], best[0], bound


def _perturb(order: Sequence[int], rng: random.Random) -> list[int]:
    changed = list(order)
    for _ in range(min(3, len(changed))):
        i, j = rng.randrange(len(changed)), rng.randrange(len(changed))
        changed[i], changed[j] = changed[j], changed[i]
    return changed


def _first_fit(blocks: Sequence[Block], order: Sequence[int]) -> tuple[list[int], int]:
    offsets = [0] * len(blocks)
    placed: list[int] = []
    used = 0
    for i in order:
        block = blocks[i]
        offset = 0
        rivals = [j for j in placed if blocks[j].first <= block.last and block.first <= blocks[j].last]
        for j in sorted(rivals, key=lambda j: offsets[j]):
            if offsets[j] - offset >= block.bytes:
                break
            offset = max(offset, offsets[j] + blocks[j].bytes)
        offsets[i] = offset
        placed.append(i)
        used = max(used, offset + block.bytes)
    return offsets, used


def _up(amount: int, align: int) -> int:
    return (amount + align - 1) // align * align
