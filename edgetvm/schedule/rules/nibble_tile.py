"""Weights that fit 4 bits, two in a byte of flash: a register tile unpacks them as it loads them.

For cores without vectors and without products of two, where a nibble with its sign is an instruction or two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad, TensorRegion
from tvm.s_tir import Schedule

from edgetvm.schedule import analysis as facts
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.nibbles import NIBBLE, are_nibbles
from edgetvm.schedule.rules.register_tile import register_tile
from edgetvm.schedule.types import Constants, Loops, Packing

_UPPER = 32 - NIBBLE


@dataclass(frozen=True)
class Nibbles:
    """``[..., K, O]`` as bytes ``[..., K / 2, O]``, the even k in their lower halves; then as `after` lays them out."""

    after: Packing | None = None

    @property
    def label(self) -> str:
        """Tells this layout from others in a name."""
        return "nibbles" if self.after is None else f"nibbles_{self.after.label}"

    def pack(self, data: np.ndarray) -> np.ndarray:
        """The array as the kernel reads it."""
        bits = data.view(np.uint8)
        joined = ((bits[..., 0::2, :] & 15) | (bits[..., 1::2, :] << NIBBLE)).view(np.int8)
        return joined if self.after is None else self.after.pack(joined)


def nibble_tile(sch: Schedule, machine: Machine, constants: Constants) -> Loops | None:
    """A register tile over packed weights; None where machine or kernel are others, or flash is to buy speed."""
    if machine.vector_bytes or machine.dsp or machine.recipe.wide_percent:
        return None
    func = sch.mod["main"]
    found = weights_of(sch, constants)
    if found is None:
        return None
    *outer, depth, columns = func.params[found].shape
    half = tirx.const(int(depth) // 2, "int64")
    narrow = tirx.decl_buffer((*outer, half, columns), "int8", name=func.params[found].name)
    tiled = Schedule(tvm.IRModule({"main": reading(func, found, narrow)}))
    packed = {**constants, found: tuple(Nibbles().pack(array) for array in constants[found])}
    recipe = machine.recipe
    # The bytes of a step stay in registers for the step after it: half as many sums.
    fewer = replace(machine, recipe=replace(recipe, scalar_accumulators=recipe.scalar_accumulators // 2))
    packing = register_tile(tiled, fewer, packed)
    return None if packing is None else Loops(tiled.mod["main"], {**packing, found: Nibbles(packing.get(found))})


def weights_of(sch: Schedule, constants: Constants) -> int | None:
    """The position of a constant of 4 bits an element; a sum goes over its axis before the last, which is even."""
    params = list(sch.mod["main"].params)
    for block in map(sch.get, facts.all_blocks(sch)):
        sums = [axis for axis in facts.reduction_axes(block) if facts.extent(axis) % 2 == 0]
        for load in facts.loads(block):
            position = next((i for i in constants if load.source.same_as(params[i])), None)
            if position is None or str(load.source.dtype) != "int8" or len(load.indices) < 2:
                continue
            if not any(load.indices[-2].same_as(axis.var) for axis in sums):
                continue
            if are_nibbles(constants[position]):
                return position
    return None


def reading(func: tirx.PrimFunc, position: int, narrow: tirx.Buffer) -> tirx.PrimFunc:
    """The function that reads parameter `position` from `narrow`, two numbers a byte along the axis before the last."""
    wide = func.params[position]
    two = tirx.const(2, "int64")

    def load(old: TensorLoad) -> tirx.Expr:
        if not old.source.same_as(wide):
            return old
        *outer, k, column = old.indices
        byte = tirx.Cast("int32", tirx.BufferLoad(narrow, [*outer, tirx.floordiv(k, two), column]))
        upper = tirx.Cast("int32", tirx.floormod(k, two))
        up = tirx.LShift(byte, tirx.const(_UPPER, "int32") - upper * tirx.const(NIBBLE, "int32"))
        return tirx.Cast("int8", tirx.RShift(up, tirx.const(_UPPER, "int32")))

    def region(old: TensorRegion) -> TensorRegion:
        if not old.source.same_as(wide):
            return old
        *outer, k, column = old.region
        half = tvm.ir.Range.from_min_extent(tirx.floordiv(k.min, two), k.extent)
        return tirx.BufferRegion(narrow, [*outer, half, column])

    body = tvm_ffi.structural_map(func.body, ((TensorLoad, load), (TensorRegion, region)))
    params = [narrow if param.same_as(wide) else param for param in func.params]
    return tirx.PrimFunc(params, body, func.ret_type, func.attrs)
