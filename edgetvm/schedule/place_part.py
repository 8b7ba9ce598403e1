"""A scheduled kernel as a part of another: its parameters and its scratch become views of buffers of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import tvm
import tvm_ffi
from tvm import s_tir, tirx

from edgetvm.schedule.analysis import buffer_bytes
from edgetvm.schedule.rules.write_code import Code, Offset, number

Place: TypeAlias = tuple[tirx.Buffer, Offset]  # a buffer and the element at which a parameter begins
ALIGN = 64  # bytes, of scratch: the widest vector


def without_blocks(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """The same loops, in which nothing is left of blocks: TVM would take the buffers of a whole for smaller than they
    are, since it does not see through views.
    """
    passes = s_tir.transform
    lowering = [
        passes.CanonicalizeLoop(),
        passes.LowerInitBlock(),
        passes.PlanAndUpdateBufferAllocationLocation(),
        passes.ConvertBlocksToOpaque(),
        passes.CompactBufferAllocation(),
        passes.LowerMatchBuffer(),
        passes.LowerOpaqueBlock(),
    ]
    return tvm.transform.Sequential(lowering)(tvm.IRModule({"main": func}))["main"]


def scratch_bytes(part: tirx.PrimFunc) -> int:
    """What the part has to find in scratch."""
    return sum(_aligned(buffer) for buffer in _scratch(part))


def place_part(code: Code, part: tirx.PrimFunc, places: Sequence[Place], scratch: tirx.Buffer) -> None:
    """Append the body of `part`, whose parameters lie at `places` and whose scratch begins where `scratch` does."""
    for param, (buffer, offset) in zip(part.params, places, strict=True):
        if not param.same_as(buffer):
            code.add(_view(param, buffer, offset))
    start = 0
    shown: dict[tirx.Buffer, int] = {}
    for buffer in _scratch(part):
        shown[buffer] = start
        start += _aligned(buffer)

    def view(alloc: tirx.AllocBuffer) -> tirx.Stmt:
        return _view(alloc.buffer, scratch, shown[alloc.buffer]) if alloc.buffer in shown else alloc

    code.add(tvm_ffi.structural_map(part.body, (tirx.AllocBuffer, view)))


def _scratch(part: tirx.PrimFunc) -> list[tirx.Buffer]:
    """Arrays of one memory for all threads; those inside of parallel loops belong to a thread."""
    found: list[tirx.Buffer] = []

    def on_loop(loop: tirx.For) -> object:
        return tvm_ffi.WalkResult.SKIP if loop.kind == tirx.ForKind.PARALLEL else None

    def on_array(alloc: tirx.AllocBuffer) -> None:
        if str(alloc.buffer.scope()) == "global":
            found.append(alloc.buffer)

    tvm_ffi.structural_walk(part.body, ((tirx.For, on_loop), (tirx.AllocBuffer, on_array)), order="pre")
    return found


def _view(buffer: tirx.Buffer, of: tirx.Buffer, offset: Offset) -> tirx.Stmt:
    corner = [number(0)] * (len(of.shape) - 1)
    return tirx.DeclBuffer(buffer, data=tirx.address_of(tirx.BufferLoad(of, [*corner, number(offset)])))


def _aligned(buffer: tirx.Buffer) -> int:
    return -(-buffer_bytes(buffer) // ALIGN) * ALIGN
