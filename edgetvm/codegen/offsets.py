"""Blocks of memory that live at the same time get bytes of their own, in an arena that is as small as can be found.

Finding the smallest is strip packing (NP-hard), so first-fit runs over a few good orders and then over seeded
shuffles until the lower bound is met.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SHUFFLES = 200

# (block that is written, block that is read meanwhile) -> by how many bytes the first must begin before the second
# if they share bytes.
Leads = Mapping[tuple[int, int], int]


@dataclass(frozen=True)
class Block:
    """A run of bytes needed from call `first` to call `last`, both included, and the `accesses` to its words."""

    bytes: int
    first: int
    last: int
    accesses: float = 0.0


def live_sets(blocks: Sequence[Block], leads: Leads) -> dict[int, int]:
    """The bytes that are alive at each call, below which no plan can go."""
    found = {step: sum(b.bytes for b in blocks if b.first <= step <= b.last) for step in {b.first for b in blocks}}
    for (written, read), lead in leads.items():
        out, source = blocks[written].bytes, blocks[read].bytes
        found[blocks[written].first] -= max(out + source - max(out, source + lead), 0)
    return found


def assign_offsets(
    blocks: Sequence[Block], leads: Leads | None = None, enough: int | None = None
) -> tuple[list[int], int, int]:
    """Offsets of `blocks`, the bytes used and the lower bound, the largest of `live_sets`.

    With `enough` the first offsets that use no more will do, and no shuffles are tried.
    """
    leads = leads or {}
    bound = max(live_sets(blocks, leads).values(), default=0)
    orders: list[list[int]] = [
        sorted(range(len(blocks)), key=key)
        for key in (
            lambda i: (-blocks[i].bytes, blocks[i].first),
            lambda i: (-blocks[i].bytes * (blocks[i].last - blocks[i].first + 1), blocks[i].first),
            lambda i: (blocks[i].first - blocks[i].last, -blocks[i].bytes),
            lambda i: (blocks[i].first, -blocks[i].bytes),
            # What is written over another block begins before it: later blocks first.
            lambda i: (-blocks[i].bytes, -blocks[i].first),
            lambda i: (-blocks[i].first, -blocks[i].bytes),
        )
    ]
    best: tuple[int, list[int]] | None = None
    rng = random.Random(0)  # noqa: S311
    for attempt in range(len(orders) + (SHUFFLES if enough is None else 0)):
        order = orders[attempt] if attempt < len(orders) else _perturb(orders[0], rng)
        offsets, used = _first_fit(blocks, order, leads)
        if best is None or used < best[0]:
            best = (used, offsets)
            orders[0] = order
        if used <= (bound if enough is None else enough):
            break
    assert best is not None
    return best[1], best[0], bound


def _perturb(order: Sequence[int], rng: random.Random) -> list[int]:
    changed = list(order)
    for _ in range(min(3, len(changed))):
        i, j = rng.randrange(len(changed)), rng.randrange(len(changed))
        changed[i], changed[j] = changed[j], changed[i]
    return changed


def _first_fit(blocks: Sequence[Block], order: Sequence[int], leads: Leads) -> tuple[list[int], int]:
    offsets = [0] * len(blocks)
    placed: list[int] = []
    used = 0
    for i in order:
        block = blocks[i]
        offset = 0
        rivals = [j for j in placed if blocks[j].first <= block.last and block.first <= blocks[j].last]
        # Offsets between which a rival keeps this block from beginning.
        gaps = sorted(
            (
                offsets[j] - min(leads.get((i, j), block.bytes), block.bytes),
                offsets[j] + min(leads.get((j, i), blocks[j].bytes), blocks[j].bytes),
            )
            for j in rivals
        )
        for low, high in gaps:
            if low >= offset:
                break
            offset = max(offset, high)
        offsets[i] = offset
        placed.append(i)
        used = max(used, offset + block.bytes)
    return offsets, used
