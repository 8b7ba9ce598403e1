"""Which memory region each block lies in: all in one arena while the fastest region has room for it, else those
that are used most for their size in the fastest, the others in slower ones.

Placing blocks greedily by use for their size is Dantzig's rule for the knapsack problem, here with a lifetime for
every block: a region takes a block when all that it holds can still be packed into it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgetvm.codegen.offsets import Block, Leads, assign_offsets, live_sets


@dataclass(frozen=True)
class Room:
    """What an arena may take of a RAM region: at most `bytes`, of which each access waits `wait` cycles."""

    region: str
    bytes: int
    wait: float


@dataclass(frozen=True)
class Part:
    """The arena in one region, None if it may lie in any: its bytes, and by block the offset in it."""

    region: str | None
    bytes: int
    offsets: Mapping[int, int]


# What comes first: use for its size; where that leaves no room for the large ones, size.
_ORDERS: tuple[Callable[[Block], tuple[float, ...]], ...] = (
    lambda block: (-block.accesses / max(block.bytes, 1), block.bytes),
    lambda block: (-block.bytes, -block.accesses),
    lambda block: (-block.bytes * (block.last - block.first + 1), -block.accesses),
)


def spread(blocks: Sequence[Block], leads: Leads, rooms: Sequence[Room]) -> tuple[Part, ...]:
    """An arena for each of the regions that are needed, in the order of `rooms`, the fastest first.

    There is one alone where `rooms` does not matter: the blocks fit into the first, or not even into all of them
    together, or one of them has room for all and several would wait no less.
    """
    whole = _pack(None, blocks, leads, range(len(blocks)))
    if not rooms or whole.bytes <= rooms[0].bytes:
        return (whole,)
    orders = (sorted(range(len(blocks)), key=lambda i: key(blocks[i])) for key in _ORDERS)
    homes = next((found for order in orders if (found := _fill(blocks, leads, rooms, order)) is not None), None)
    if homes is None:
        return (whole,)
    together = [room.wait for room in rooms if whole.bytes <= room.bytes]
    accesses = sum(block.accesses for block in blocks)
    apart = sum(rooms[home].wait * blocks[i].accesses for i, home in homes.items())
    if together and together[0] * accesses <= apart:
        return (whole,)
    members = ([i for i, home in homes.items() if home == number] for number in range(len(rooms)))
    held = zip(rooms, members, strict=True)
    return tuple(_pack(room.region, blocks, leads, chosen) for room, chosen in held if chosen)


def _fill(blocks: Sequence[Block], leads: Leads, rooms: Sequence[Room], order: Sequence[int]) -> dict[int, int] | None:
    """By block the first of `rooms` that has space for it when its turn comes; None if one finds none."""
    homes: dict[int, int] = {}
    for i in order:
        for number, room in enumerate(rooms):
            if _fits(blocks, leads, [i, *(j for j, home in homes.items() if home == number)], room.bytes):
                homes[i] = number
                break
        else:
            return None
    return homes


def _fits(blocks: Sequence[Block], leads: Leads, chosen: Sequence[int], most: int) -> bool:
    some, theirs = _among(blocks, leads, sorted(chosen))
    return max(live_sets(some, theirs).values()) <= most and assign_offsets(some, theirs, most)[1] <= most


def _pack(region: str | None, blocks: Sequence[Block], leads: Leads, chosen: Sequence[int]) -> Part:
    offsets, used, _ = assign_offsets(*_among(blocks, leads, chosen))
    return Part(region, used, dict(zip(chosen, offsets, strict=True)))


def _among(blocks: Sequence[Block], leads: Leads, chosen: Sequence[int]) -> tuple[list[Block], Leads]:
    """The chosen blocks, numbered anew, and the leads between them."""
    number = {i: n for n, i in enumerate(chosen)}
    theirs = {
        (number[written], number[read]): lead
        for (written, read), lead in leads.items()
        if written in number and read in number
    }
    return [blocks[i] for i in chosen], theirs
