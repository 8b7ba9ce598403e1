"""Small integer graphs in which some channels are dead on purpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import tvm
from tvm import relax

from edgetvm.operators.convolve import convolve
from edgetvm.operators.requantize import requantize
from edgetvm.oracle.integer import interpret
from edgetvm.passes.dead_channels.remove import DeadChannels, remove_dead_channels

ZERO = -128  # of every tensor: what stands at borders


@dataclass
class Layers:
    """Emits int8 layers of random weights into the function at hand."""

    emit: Callable[..., relax.Var]
    rng: np.random.Generator
    names: list[str] = field(default_factory=list)

    def convolution(
        self,
        x: relax.Var,
        outputs: int,
        *,
        kernel: int = 1,
        depthwise: bool = False,
        stride: int = 1,
        settled: Sequence[int] = (),
        value: int = ZERO,
        unread: Sequence[int] = (),
    ) -> relax.Var:
        """Codes of a convolution and its bias; the outputs `settled` are `value`, inputs `unread` have no weights."""
        channels = int(x.ty.shape[-1])
        w = self.rng.integers(-128, 128, (kernel, kernel, 1 if depthwise else channels, outputs)).astype(np.int8)
        if not depthwise:
            w[:, :, list(unread)] = 0
        bias = self.rng.integers(-3000, 3000, (1, 1, 1, outputs)).astype(np.int32)
        products = w[..., 0].size
        multiplier, shift = (1 << 30), 30 + int(np.log2(64 * np.sqrt(products)))
        # Far from what the weights can change, or with none at all.
        bias[..., list(settled)] = np.clip(
            (value + 128 << shift - 30) + (value == ZERO) * -(1 << 28), -(1 << 30), 1 << 30
        )
        if value != ZERO:
            w[..., list(settled)] = 0
        side = kernel // 2
        attributes = {
            "strides": [stride] * 2,
            "padding": [side] * 4,
            "dilation": [1, 1],
            "groups": channels if depthwise else 1,
            "pad_value": ZERO,
            "dtype": "int32",
        }
        acc = self.emit(convolve(x, relax.const(w), **attributes))
        total = self.emit(relax.op.add(acc, relax.const(bias)))
        factors = [relax.const(np.full((1, 1, 1, 1), number, np.int32)) for number in (multiplier, shift)]
        return self.emit(requantize(total, *factors, zero_point=ZERO, low=-128, high=127, dtype="int8"))


def graph(shape: Sequence[int], body: Callable[[Layers, relax.Var], relax.Var], seed: int = 0) -> tvm.IRModule:
    """`main` of one int8 input of `shape`, whose result is the body's."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(list(shape), "int8"))
    with builder.function("main", [x]):
        with builder.dataflow():
            result = builder.emit_output(body(Layers(builder.emit, np.random.default_rng(seed)), x))
        builder.emit_func_output(result)
    return builder.get()


def removed(module: tvm.IRModule, multiple: int = 1, samples: int = 3) -> DeadChannels:
    """Remove the dead channels, and hold what is needed of every tensor against the whole graph."""
    small, _, dead = remove_dead_channels(module, {}, multiple)
    shape = [int(extent) for extent in module["main"].params[0].ty.shape]
    rng = np.random.default_rng(1)
    for _ in range(samples):
        x = rng.integers(-128, 128, shape).astype(np.int8)
        wanted, found = (interpret(each, [x]) for each in (module, small))
        for name in wanted.keys() & found.keys():
            a, b = np.asarray(wanted[name]), np.asarray(found[name])
            if name in dead.selections:
                one = dead.selections[name]
                a, b = np.compress(one.needed, a, one.axis), np.compress(one.needed[one.kept], b, one.axis)
            np.testing.assert_array_equal(b, a, name)
        last = module["main"].body.body.name
        assert last in wanted
        np.testing.assert_array_equal(found[small["main"].body.body.name], wanted[last])
    return dead
