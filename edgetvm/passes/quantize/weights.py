"""Constant weights as int8 or int4 with one scale for each output channel, biases as int32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from edgetvm.oracle.dataset import Array

from .affine import SMALLEST_SCALE

LARGEST = {8: 127, 4: 7}  # by bits; never -128: two products of -128 would leave the sums that kernels rely on
_CLIPPED = np.linspace(1.0, 0.5, 26)  # of a channel's largest weight: where int4 may end
_LARGEST_BIAS = 2.0**30  # leaves the other half of int32 to the products


@dataclass(eq=False)
class LayerWeights:
    """The integers of one layer.

    integers  int8, in the shape of the float weights
    scale     float32 ``[channels]``, or a scalar: real weight = scale * integer
    axis      the axis of `integers` that `scale` runs along; None for a scalar
    bias      int32 ``[channels]``, or None; real bias = input scale * scale * integer
    bits      8, or 4: the model holds them as int4
    """

    integers: Array
    scale: Array
    axis: int | None
    bias: Array | None = None
    bits: int = 8

    @property
    def held(self) -> Array:
        """The integers in the type in which the model holds them."""
        int4 = onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.INT4)
        return self.integers if self.bits == 8 else self.integers.astype(int4)

    def real(self) -> Array:
        """The weights that the integers stand for, float64."""
        return self.integers * along(self.scale.astype(np.float64), self.integers.ndim, self.axis)


def channel_scales(weights: Array, axis: int | None, bias: Array | None, input_scale: float, bits: int = 8) -> Array:
    """The finest float32 scale of each channel that holds its largest weight, and its bias in int32.

    With 4 bits the scale, up to that one, by which the weights err least in the mean square: steps are coarse, and
    the largest weights are few. A channel of zeros gets the scale of the largest channel (1 if all are zero).
    """
    others = None if axis is None else tuple(i for i in range(weights.ndim) if i != axis)
    scale = np.abs(weights).max(axis=others).astype(np.float64) / LARGEST[bits]
    if bits == 4:
        scale = _least_error(weights, scale, axis, others)
    if bias is not None and scale.ndim:
        scale = np.maximum(scale, np.abs(bias) / (input_scale * _LARGEST_BIAS))
    largest = scale.max() if scale.size else 0.0
    scale = np.where(scale > 0, scale, largest if largest > 0 else 1.0)
    return np.maximum(scale, SMALLEST_SCALE).astype(np.float32)


def _least_error(weights: Array, scale: Array, axis: int | None, others: tuple[int, ...] | None) -> Array:
    """Of each channel, the fraction of `scale` with the least squared error."""
    tried = [np.where(scale > 0, scale, 1.0) * fraction for fraction in _CLIPPED]
    errors = []
    for trial in tried:
        real = round_weights(weights, trial, axis, bits=4) * along(trial, weights.ndim, axis)
        errors.append(((real - weights) ** 2).sum(axis=others))
    best = np.argmin(errors, axis=0)
    return np.asarray(scale * _CLIPPED[best])


def round_weights(weights: Array, scale: Array, axis: int | None, bits: int = 8) -> Array:
    """The nearest integer of so many bits for every weight, as int8."""
    steps = np.rint(weights / along(scale.astype(np.float64), weights.ndim, axis))
    return np.clip(steps, -LARGEST[bits], LARGEST[bits]).astype(np.int8)


def round_bias(bias: Array, scale: Array, input_scale: float) -> Array:
    """The nearest int32 for every bias, in steps of the accumulator."""
    info = np.iinfo(np.int32)
    return np.clip(np.rint(bias / bias_scale(scale, input_scale)), info.min, info.max).astype(np.int32)


def bias_scale(scale: Array, input_scale: float) -> Array:
    """The real size of one step of the accumulator, float32 as the model stores it."""
    return np.atleast_1d(np.float32(input_scale) * scale.astype(np.float32)).astype(np.float32)


def along(values: Array, rank: int, axis: int | None) -> Array:
    """`values` shaped to broadcast along `axis` of an array of `rank` axes."""
    return values if axis is None else values.reshape([-1 if i == axis else 1 for i in range(rank)])
