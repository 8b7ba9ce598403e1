"""The order of calls: always one in which calls follow what they read, never one that needs more memory."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

import edgetvm
from edgetvm.codegen.memory import KernelMemory
from edgetvm.codegen.order import order_calls
from edgetvm.codegen.program import Call, Program, Value
from tests.passes.integer.qdq import Pair, Weights, write_model


def program(sizes: list[int], reads: list[list[int]], outputs: list[int]) -> Program:
    """Value 0 is the input; call i reads `reads[i]` and makes value i + 1. Sizes are bytes."""
    values = [Value(f"v{i}", (size,), "int8", i) for i, size in enumerate(sizes)]
    calls = [Call(f"k{i}", tuple(inputs), (i + 1,), ()) for i, inputs in enumerate(reads)]
    return Program(tuple(values), tuple(calls), (0,), tuple(outputs))


def peak(made: Program, scratch: dict[str, tuple[int, ...]] | None = None) -> int:
    """Bytes of the largest live set, value by value."""
    last = dict.fromkeys(made.inputs, -1)
    for step, call in enumerate(made.calls):
        last |= dict.fromkeys((*call.inputs, *call.outputs), step)
    last |= {value: len(made.calls) for value in made.outputs}
    first = dict.fromkeys(made.inputs, -1)
    first |= {call.outputs[0]: step for step, call in enumerate(made.calls)}
    alive = [
        sum(made.values[v].bytes for v in first if first[v] <= step <= last[v])
        + sum((scratch or {}).get(call.kernel, ()))
        for step, call in enumerate(made.calls)
    ]
    return max(alive, default=0)


def is_order(made: Program) -> bool:
    known = set(made.inputs)
    for call in made.calls:
        if not set(call.inputs) <= known:
            return False
        known |= set(call.outputs)
    return True


def test_a_branch_is_finished_before_the_next_begins() -> None:
    """Both branches grow to 100 bytes and shrink to 1: one after the other only one of them is large."""
    made = program([1, 100, 100, 1, 1, 2], [[0], [0], [1], [2], [3, 4]], [5])
    assert peak(made) == 201
    ordered = order_calls(made, {})
    assert is_order(ordered)
    assert peak(ordered) == 102
    assert set(ordered.calls) == set(made.calls)


def test_a_chain_and_what_is_as_good_stay() -> None:
    chain = program([8, 8, 8], [[0], [1]], [2])
    assert order_calls(chain, {}) is chain
    branches = program([8, 8, 8, 8], [[0], [0], [1, 2]], [3])
    assert order_calls(branches, {}) is branches


def test_scratch_counts() -> None:
    """The call with scratch goes before the large value that it does not read."""
    made = program([1, 50, 1, 1], [[0], [0], [1, 2]], [3])
    scratch = {"k1": (60,)}
    assert [
        call.kernel
        for call in order_calls(made, {kernel: KernelMemory(amounts) for kernel, amounts in scratch.items()}).calls
    ] == ["k1", "k0", "k2"]


def test_outputs_over_inputs_count() -> None:
    """In place the first branch needs nothing, so that it may stay first."""
    made = program([10, 10, 30, 1], [[0], [0], [1, 2]], [3])
    last = replace(made, calls=(made.calls[1], made.calls[0], made.calls[2]))
    assert order_calls(last, {"k0": KernelMemory(reusable=((0, 0),))}) is last


def test_too_many_branches_stay_as_they_are() -> None:
    width = 40
    made = program([1] + [100] * width + [1] * width + [1], [[0]] * width + [[i + 1] for i in range(width)], [])
    last = Call("join", tuple(range(width + 1, 2 * width + 1)), (2 * width + 1,), ())
    wide = replace(made, calls=(*made.calls, last), outputs=(2 * width + 1,))
    assert is_order(order_calls(wide, {}))


@st.composite
def graphs(draw: st.DrawFn) -> Program:
    count = draw(st.integers(1, 5))
    sizes = draw(st.lists(st.integers(1, 50), min_size=count + 1, max_size=count + 1))
    reads = [sorted(set(draw(st.lists(st.integers(0, call), min_size=1, max_size=3)))) for call in range(count)]
    return program(sizes, reads, [count])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(graphs(), st.integers(0, 1 << 16))
def test_law_no_order_needs_less(made: Program, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scratch = {call.kernel: (int(rng.integers(0, 20)),) for call in made.calls}
    ordered = order_calls(made, {kernel: KernelMemory(amounts) for kernel, amounts in scratch.items()})
    assert is_order(ordered)
    every = (replace(made, calls=calls) for calls in permutations(made.calls))
    assert peak(ordered, scratch) == min(peak(each, scratch) for each in every if is_order(each)) <= peak(made, scratch)


def test_a_model_with_branches(tmp_path: Path) -> None:
    """Both branches are wide first: verify finds every kernel's result although the order is another."""
    rng = np.random.default_rng(0)
    pair = Pair(0.05, 3)
    codes = {f"w{i}": Weights(rng.integers(-128, 128, (32, 4, 1, 1)).astype(np.int8), Pair(0.01)) for i in (0, 1)}
    codes |= {f"v{i}": Weights(rng.integers(-128, 128, (2, 32, 3, 3)).astype(np.int8), Pair(0.01)) for i in (0, 1)}
    both = {"scale": np.float32(0.5), "zero": np.int8(-3)}
    nodes = []
    for layer, source, wide, attributes in (("w", "x", "wide", {}), ("v", "wide", "small", {"strides": [2, 2]})):
        for i in (0, 1):
            x = source if source == "x" else f"{source}{i}"
            nodes.append(
                helper.make_node("Conv", [x, f"{layer}{i}"], [f"{wide}{i}_sum"], name=f"{layer}{i}", **attributes)
            )
            nodes.append(helper.make_node("QuantizeLinear", [f"{wide}{i}_sum", *both], [f"{wide}{i}_q"]))
            nodes.append(helper.make_node("DequantizeLinear", [f"{wide}{i}_q", *both], [f"{wide}{i}"]))
    nodes.append(helper.make_node("Add", ["small0", "small1"], ["y"], name="join"))
    path = write_model(tmp_path / "m.onnx", {"x": ((1, 4, 16, 16), pair)}, nodes, {"y": Pair(1.0)}, codes | both)
    package = edgetvm.compile(path, "cortex-a53", tmp_path / "p")
    steps = [call["step"] for call in package.manifest["calls"]]
    assert steps != sorted(steps)
    assert package.manifest["arena"]["bytes"] < 2 * 32 * 16 * 16
    report = package.verify(samples=2)
    assert report.integer_mismatches == 0
    assert all(kernel.wrong == 0 for kernel in report.kernels if "join" in kernel.nodes)
