"""Convolutions of unsigned bytes: no kernel between, the same sums."""

from __future__ import annotations

import numpy as np
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from edgetvm.operators.convolve import convolve
from edgetvm.operators.scaled_sum import scaled_sum
from edgetvm.oracle.integer import interpret
from edgetvm.passes.read_bytes import ReadBytes


def net(
    offset: int = -128, readers: str = "convolve", padding: int = 1, groups: int = 1, seed: int = 0
) -> tvm.IRModule:
    """Signed codes of a uint8 image, and who reads them: convolutions, and `output` or `relu` besides."""
    weights = np.random.default_rng(seed).integers(-127, 128, (3, 3, 3 // groups, 6)).astype(np.int8)
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType([1, 7, 6, 3], "uint8"))

    def sums(image: relax.Var, weights: np.ndarray) -> relax.Var:
        return builder.emit(
            convolve(
                image,
                relax.const(weights),
                strides=[2, 1],
                padding=[padding] * 4,
                dilation=[1, 1],
                groups=groups,
                pad_value=-5,
                dtype="int32",
            )
        )

    with builder.function("main", [x]):
        with builder.dataflow():
            one, less = relax.const(1, "int32"), relax.const(offset, "int32")
            codes = builder.emit(scaled_sum([(x, one)], less, shift=0, low=-128, high=127, dtype="int8", wide="int32"))
            results = [sums(codes, weights)]
            if readers == "two":
                results.append(sums(codes, weights[::-1].copy()))
            elif readers == "relu":
                results.append(builder.emit(relax.op.nn.relu(codes)))
            elif readers == "output":
                results.append(codes)
            output = builder.emit_output(relax.Tuple(results))
        builder.emit_func_output(output)
    return builder.get()


def after(module: tvm.IRModule) -> tvm.IRModule:
    return tvm.transform.Sequential([ReadBytes(), relax.transform.DeadCodeElimination()])(module)


def operators(module: tvm.IRModule) -> list[str]:
    bindings = [binding.value for block in module["main"].body.blocks for binding in block.bindings]
    return [str(value.op.name) for value in bindings if isinstance(value, tvm.ir.Call)]


def outputs(module: tvm.IRModule, image: np.ndarray) -> list[np.ndarray]:
    """By the interpreter."""
    values = interpret(module, [image])
    found = list(values.values())[-1]
    return list(found) if isinstance(found, tuple) else [found]


def test_the_convolution_reads_the_bytes() -> None:
    assert operators(net()) == ["edgetvm.scaled_sum", "edgetvm.convolve"]
    assert operators(after(net())) == ["edgetvm.convolve"]
    assert operators(after(net(readers="two"))) == ["edgetvm.convolve"] * 2


def test_what_something_else_reads_stays() -> None:
    for readers in ("relu", "output"):
        tvm.ir.assert_structural_equal(after(net(readers=readers)), net(readers=readers))
    tvm.ir.assert_structural_equal(after(net(offset=-127)), net(offset=-127))


@settings(max_examples=30, deadline=None)
@given(padding=st.integers(0, 2), groups=st.sampled_from([1, 3]), seed=st.integers(0, 1000))
def test_the_sums_are_the_same(padding: int, groups: int, seed: int) -> None:
    module = net(padding=padding, groups=groups, seed=seed)
    image = np.random.default_rng(seed).integers(0, 256, (1, 7, 6, 3)).astype(np.uint8)
    before, now = outputs(module, image), outputs(after(module), image)
    for a, b in zip(before, now, strict=True):
        np.testing.assert_array_equal(a, b)
