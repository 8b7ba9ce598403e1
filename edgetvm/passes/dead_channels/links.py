"""How the channels of a result hang together with those of the operands, operator by operator.

Every tensor made by a convolution or a matrix product has an axis of channels, and what moves or maps its elements
passes it on. Where an operator is not known here, or needs all channels at once, there is no link.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from edgetvm.operators import convolve, lookup, prelu, reduce_sum, requantize, scaled_sum, window_sum
from edgetvm.passes.integer.calls import name_of, tensors
from edgetvm.passes.integer.context import shape_of

Ints = npt.NDArray[np.int64]
Axes = Mapping[relax.Var, int]


@dataclass(frozen=True)
class Link:
    """Channel j of the result is made of channel ``origin[j]`` of the tensor `operand`; -1: of another operand."""

    operand: relax.Var
    origin: Ints


@dataclass(frozen=True)
class Mixing:
    """A convolution without groups or a product with a constant matrix: every output sums all channels of `x`.

    `weights` are [taps, channels, outputs], `pad_value` is what stands around `x`, None without a border.
    """

    x: relax.Var
    weights: Ints
    pad_value: int | None


def mixing(call: tvm.ir.Expr) -> Mixing | None:
    """The call as one that mixes channels; None if it is another."""
    name = name_of(call)
    if name not in (convolve.NAME, "relax.matmul"):
        return None
    x, w = call.args
    if not isinstance(x, relax.Var) or not isinstance(w, tvm.ir.GenericConst):
        return None
    codes = w.value.numpy().astype(np.int64)
    if name == "relax.matmul":
        return Mixing(x, codes[None], None) if codes.ndim == 2 else None
    if int(call.attrs["groups"]) != 1:
        return None
    border = any(int(side) for side in call.attrs["padding"])
    pad_value = int(call.attrs["pad_value"]) if border else None
    return Mixing(x, codes.reshape(-1, *codes.shape[2:]), pad_value)


def links_of(call: tvm.ir.Expr, axes: Axes) -> tuple[int, tuple[Link, ...]] | None:
    """The axis of channels of the result and its links; None if the operator needs its operands whole."""
    rule = RULES.get(name_of(call))
    operands = [field for argument in call.args for field in tensors(argument)] if rule else []
    found = None if rule is None else rule(call, operands, axes)
    if found is None:
        return None
    axis, links = found
    linked = {link.operand for link in links}
    whole = [x for x in operands if isinstance(x, relax.Var) and x in axes and x not in linked]
    return None if whole else (axis, tuple(links))


Rule = Callable[[tvm.ir.Call, Sequence[tvm.ir.Expr], Axes], "tuple[int, list[Link]] | None"]


def _same(x: tvm.ir.Expr, axis: int) -> Link:
    """Channel by channel."""
    return Link(x, np.arange(shape_of(x)[axis]))


def _elementwise(call: tvm.ir.Call, operands: Sequence[tvm.ir.Expr], axes: Axes) -> tuple[int, list[Link]] | None:
    """Operands broadcast: those with one element along the axis have no channels."""
    shape = shape_of(call)
    own = {x: axes[x] + len(shape) - len(shape_of(x)) for x in operands if x in axes}
    if len(set(own.values())) != 1:
        return None
    (axis,) = set(own.values())
    for x in operands:
        place = axis - len(shape) + len(shape_of(x))
        if isinstance(x, relax.Var) and x not in own and place >= 0 and shape_of(x)[place] > 1:
            return None
    if any(shape_of(x)[axes[x]] != shape[axis] for x in own):
        return None
    return axis, [_same(x, axes[x]) for x in own]


def _first(call: tvm.ir.Call, operands: Sequence[tvm.ir.Expr], axes: Axes) -> tuple[int, list[Link]] | None:
    """The first operand element by element, whatever the others are."""
    return _elementwise(call, operands[:1], axes)


def _last_axis(_: tvm.ir.Call, operands: Sequence[tvm.ir.Expr], axes: Axes) -> tuple[int, list[Link]] | None:
    """Windows slide over [N, H, W, C]."""
    (x,) = operands
    return (3, [_same(x, 3)]) if axes.get(x) == 3 else None


def _convolve(call: tvm.ir.Call, operands: Sequence[tvm.ir.Expr], axes: Axes) -> tuple[int, list[Link]] | None:
    x, w = operands
    depthwise = shape_of(w)[2] == 1 and shape_of(w)[3] == int(call.attrs["groups"]) == shape_of(x)[3]
    return (3, [_same(x, 3)]) if depthwise and axes.get(x) == 3 else None


def _permute(call: tvm.ir.Call, operands: Sequence[tvm.ir.Expr], axes: Axes) -> tuple[int, list[Link]] | None:
    (x,) = operands
    rank = len(shape_of(x))
    order = [int(axis) % rank for axis in call.attrs.axes] if call.attrs.axes is not None else [*range(rank)][::-1]
    return (order.index(axes[x]), [_same(x, axes[x])]) if x in axes else None


def _reshape(call: tvm.ir.Call, operands: Sequence[tvm.ir.Expr], axes: Axes) -> tuple[int, list[Link]] | None:
    """Where the channel of an element is known from its place along one axis of the result."""
    x = operands[0]
    if x not in axes:
        return None
    old, new = shape_of(x), shape_of(call)
    along = np.arange(old[axes[x]]).reshape([-1 if axis == axes[x] else 1 for axis in range(len(old))])
    channel = np.broadcast_to(along, old).reshape(new)
    for axis in range(len(new)):
        origin = channel[tuple(slice(None) if other == axis else 0 for other in range(len(new)))]
        if (channel == origin.reshape([-1 if other == axis else 1 for other in range(len(new))])).all():
            return axis, [Link(x, origin)]
    return None


def _concat(call: tvm.ir.Call, operands: Sequence[tvm.ir.Expr], axes: Axes) -> tuple[int, list[Link]] | None:
    along = int(call.attrs.axis) % len(shape_of(call))
    if any(x not in axes for x in operands) or len({axes[x] for x in operands}) != 1:
        return None
    axis = axes[operands[0]]
    if along != axis:
        return axis, [_same(x, axis) for x in operands]
    links, first = [], 0
    for x in operands:
        origin = np.full(shape_of(call)[axis], -1)
        origin[first : first + shape_of(x)[axis]] = np.arange(shape_of(x)[axis])
        links.append(Link(x, origin))
        first += shape_of(x)[axis]
    return axis, links


def _reduce_sum(call: tvm.ir.Call, operands: Sequence[tvm.ir.Expr], axes: Axes) -> tuple[int, list[Link]] | None:
    (x,) = operands
    over = {int(axis) for axis in call.attrs["axes"]}
    if axes.get(x, -1) in over or x not in axes:
        return None
    gone = 0 if int(call.attrs["keepdims"]) else sum(axis < axes[x] for axis in over)
    return axes[x] - gone, [_same(x, axes[x])]


ELEMENTWISE = (
    "relax.add",
    "relax.maximum",
    "relax.minimum",
    "relax.multiply",
    "relax.subtract",
    prelu.NAME,
    requantize.NAME,
    scaled_sum.NAME,
)
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    "relax.astype": _first,
    "relax.clip": _first,
    lookup.NAME: _first,
    "relax.concat": _concat,
    "relax.nn.max_pool2d": _last_axis,
    "relax.permute_dims": _permute,
    "relax.reshape": _reshape,
    convolve.NAME: _convolve,
    reduce_sum.NAME: _reduce_sum,
    window_sum.NAME: _last_axis,
}
