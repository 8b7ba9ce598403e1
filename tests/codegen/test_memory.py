"""The memory planner: blocks that live together never overlap, and buffers are reused when they may be."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.codegen.memory import KernelMemory, Place, plan_memory
from edgetvm.codegen.offsets import Block, assign_offsets
from edgetvm.codegen.program import Call, Program, Value

BLOCKS = st.lists(
    st.builds(
        lambda units, first, length: Block(units * 8, first, first + length),
        st.integers(1, 64),
        st.integers(0, 20),
        st.integers(0, 6),
    ),
    max_size=30,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(blocks=BLOCKS)
def test_law_blocks_alive_together_are_apart(blocks: list[Block]) -> None:
    offsets, used, bound = assign_offsets(blocks)
    for i, a in enumerate(blocks):
        for j, b in enumerate(blocks[:i]):
            if a.first <= b.last and b.first <= a.last:
                assert offsets[i] + a.bytes <= offsets[j] or offsets[j] + b.bytes <= offsets[i]
    assert used == max((o + b.bytes for o, b in zip(offsets, blocks, strict=True)), default=0)
    brute = max((sum(b.bytes for b in blocks if b.first <= s <= b.last) for s in range(30)), default=0)
    assert used >= bound == brute


def chain(length: int, later: bool = False) -> Program:
    """x -> k -> k -> ... -> out, all of 64 floats; `later` lets the last call read the first result too."""
    values = [Value(f"v{i}", (64,), "float32", i) for i in range(length + 1)]
    calls = [Call("k", (i,), (i + 1,), ()) for i in range(length)]
    if later:
        calls[-1] = Call("two", (length - 1, 1), (length,), ())
    return Program(tuple(values), tuple(calls), (0,), (length,))


def test_elementwise_calls_work_in_place() -> None:
    plan = plan_memory(chain(3), {"k": KernelMemory(reusable=((0, 0),))}, 64)
    assert plan.arena_bytes == 256
    assert set(plan.values.values()) == {Place(0, 0)}
    assert plan.in_place == {0, 1, 2}


def test_two_buffers_suffice_for_a_chain() -> None:
    assert plan_memory(chain(6), {}, 64).arena_bytes == 512


def test_an_input_that_is_read_later_is_kept() -> None:
    plan = plan_memory(chain(4, later=True), {"k": KernelMemory(reusable=((0, 0),))}, 64)
    kept = plan.values[1]
    assert all(plan.values[i] != kept for i in (2, 3))


def test_workspaces_live_during_their_call_only() -> None:
    plan = plan_memory(chain(2), {"k": KernelMemory((100,))}, 64)
    assert plan.arena_bytes == 256 * 2 + 128
    assert all(len(offsets) == 1 for offsets in plan.workspaces)


def test_views_share_and_constants_take_nothing() -> None:
    values = (
        Value("x", (4, 4), "float32", 0),
        Value("flat", (16,), "float32", 0),
        Value("w", (1000,), "float32", 2, np.zeros(1000, np.float32)),
        Value("y", (16,), "float32", 3),
    )
    program = Program(values, (Call("k", (1, 2), (3,), ()),), (0,), (3,))
    plan = plan_memory(program, {}, 64)
    assert plan.arena_bytes == 128
    assert program.root(1) == 0
    assert 2 not in plan.values


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.integers(1, 64), min_size=2, max_size=8),
    leads=st.lists(st.integers(0, 80), min_size=7, max_size=7),
)
def test_law_a_block_over_another_begins_before_it(sizes: list[int], leads: list[int]) -> None:
    blocks = [Block(size * 8, number, number + 1) for number, size in enumerate(sizes)]
    over = {(number + 1, number): lead * 8 for number, lead in enumerate(leads[: len(sizes) - 1])}
    offsets, used, bound = assign_offsets(blocks, over)
    for (written, read), lead in over.items():
        apart = offsets[written] + blocks[written].bytes <= offsets[read]
        apart = apart or offsets[read] + blocks[read].bytes <= offsets[written]
        assert apart or offsets[written] + lead <= offsets[read]
    assert bound <= used <= assign_offsets(blocks)[1]


def test_an_output_over_what_was_read() -> None:
    plan = plan_memory(chain(3), {"k": KernelMemory(leads={0: 64})}, 64)
    assert plan.arena_bytes == 256 + 3 * 64
    assert plan.in_place == {0, 1, 2}
