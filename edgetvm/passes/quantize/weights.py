"""Constant weights as int8 with one scale for each output channel, biases as int32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetvm.oracle.dataset import Array

from .affine import SMALLEST_SCALE

LARGEST = 127  # never -128: two products of -128 would leave the sums that kernels rely on
_LARGEST_BIAS = 2.0**30  # leaves the other half of int32 to the products


@dataclass(eq=False)
class LayerWeights:
    """The integers of one layer.

    integers  int8, in the shape of the float weights
    scale     float32 ``[channels]``, or a scalar: real weight = scale * integer
    axis      the axis of `integers` that `scale` runs along; None for a scalar
    bias      int32 ``[channels]``, or None; real bias = input scale * scale * integer
    """

    integers: Array
    scale: Array
    axis: int | None
    bias: Array | None = None

    def real(self) -> Array:
        """The weights that the integers stand for, float64."""
        return self.integers * along(self.scale.astype(np.float64), self.integers.ndim, self.axis)


def channel_scales(weights: Array, axis: int | None, bias: Array | None, input_scale: float) -> Array:
    """The finest float32 scale of each channel that holds its largest weight, and its bias in int32.

    A channel of zeros gets the scale of the largest channel (1 if all are zero).
    """
    others = None if axis is None else tuple(i for i in range(weights.ndim) if i != axis)
    scale = np.abs(weights).max(axis=others).astype(np.float64) / LARGEST
    if bias is not None and scale.ndim:
        scale = np.maximum(scale, np.abs(bias) / (input_scale * _LARGEST_BIAS))
    largest = scale.max() if scale.size else 0.0
    scale = np.where(scale > 0, scale, largest if largest > 0 else 1.0)
    return np.maximum(scale, SMALLEST_SCALE).astype(np.float32)


def round_weights(weights: Array, scale: Array, axis: int | None) -> Array:
    """The nearest int8 for every weight."""
    steps = np.rint(weights / along(scale.astype(np.float64), weights.ndim, axis))
    return np.clip(steps, -LARGEST, LARGEST).astype(np.int8)


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
