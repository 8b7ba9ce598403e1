"""Stages that copy an image row by row, to where the rows of its border are too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tvm
import tvm_ffi
from tvm import s_tir, tirx
from tvm.ir import TensorLoad, TensorRegion

from edgetvm.cost.row_plan import RowPlan
from edgetvm.cost.row_stages import kernel_of


def with_copies(func: tirx.PrimFunc, stages: Sequence[tirx.PrimFunc], plan: RowPlan) -> list[tirx.PrimFunc]:
    """`stages` of a kernel with those before them that copy images, as `plan` numbers them."""
    images = {func.params[int(name)]: _like(func.params[int(name)]) for name in plan.copies}
    return [*(_copy(*pair) for pair in images.items()), *(_reading(stage, images) for stage in stages)]


def _like(image: tirx.Buffer) -> tirx.Buffer:
    return tirx.decl_buffer(list(image.shape), str(image.dtype), name=f"{image.name}_rows")


def _copy(image: tirx.Buffer, copy: tirx.Buffer) -> tirx.PrimFunc:
    """A kernel that copies an image."""
    zero = tirx.const(0, "int64")
    loops = [tirx.Var(f"i{axis}", "int64") for axis in range(len(image.shape))]
    own = [tirx.Var(f"v{axis}", "int64") for axis in range(len(image.shape))]
    ranges = [tvm.ir.Range.from_min_extent(zero, extent) for extent in image.shape]
    axes = [tirx.IterVar(range_, var, tirx.IterVar.DataPar) for range_, var in zip(ranges, own, strict=True)]
    place = [tvm.ir.Range.from_min_extent(var, tirx.const(1, "int64")) for var in own]
    regions = [[tirx.BufferRegion(buffer, place)] for buffer in (image, copy)]
    block = s_tir.SBlock(axes, *regions, "copy", tirx.BufferStore(copy, tirx.BufferLoad(image, own), own))
    body: tirx.Stmt = s_tir.SBlockRealize(loops, True, block)
    for var, extent in zip(reversed(loops), reversed(image.shape), strict=True):
        body = tirx.For(var, zero, extent, tirx.ForKind.SERIAL, body)
    return kernel_of([image, copy], body, [])


def _reading(stage: tirx.PrimFunc, copies: Mapping[tirx.Buffer, tirx.Buffer]) -> tirx.PrimFunc:
    """A stage that reads copies of images."""

    def load(old: TensorLoad) -> tirx.Expr:
        return tirx.BufferLoad(copies[old.source], list(old.indices)) if old.source in copies else old

    def region(old: TensorRegion) -> TensorRegion:
        return tirx.BufferRegion(copies[old.source], list(old.region)) if old.source in copies else old

    body = tvm_ffi.structural_map(stage.body, ((TensorLoad, load), (TensorRegion, region)))
    return tirx.PrimFunc([copies.get(param, param) for param in stage.params], body, stage.ret_type, stage.attrs)
