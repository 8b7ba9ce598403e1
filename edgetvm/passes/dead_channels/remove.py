"""Take out of an integer graph the channels that no input can change and those that nothing reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import tvm
from tvm import relax

from edgetvm.operators import convolve
from edgetvm.passes.dead_channels.needed import Mask, find_channels
from edgetvm.passes.dead_channels.ranges import ranges_of
from edgetvm.passes.dead_channels.slice import slice_channels
from edgetvm.passes.integer.calls import name_of
from edgetvm.passes.integer.context import shape_of


@dataclass(frozen=True)
class Selection:
    """The channels of one tensor, along `axis`: which were kept, and which of all some output depends on."""

    axis: int
    kept: Mask
    needed: Mask


@dataclass(frozen=True)
class DeadChannels:
    """What was removed, of all channels that convolutions and products with constant matrices compute.

    `multiple` is what the number of kept channels was rounded up to; `selections` has every tensor with
    dead channels, by the name of its binding.
    """

    multiple: int
    removed: int
    channels: int
    removed_macs: int
    macs: int
    selections: Mapping[str, Selection]


def remove_dead_channels(
    module: tvm.IRModule, sources: Mapping[str, tuple[str, ...]], multiple: int
) -> tuple[tvm.IRModule, Mapping[str, tuple[str, ...]], DeadChannels]:
    """The same outputs, bit by bit, from fewer channels: the module, its sources and what is gone.

    `module` holds integer operators (`edgetvm.operators`), `sources` the nodes of its bindings. Weights are sliced, and
    what a constant channel adds to a sum goes into its bias. Where a border of another value stands around such a
    channel that is not exact, and the channel stays. Bindings keep their names.
    """
    main = module["main"]
    ranges = ranges_of(main)
    channels = find_channels(main, ranges, multiple)
    count, macs = _work(main)
    if all(mask.all() for mask in channels.kept.values()):
        return module, sources, DeadChannels(multiple, 0, count, 0, macs, {})
    sliced, named = slice_channels(module, sources, channels, ranges)
    left, macs_left = _work(sliced["main"])
    selections = {
        var.name: Selection(axis, channels.kept[var], channels.needed[var])
        for var, axis in channels.axes.items()
        if not channels.needed[var].all()
    }
    return sliced, named, DeadChannels(multiple, count - left, count, macs - macs_left, macs, selections)


def _work(func: relax.Function) -> tuple[int, int]:
    """Channels that are computed by sums of products with constants, and multiply-adds for them."""
    channels = macs = 0
    for block in func.body.blocks:
        for binding in block.bindings:
            call = binding.value
            if name_of(call) in (convolve.NAME, "relax.matmul") and isinstance(call.args[1], tvm.ir.GenericConst):
                channels += shape_of(call)[-1]
                macs += math.prod(shape_of(call)) * math.prod(shape_of(call.args[1])[:-1])
    return channels, macs
