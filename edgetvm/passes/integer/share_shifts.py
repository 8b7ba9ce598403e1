"""Few shifts for all requantizations of a model: layers of equal shape then differ in nothing but constant operands.

A factor is ``m / 2^s``. Where `m` is precise enough with a smaller `s` too, that of another layer may do for it, and
kernels that would differ in this number alone are one kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tvm
from tvm import relax

from edgetvm.operators.fixed_point import is_precise
from edgetvm.operators.requantize import ACCUMULATOR_BITS, NAME
from edgetvm.passes.integer.calls import name_of
from edgetvm.passes.integer.context import constant, dtype_of

# (smallest, largest) shift of a layer.
Range = tuple[int, int]


def share_shifts(module: tvm.IRModule) -> tvm.IRModule:
    """Requantizations by one shift for all their channels get the one that serves the most of them."""
    main = module["main"]
    values_of = {binding.var: binding.value for block in main.body.blocks for binding in block.bindings}
    ranges = {var: found for var, value in values_of.items() if (found := _range(value)) is not None}
    shifts = dict(zip(ranges, fewest(list(ranges.values())), strict=True))
    values = {
        var: _by(shift, values_of[var], ranges[var][1]) for var, shift in shifts.items() if shift < ranges[var][1]
    }
    blocks = [
        type(block)([relax.VarBinding(each.var, values.get(each.var, each.value)) for each in block.bindings])
        for block in main.body.blocks
    ]
    body = relax.BlockBuilder(module).normalize(relax.SeqExpr(blocks, main.body.body))
    changed = relax.Function(main.params, body, main.ret_ty, attrs=main.attrs)
    return tvm.IRModule({**module.functions, module.get_global_var("main"): changed})


def _by(shift: int, value: tvm.ir.Call, own: int) -> tvm.ir.Call:
    """The requantization, whose shift is `own`, by `shift`."""
    acc, multiplier, places = value.args
    smaller = scaled(multiplier.value.numpy().astype(np.int64), own - shift)
    same = np.full_like(places.value.numpy(), shift)
    return relax.Call(value.op, [acc, constant(smaller, "int32"), constant(same, "int32")], value.attrs)


def fewest(ranges: Sequence[Range]) -> list[int]:
    """A number in each of `ranges`, of as few different ones as there can be, each the largest that does."""
    chosen: dict[int, int] = {}
    for at in sorted(range(len(ranges)), key=lambda at: ranges[at][1]):
        if at not in chosen:
            most = ranges[at][1]
            chosen |= {i: most for i, (low, high) in enumerate(ranges) if i not in chosen and low <= most <= high}
    return [chosen[at] for at in range(len(ranges))]


def _range(value: relax.Expr) -> Range | None:
    """The shifts with which a requantization is precise; None for others, and where channels have their own."""
    if name_of(value) != NAME or dtype_of(value.args[0]) != "int32":
        return None
    multipliers, shifts = (argument.value.numpy().astype(np.int64) for argument in value.args[1:])
    if shifts.size != 1:
        return None
    most, least = int(shifts.reshape(())), int(shifts.reshape(()))
    # A kernel rounds high words above this, which is another form.
    while least - 1 > ACCUMULATOR_BITS + 1 and is_precise(
        scaled(multipliers, most - least + 1), least - 1, int(value.attrs["bound"])
    ):
        least -= 1
    return least, most


def scaled(multipliers: np.ndarray, places: int) -> np.ndarray:
    """``m / 2^places``, to the nearest."""
    return (multipliers + ((1 << places) >> 1)) >> places
