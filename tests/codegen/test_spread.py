"""Blocks are spread over memory regions where the fastest has no room for all; those in use most stay there."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.codegen.memory import Arena, KernelMemory, Place, plan_memory
from edgetvm.codegen.offsets import Block, assign_offsets
from edgetvm.codegen.spread import Room, spread
from tests.codegen.test_memory import chain

FAST, SLOW, SLOWER = (Room(name, 256, wait) for name, wait in (("dtcm", 0.0), ("sram", 1.0), ("psram", 8.0)))

# Alive together: 64 bytes in use all the time, 256 rarely, 128 in between.
HOT, COLD, WARM = Block(64, 0, 3, 1000.0), Block(256, 0, 3, 10.0), Block(128, 0, 3, 200.0)
BLOCKS = st.lists(
    st.builds(
        lambda units, first, length, accesses: Block(units * 8, first, first + length, float(accesses)),
        st.integers(1, 16),
        st.integers(0, 12),
        st.integers(0, 4),
        st.integers(0, 500),
    ),
    min_size=1,
    max_size=16,
)


def test_what_fits_into_the_fastest_is_one_arena_as_ever() -> None:
    blocks = [HOT, WARM, Block(64, 4, 5, 9.0)]
    (part,) = spread(blocks, {}, [FAST, SLOW])
    assert (part.region, [part.offsets[i] for i in range(3)]) == (None, assign_offsets(blocks)[0])
    assert spread([HOT, COLD, WARM], {}, []) == spread([HOT, COLD, WARM], {}, [Room("large", 448, 0.0), SLOW])


def test_what_is_used_most_for_its_size_stays_in_the_fastest() -> None:
    fast, slow = spread([COLD, WARM, HOT], {}, [FAST, SLOW])
    assert (fast.region, set(fast.offsets), fast.bytes) == ("dtcm", {1, 2}, 192)
    assert (slow.region, set(slow.offsets), slow.bytes) == ("sram", {0}, 256)


def test_a_region_that_is_not_needed_has_no_arena() -> None:
    large = Block(256, 0, 1, 1.0)
    parts = spread([large, large, HOT], {}, [Room("dtcm", 32, 0.0), FAST, SLOW, SLOWER])
    assert [part.region for part in parts] == ["dtcm", "sram", "psram"]


def test_a_slower_region_with_room_takes_all_where_nothing_is_gained() -> None:
    same = Room("sram", 512, 0.0)
    assert [part.region for part in spread([HOT, COLD, WARM], {}, [FAST, same])] == [None]
    slower = Room("sram", 512, 1.0)
    assert [part.region for part in spread([HOT, COLD, WARM], {}, [FAST, slower])] == ["dtcm", "sram"]


def test_large_blocks_come_first_where_they_would_find_no_room() -> None:
    """By use the two small ones would go into the fast region, and none has room for the large one."""
    small = Block(32, 0, 1, 100.0)
    rooms = [Room("dtcm", 256, 0.0), Room("sram", 64, 1.0)]
    fast, slow = spread([small, small, COLD], {}, rooms)
    assert (set(fast.offsets), set(slow.offsets)) == ({2}, {0, 1})


def test_what_fits_nowhere_is_one_arena() -> None:
    (part,) = spread([HOT, Block(512, 0, 3, 1.0)], {}, [FAST, SLOW, SLOWER])
    assert (part.region, part.bytes) == (None, 576)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(blocks=BLOCKS, first=st.integers(1, 40), second=st.integers(1, 60))
def test_law_no_region_overflows_and_no_bytes_are_shared(blocks: list[Block], first: int, second: int) -> None:
    rooms = [Room("first", first * 8, 0.0), Room("second", second * 8, 1.0)]
    parts = spread(blocks, {}, rooms)
    assert sorted(block for part in parts for block in part.offsets) == list(range(len(blocks)))
    room = {room.region: room.bytes for room in rooms}
    for part in parts:
        assert part.region is None or part.bytes <= room[part.region]
        assert part.bytes == max(offset + blocks[i].bytes for i, offset in part.offsets.items())
        for i, a in part.offsets.items():
            for j, b in part.offsets.items():
                together = blocks[i].first <= blocks[j].last and blocks[j].first <= blocks[i].last
                assert i == j or not together or a + blocks[i].bytes <= b or b + blocks[j].bytes <= a


def test_a_plan_over_two_regions() -> None:
    """A chain of tensors of 256 bytes: each call reads one and writes the next, which lie in turn here and there."""
    kernels = {"k": KernelMemory(accesses=(64.0, 64.0))}
    plan = plan_memory(chain(4), kernels, 64, [FAST, SLOW])
    assert plan.arenas == (Arena(256, "dtcm"), Arena(256, "sram"))
    assert [plan.values[i].arena for i in range(5)] in ([0, 1, 0, 1, 0], [1, 0, 1, 0, 1])
    assert {place.offset for place in plan.values.values()} == {0}
    assert plan.arena_bytes == plan.live_bytes == 512


def test_an_output_over_an_input_in_another_region() -> None:
    """What may lie over what was read need not."""
    kernels = {"k": KernelMemory(leads={0: 64}, accesses=(64.0, 64.0))}
    plan = plan_memory(chain(1), kernels, 64, [FAST, SLOW])
    assert {plan.values[0], plan.values[1]} == {Place(0, 0), Place(1, 0)}
