"""Which channels of every tensor reach an output, and which are kept for the sake of those.

A channel is needed where something reads it: a sum in which its weight is not 0, unless its value is a constant that
can go into the sum's bias. Tensors that are added element by element keep the same channels, and so do a reshape, a
concatenation and what it is made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from edgetvm.passes.dead_channels.links import Link, links_of, mixing
from edgetvm.passes.dead_channels.ranges import Ranges
from edgetvm.passes.integer.calls import tensors
from edgetvm.passes.integer.context import shape_of

Mask = npt.NDArray[np.bool_]
Bindings = Sequence[tuple[relax.Var, tvm.ir.Expr]]


@dataclass(frozen=True)
class Channels:
    """The channels of every tensor that has an axis of them, by its place, and how they hang together.

    `needed` ones reach an output. `kept` are those and others that must stay beside them, whose values nothing reads.
    """

    axes: Mapping[relax.Var, int]
    links: Mapping[relax.Var, tuple[Link, ...]]
    needed: Mapping[relax.Var, Mask]
    kept: Mapping[relax.Var, Mask]


def find_channels(func: relax.Function, ranges: Ranges, multiple: int) -> Channels:
    """Analyse `main`; where channels go, the number of those that stay is a multiple of `multiple` if it can be."""
    bindings = [(binding.var, binding.value) for block in func.body.blocks for binding in block.bindings]
    axes: dict[relax.Var, int] = {}
    links: dict[relax.Var, tuple[Link, ...]] = {}
    for var, value in bindings:
        if mixing(value) is not None:
            axes[var], links[var] = len(shape_of(var)) - 1, ()
        elif (found := links_of(value, axes)) is not None:
            axes[var], links[var] = found
    needed = _needed(bindings, axes, links, ranges, tensors(func.body.body))
    return Channels(axes, links, needed, _kept(bindings, links, needed, multiple))


def constant_channels(
    x: relax.Var, axis: int, ranges: Ranges, pad_value: int | None
) -> tuple[Mask, npt.NDArray[np.int64]]:
    """Which channels of `x` have one value everywhere, the border included, and the values of all."""
    count = shape_of(x)[axis]
    interval = ranges[x].along(axis).moved(lambda side: np.broadcast_to(side, count))
    constant = interval.low == interval.high
    return constant if pad_value is None else constant & (interval.low == pad_value), interval.low


def _needed(
    bindings: Bindings,
    axes: Mapping[relax.Var, int],
    links: Mapping[relax.Var, tuple[Link, ...]],
    ranges: Ranges,
    outputs: Sequence[tvm.ir.Expr],
) -> dict[relax.Var, Mask]:
    needed = {var: np.zeros(shape_of(var)[axis], bool) for var, axis in axes.items()}

    def whole(expr: tvm.ir.Expr) -> None:
        for operand in tensors(expr):
            if operand in needed:
                needed[operand][:] = True

    for output in outputs:
        whole(output)
    for var, value in reversed(bindings):
        mixed = mixing(value)
        if mixed is not None and axes.get(mixed.x) == len(shape_of(mixed.x)) - 1:
            constant, _ = constant_channels(mixed.x, axes[mixed.x], ranges, mixed.pad_value)
            read = (mixed.weights[:, :, needed[var]] != 0).any((0, 2))
            needed[mixed.x] |= read & ~constant
        elif var in links and mixed is None:
            for link in links[var]:
                origin = link.origin[needed[var]]
                needed[link.operand][origin[origin >= 0]] = True
        elif isinstance(value, tvm.ir.Call):
            for argument in value.args:
                whole(argument)
        else:
            whole(value.tuple_value if isinstance(value, tvm.ir.TupleGetItem) else value)
    return needed


def _kept(
    bindings: Bindings, links: Mapping[relax.Var, tuple[Link, ...]], needed: Mapping[relax.Var, Mask], multiple: int
) -> dict[relax.Var, Mask]:
    kept = {var: mask.copy() for var, mask in needed.items()}
    _agree(bindings, links, kept)
    for var, _ in bindings:
        mask = kept.get(var)
        if mask is None or mask.all() or links[var]:  # whoever mixes channels decides for those linked to it
            continue
        wanted = max(-(-int(mask.sum()) // multiple), 1) * multiple
        mask[np.flatnonzero(~mask)[: wanted - int(mask.sum())]] = True
        _agree(bindings, links, kept)
    return kept


def _agree(bindings: Bindings, links: Mapping[relax.Var, tuple[Link, ...]], kept: dict[relax.Var, Mask]) -> None:
    """Keep what is linked to something that is kept, until nothing more is."""
    changed = True
    while changed:
        before = sum(int(mask.sum()) for mask in kept.values())
        for var, _ in [*bindings, *reversed(bindings)]:
            for link in links.get(var, ()):
                inside = link.origin >= 0
                kept[var][inside] |= kept[link.operand][link.origin[inside]]
                kept[link.operand][link.origin[inside & kept[var]]] = True
        changed = sum(int(mask.sum()) for mask in kept.values()) != before
