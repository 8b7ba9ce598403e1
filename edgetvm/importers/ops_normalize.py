"""Normalizations and softmax."""

from __future__ import annotations

import numpy as np
from tvm import relax
from tvm.ir import Expr

from .convert import Call, normal_axis
from .graph import Refused


def softmax(call: Call) -> Expr:
    """Softmax over one axis; before opset 13 over the axis and all behind it."""
    shape = call.type().shape
    if call.node.version >= 13:
        return relax.op.nn.softmax(call.x(), normal_axis(call.attr("axis", -1), len(shape)))
    axis = normal_axis(call.attr("axis", 1), len(shape))
    if axis == len(shape) - 1:
        return relax.op.nn.softmax(call.x(), axis)
    rows = int(np.prod(shape[:axis]))
    flat = call.emit(relax.op.reshape(call.x(), (rows, call.type().size // rows)))
    return relax.op.reshape(call.emit(relax.op.nn.softmax(flat, 1)), shape)


def layer_normalization(call: Call) -> Expr:
    """LayerNormalization over the trailing axes."""
    shape = call.type().shape
    axis = normal_axis(call.attr("axis", -1), len(shape))
    if call.wants(1) or call.wants(2):
        raise Refused("its mean and deviation outputs are not supported")
    beta = call.x(2) if call.has(2) else call.constant(np.zeros(shape[axis:], call.out().dtype))
    axes = list(range(axis, len(shape)))
    return relax.op.nn.layer_norm(call.x(), call.x(1), beta, axes, call.attr("epsilon", 1e-5))


def batch_normalization(call: Call) -> Expr:
    """BatchNormalization at inference: one scale and one shift for each channel."""
    if call.attr("training_mode", 0):
        raise Refused("training mode is not supported")
    gamma, beta, mean, variance = (call.need(i, "statistics").astype("float64") for i in (1, 2, 3, 4))
    scale = gamma / np.sqrt(variance + call.attr("epsilon", 1e-5))
    shift = beta - mean * scale
    shape = (-1, *[1] * (len(call.type().shape) - 2))
    dtype = call.out().dtype
    scaled = call.emit(relax.op.multiply(call.x(), call.constant(scale.reshape(shape), dtype)))
    return relax.op.add(scaled, call.constant(shift.reshape(shape), dtype))
