"""Dead channels are found and removed, and every value that an output depends on stays what it was, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from edgetvm.operators.reduce_sum import reduce_sum
from edgetvm.operators.scaled_sum import scaled_sum
from edgetvm.operators.window_sum import window_sum
from edgetvm.passes.dead_channels.remove import remove_dead_channels
from tests.passes.dead_channels.graphs import ZERO, Layers, graph, removed

SHAPE = (1, 5, 6, 3)


def counts(module: tvm.IRModule, multiple: int = 1) -> list[int]:
    """Output channels of every convolution that is left."""
    small, _, _ = remove_dead_channels(module, {}, multiple)
    bindings = [binding for block in small["main"].body.blocks for binding in block.bindings]
    return [
        int(b.var.ty.shape[-1]) for b in bindings if "convolve" in str(b.value.op if hasattr(b.value, "op") else "")
    ]


def chain(layers: Layers, x: relax.Var) -> relax.Var:
    """Three settled channels go through a depthwise layer into a sum; one more is not read there."""
    a = layers.convolution(x, 10, settled=[0, 4, 9])
    b = layers.convolution(a, 10, kernel=3, depthwise=True)
    return layers.convolution(b, 4, unread=[7])


def test_a_chain_loses_what_is_settled_and_what_is_not_read() -> None:
    dead = removed(graph(SHAPE, chain))
    assert counts(graph(SHAPE, chain)) == [6, 6, 4]
    assert (dead.removed, dead.channels) == (8, 24)
    pixels = 5 * 6
    assert (dead.macs, dead.removed_macs) == (pixels * (30 + 90 + 40), pixels * (12 + 36 + 16))


@pytest.mark.parametrize(("multiple", "kept"), [(1, 6), (4, 8), (8, 8), (16, 10)])
def test_what_stays_is_a_multiple(multiple: int, kept: int) -> None:
    removed(graph(SHAPE, chain), multiple)
    assert counts(graph(SHAPE, chain), multiple) == [kept, kept, 4]


@pytest.mark.parametrize(("kernel", "value", "kept"), [(1, 7, 4), (3, 7, 6), (3, ZERO, 4)])
def test_at_a_border_only_what_equals_it_folds(kernel: int, value: int, kept: int) -> None:
    """Around a constant of another value every place of the border would need a bias of its own."""

    def body(layers: Layers, x: relax.Var) -> relax.Var:
        return layers.convolution(layers.convolution(x, 6, settled=[1, 2], value=value), 5, kernel=kernel)

    removed(graph(SHAPE, body))
    assert counts(graph(SHAPE, body)) == [kept, 5]


def test_the_output_keeps_its_channels() -> None:
    assert removed(graph(SHAPE, lambda layers, x: layers.convolution(x, 6, settled=[1, 2]))).removed == 0


def test_without_a_bias_one_is_made() -> None:
    """The raw sums are the output: what the constants add to them must stay."""

    def body(layers: Layers, x: relax.Var) -> relax.Var:
        a = layers.convolution(x, 6, settled=[0, 3], value=9)
        flat = layers.emit(relax.op.reshape(a, [5 * 6, 6]))
        w = layers.rng.integers(-128, 128, (6, 4)).astype(np.int8)
        return layers.emit(relax.op.matmul(flat, relax.const(w), out_dtype="int32"))

    assert removed(graph(SHAPE, body)).removed == 2


def residual(layers: Layers, x: relax.Var) -> relax.Var:
    """Both sides are dead in channel 1, one of them in channel 2."""
    a = layers.convolution(x, 6, settled=[1, 2])
    b = layers.convolution(x, 6, kernel=3, settled=[1])
    terms = [(a, relax.const(np.full((1, 1, 1, 6), 9000, np.int32))), (b, relax.const(7000))]
    total = scaled_sum(terms, relax.const(300000), shift=14, low=-128, high=127, dtype="int8", wide="int32")
    return layers.convolution(layers.emit(total), 4)


def test_what_is_added_keeps_the_same_channels() -> None:
    removed(graph(SHAPE, residual))
    assert counts(graph(SHAPE, residual)) == [5, 5, 4]


def test_concatenations_and_pools_pass_channels_on() -> None:
    def body(layers: Layers, x: relax.Var) -> relax.Var:
        a = layers.convolution(x, 6, settled=[1, 2])
        b = layers.convolution(x, 4, settled=[0])
        joined = layers.emit(relax.op.concat([a, b], axis=3))
        pooled = layers.emit(relax.op.nn.max_pool2d(joined, (2, 2), (2, 2), layout="NHWC"))
        sums = window_sum(pooled, window=[2, 2], strides=[1, 1], padding=[0, 0, 0, 0], pad_value=0)
        total = layers.emit(reduce_sum(layers.emit(sums), axes=[1, 2], keepdims=False, dtype="int32"))
        codes = layers.emit(relax.op.astype(layers.emit(relax.op.clip(total, -128, 127)), "int8"))
        order = layers.emit(relax.op.reshape(codes, [1, 10, 1, 1]))
        flat = layers.emit(relax.op.reshape(layers.emit(relax.op.permute_dims(order, [0, 2, 3, 1])), [1, 10]))
        w = layers.rng.integers(-128, 128, (10, 3)).astype(np.int8)
        return layers.emit(relax.op.matmul(flat, relax.const(w), out_dtype="int32"))

    dead = removed(graph(SHAPE, body))
    assert dead.removed == 3
    assert counts(graph(SHAPE, body)) == [4, 3]


def test_what_is_not_known_keeps_all() -> None:
    """Softmax needs every channel."""

    def body(layers: Layers, x: relax.Var) -> relax.Var:
        a = layers.convolution(x, 6, settled=[1, 2])
        return layers.convolution(layers.emit(relax.op.flip(a, 3)), 4)

    assert removed(graph(SHAPE, body)).removed == 0


def test_nothing_is_left_of_a_branch_but_what_its_layers_need() -> None:
    """A tensor that is constant as a whole keeps one channel."""

    def body(layers: Layers, x: relax.Var) -> relax.Var:
        return layers.convolution(layers.convolution(x, 6, settled=range(6)), 4)

    removed(graph(SHAPE, body))
    assert counts(graph(SHAPE, body)) == [1, 4]


@st.composite
def networks(draw: st.DrawFn) -> tvm.IRModule:
    """Chains with depthwise layers, residuals and strides, and dead channels of any value anywhere."""
    plan = draw(
        st.lists(st.sampled_from(["point", "window", "depthwise", "residual", "stride"]), min_size=2, max_size=6)
    )

    def body(layers: Layers, x: relax.Var) -> relax.Var:
        for step in plan:
            channels = int(x.ty.shape[-1])
            outputs = channels if step in ("depthwise", "residual") else int(layers.rng.integers(1, 9))
            some = {
                "settled": np.flatnonzero(layers.rng.random(outputs) < 0.4),
                "value": int(layers.rng.choice([ZERO, ZERO, 3])),
            }
            unread = np.flatnonzero(layers.rng.random(channels) < 0.2)
            made = layers.convolution(
                x,
                outputs,
                kernel=1 if step == "point" else 3,
                depthwise=step == "depthwise",
                stride=2 if step == "stride" else 1,
                unread=unread,
                **some,
            )
            if step == "residual":
                terms = [(x, relax.const(8000)), (made, relax.const(8000))]
                made = layers.emit(
                    scaled_sum(terms, relax.const(1 << 19), shift=13, low=-128, high=127, dtype="int8", wide="int32")
                )
            x = made
        return layers.convolution(x, 3)

    return graph(SHAPE, body, draw(st.integers(0, 1 << 16)))


@settings(max_examples=25, deadline=None)
@given(networks(), st.sampled_from([1, 4]))
def test_every_needed_value_stays(module: tvm.IRModule, multiple: int) -> None:
    removed(module, multiple, samples=2)
