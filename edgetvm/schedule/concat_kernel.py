"""Kernels that end in a concatenation: each part is a kernel of its own that writes its slice of the result.

The rules schedule the parts as any other kernel. They run one after another, in scratch that all share, and nothing is
written that would have to be copied.
"""

from __future__ import annotations

from collections.abc import Sequence

import tvm
from tvm import s_tir, tirx

from edgetvm.cost.row_stages import kernel_of
from edgetvm.passes.concat_parts import Part, concat_parts, loaded_in, stored_in
from edgetvm.schedule.place_part import place_part, scratch_bytes, without_blocks
from edgetvm.schedule.rules.write_code import Code
from edgetvm.schedule.types import Constants, Packing, ScheduledKernel


def split_concat(func: tirx.PrimFunc) -> list[tirx.PrimFunc]:
    """A kernel for each tensor that the last block of `func` concatenates, writing to a slice of the whole result.

    Nothing if `func` does not end in a concatenation.
    """
    return [_kernel(func, part) for part in concat_parts(func)]


def constants_of(func: tirx.PrimFunc, part: tirx.PrimFunc, constants: Constants) -> Constants:
    """Those of `constants`, by position in `func`, that are operands of a part, by position there."""
    positions = {param: position for position, param in enumerate(func.params)}
    places = {at: positions[param] for at, param in enumerate(part.params)}
    return {at: constants[position] for at, position in places.items() if position in constants}


def join_parts(
    func: tirx.PrimFunc, parts: Sequence[tirx.PrimFunc], kernels: Sequence[ScheduledKernel]
) -> ScheduledKernel:
    """The scheduled `parts` of `func` as one kernel."""
    positions = {param: position for position, param in enumerate(func.params)}
    packed: dict[tirx.Buffer, tirx.Buffer] = {}
    packing: dict[int, Packing] = {}
    bodies = []
    for part, kernel in zip(parts, kernels, strict=True):
        bodies.append(without_blocks(s_tir.renew_defs(kernel.func)))
        for at, layout in kernel.packing.items():
            packing[positions[part.params[at]]] = layout
            packed[part.params[at]] = kernel.func.params[at]
    code = Code()
    shared = max(map(scratch_bytes, bodies))
    work = code.array("work", shared, "int8", "global") if shared else func.params[-1]
    for part, body in zip(parts, bodies, strict=True):
        place_part(code, body, [(packed.get(param, param), 0) for param in part.params], work)
    params = [packed.get(param, param) for param in func.params]
    noalias = all(bool(kernel.func.attrs.get("tirx.noalias", True)) for kernel in kernels)
    joined = tirx.PrimFunc(params, code.statement(), func.ret_type, func.attrs)
    joined = joined.with_attrs({"global_symbol": "main", "tirx.noalias": noalias})
    rules = dict.fromkeys(kernel.rule for kernel in kernels)
    tasks = tuple(task for kernel in kernels for task in kernel.tasks)
    return ScheduledKernel(joined, "+".join(rules), packing, func, tasks=tasks, llvm_level=kernels[0].llvm_level)


def _kernel(func: tirx.PrimFunc, part: Part) -> tirx.PrimFunc:
    """The blocks behind one part and one that moves it into the result."""
    result = func.params[-1]
    own = [*part.nests, _move(part, result)]
    arrays = [buffer for nest in part.nests for buffer in stored_in(nest)]
    needed = {buffer for nest in own for buffer in loaded_in(nest)}
    read = [param for param in func.params[:-1] if param in needed]
    return kernel_of([*read, result], own[0] if len(own) == 1 else tirx.SeqStmt(own), arrays)


def _move(part: Part, result: tirx.Buffer) -> tirx.Stmt:
    """The block that copies a part to its place, for the rules to melt into what computes it."""
    ranges = [tvm.ir.Range.from_min_extent(_index(0), _index(int(extent))) for extent in part.source.shape]
    loops = [tvm.ir.Var(f"i{axis}", _index(0).ty) for axis in range(len(ranges))]
    axes = [tirx.IterVar(each, tvm.ir.Var(f"v{axis}", _index(0).ty), 0) for axis, each in enumerate(ranges)]
    inside = [axis.var for axis in axes]
    outside = [var + _index(part.first) if axis == part.axis else var for axis, var in enumerate(inside)]
    block = s_tir.SBlock(
        axes,
        [_element(part.source, inside)],
        [_element(result, outside)],
        "part",
        tirx.BufferStore(result, tirx.BufferLoad(part.source, inside), outside),
    )
    nest: tirx.Stmt = s_tir.SBlockRealize(list(loops), True, block)
    for var, each in reversed(list(zip(loops, ranges, strict=True))):
        nest = tirx.For(var, each.min, each.extent, tirx.ForKind.SERIAL, nest)
    return nest


def _element(buffer: tirx.Buffer, indices: Sequence[tirx.Expr]) -> tirx.BufferRegion:
    return tirx.BufferRegion(buffer, [tvm.ir.Range.from_min_extent(index, _index(1)) for index in indices])


def _index(value: int) -> tirx.IntImm:
    return tirx.const(value, "int64")
