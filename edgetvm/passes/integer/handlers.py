"""Which function gives which operator of Relax its integer form."""

from __future__ import annotations

from collections.abc import Mapping

from edgetvm.passes.integer import layers, marked, movement, pointwise, rowwise
from edgetvm.passes.integer.context import Handler
from edgetvm.passes.integer.functions import FUNCTIONS
from edgetvm.passes.integer.real import INFINITE

HANDLERS: Mapping[str, Handler] = {
    **{name: pointwise.table(function) for name, function in FUNCTIONS.items()},
    **movement.HANDLERS,
    "relax.add": pointwise.add,
    "relax.call_tir": marked.call_tir,
    "relax.clip": pointwise.clip_by_attributes,
    "relax.divide": pointwise.divide,
    "relax.matmul": layers.matmul,
    "relax.max": layers.extreme,
    "relax.maximum": pointwise.extreme(largest=True),
    "relax.mean": layers.mean,
    "relax.min": layers.extreme,
    "relax.minimum": pointwise.extreme(largest=False),
    "relax.multiply": pointwise.multiply,
    "relax.nn.avg_pool2d": layers.average_pool,
    "relax.nn.conv2d": layers.conv2d,
    "relax.nn.layer_norm": rowwise.layer_norm,
    "relax.nn.max_pool2d": layers.extreme,
    "relax.nn.relu": pointwise.clip(0.0, INFINITE),
    "relax.nn.relu6": pointwise.clip(0.0, 6.0),
    "relax.nn.softmax": rowwise.softmax,
    "relax.subtract": pointwise.subtract,
    "relax.sum": layers.total,
}
