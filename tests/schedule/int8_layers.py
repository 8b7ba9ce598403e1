"""Layers of int8 for tests of kernels: any convolution or product with any epilogue, and what numpy makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tvm
from hypothesis import strategies as st
from tvm import relax

from edgetvm.operators.convolve import convolve
from edgetvm.operators.requantize import requantize
from edgetvm.operators.scaled_sum import scaled_sum
from tests.schedule import reference
from tests.schedule.kernels import Emit
from tests.schedule.reference import Window

EPILOGUES = ("none", "bias", "requantize", "relu", "one factor", "own shifts", "residual", "dequantize", "large shift")
CHANNELS = st.sampled_from([1, 3, 4, 7, 8, 12, 16, 17, 24, 32, 40, 64])


@dataclass(frozen=True)
class Layer:
    """A convolution of `x` [N, H, W, C], or without a window the product of rows `x` [M, K]; `outputs` channels."""

    x: tuple[int, ...]
    outputs: int
    window: Window | None
    epilogue: str
    groups: int = 1
    seed: int = 0
    largest: int | None = None  # absolute weight; None for -128 to 127, of each some

    def inputs(self) -> list[np.ndarray]:
        """The activations, and for a residual what is added."""
        x = self._random("x", -128, 128, self.x).astype(np.int8)
        if self.epilogue != "residual":
            return [x]
        return [x, self._random("residual", -128, 128, self.sums(x).shape).astype(np.int8)]

    def weights(self) -> np.ndarray:
        kernel = () if self.window is None else self.window.kernel
        shape = (*kernel, self.x[-1] // self.groups, self.outputs)
        if self.largest is not None:
            return self._random("w", -self.largest, self.largest + 1, shape).astype(np.int8)
        return self._random("w", -128, 128, shape).astype(np.int8)

    def sums(self, x: np.ndarray) -> np.ndarray:
        """By numpy, in double precision, which is exact here."""
        if self.window is None:
            return (x.astype(np.float64) @ self.weights().astype(np.float64)).astype(np.int64)
        pads = np.asarray(self.window.pads).reshape(2, 2).T
        padded = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=self.fill)
        inside = Window(self.window.kernel, self.window.strides, (0, 0, 0, 0), self.window.dilation)
        return reference.conv2d(padded, self.weights(), inside, self.groups).astype(np.int64)

    @property
    def fill(self) -> int:
        return int(self._random("fill", -128, 128, ()))

    def expected(self, inputs: list[np.ndarray]) -> np.ndarray:
        """What numpy computes."""
        acc = self.sums(inputs[0])
        if self.epilogue == "none":
            return acc.astype(np.int32)
        acc = acc + self._bias()
        if self.epilogue == "bias":
            return acc.astype(np.int32)
        if self.epilogue == "dequantize":
            return acc.astype(np.float32) * np.float32(0.5)
        m, s, zero, low, high = self._factors()
        codes = np.clip(((acc * m + (np.int64(1) << (s - 1).astype(np.int64))) >> s) + zero, low, high)
        if self.epilogue != "residual":
            return codes.astype(np.int8)
        total = codes * 268071 + inputs[1].astype(np.int64) * 101351 - 4811036
        return np.clip(total >> 17, -128, 127).astype(np.int8)

    def body(self, p: list[relax.Var], emit: Emit) -> tvm.ir.Expr:
        """The operators."""
        if self.window is None:
            acc = emit(relax.op.matmul(p[0], relax.const(self.weights()), out_dtype="int32"))
        else:
            settings = {
                "strides": self.window.strides,
                "padding": self.window.pads,
                "dilation": self.window.dilation,
                "groups": self.groups,
                "pad_value": self.fill,
                "dtype": "int32",
            }
            acc = emit(convolve(p[0], relax.const(self.weights()), **settings))
        if self.epilogue == "none":
            return acc
        bias = self._bias().astype(np.int32)
        total = relax.op.add(acc, relax.const(bias))
        if self.epilogue == "bias":
            return total
        total = emit(total)
        if self.epilogue == "dequantize":
            return relax.op.multiply(emit(relax.op.astype(total, "float32")), relax.const(np.float32(0.5)))
        m, s, zero, low, high = self._factors()
        constants = [relax.const(values.astype(np.int32)) for values in (m, s)]
        codes = requantize(total, *constants, zero_point=zero, low=low, high=high, dtype="int8")
        if self.epilogue != "residual":
            return codes
        terms = [(emit(codes), relax.const(268071)), (p[1], relax.const(101351))]
        return scaled_sum(terms, relax.const(-4811036), shift=17, low=-128, high=127, dtype="int8", wide="int32")

    def _bias(self) -> np.ndarray:
        return self._random("bias", -5000, 5000, (*[1] * (len(self.x) - 1), self.outputs))

    def _factors(self) -> tuple[np.ndarray, np.ndarray, int, int, int]:
        """Multipliers, shifts, zero point and bounds that give codes of all sizes."""
        shape = (*[1] * (len(self.x) - 1), 1 if self.epilogue == "one factor" else self.outputs)
        m = self._random("m", 1 << 29, 1 << 31, shape)
        products = int(np.prod(self.weights().shape[:-1]))
        spread = int(np.log2(80 * (self.largest or 80) * np.sqrt(products) / 60)) + 31
        s = np.full([1] * len(self.x), {"large shift": 50}.get(self.epilogue, spread))
        if self.epilogue == "own shifts":
            s = spread + self._random("s", -2, 3, shape)
        zero = int(self._random("zero", -128, 128, ()))
        return m, s, zero, zero if self.epilogue == "relu" else -128, 127

    def _random(self, name: str, low: int, high: int, shape: tuple[int, ...]) -> np.ndarray:
        seed = [self.seed, *name.encode(), *self.x, self.outputs]
        return np.asarray(np.random.default_rng(seed).integers(low, high, shape))


def pair(values: st.SearchStrategy[int]) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(values, values)


@st.composite
def convolutions(draw: st.DrawFn) -> Layer:
    """Any window that fits: strides beyond the kernel, uneven pads, dilation, single pixels, batches."""
    height, width = draw(pair(st.sampled_from([1, 2, 5, 8, 11])))
    pads = tuple(draw(st.integers(0, 2)) for _ in range(4))
    window = Window(draw(pair(st.integers(1, 3))), draw(pair(st.integers(1, 4))), pads, draw(pair(st.integers(1, 2))))
    if not window.fits(height, width):
        window = Window((1, 1), window.strides, window.pads)
    x = (draw(st.integers(1, 2)), height, width, draw(CHANNELS))
    return Layer(x, draw(CHANNELS), window, draw(st.sampled_from(EPILOGUES)), seed=draw(st.integers(0, 3)))


@st.composite
def products(draw: st.DrawFn) -> Layer:
    """Products of one row and of many."""
    rows = draw(st.sampled_from([1, 2, 5, 13, 24, 49]))
    return Layer((rows, draw(CHANNELS)), draw(CHANNELS), None, draw(st.sampled_from(EPILOGUES)))
