"""Which kernels are sums of products with constants: convolution and matrix product, seen alike.

    acc[b, y, z, o] = sum over i, j, c of x[b, y, z, i, j, c] * w[i, j, c, o],  then any elementwise epilogue

Every place is an offset that is linear in the axes. A matrix product has one tap and rows in place of pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import tvm
import tvm_ffi
from tvm import s_tir, sym, tirx
from tvm.ir import TensorLoad
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from edgetvm.schedule import analysis as facts
from edgetvm.schedule.rules.dot_border import Border, border_of

ROW_AXES = 3

# The loads of x and of w in a block that sums their products; None for another block.
Factors: TypeAlias = Callable[[s_tir.SBlock], tuple[TensorLoad, TensorLoad] | None]


@dataclass(frozen=True)
class Access:
    """Where a tensor is read or written: an offset in elements, linear in the row axes and the channel."""

    buffer: tirx.Buffer
    base: int
    rows: tuple[int, ...]
    channel: int


@dataclass(frozen=True)
class DotKernel:
    """One such kernel.

    extents     of the axes b, y, z of the output
    channels    output channels
    taps        extents of i and j
    depth       extent of c
    x           where x lies; within a border, in an image with that border around it
    steps       by how many elements x moves with i and j; with c it moves by one
    w           the weights, a parameter
    value       the epilogue: an expression over loads of `acc` and of others
    operands    where every load of the epilogue lies
    out         where the result goes
    """

    extents: tuple[int, int, int]
    channels: int
    taps: tuple[int, int]
    depth: int
    x: Access
    steps: tuple[int, int]
    border: Border | None
    w: tirx.Buffer
    acc: tirx.Buffer
    value: tirx.Expr
    operands: tuple[tuple[TensorLoad, Access], ...]
    out: Access

    @property
    def pixels(self) -> int:
        return math.prod(self.extents)

    @property
    def products(self) -> int:
        return self.pixels * self.channels * math.prod(self.taps) * self.depth


def int8_factors(main: s_tir.SBlock) -> tuple[TensorLoad, TensorLoad] | None:
    """The two loads of ``acc = acc + int32(x) * int32(w)``."""
    product = _summed(main, "int32")
    if product is None:
        return None
    loads = []
    for side in (product.a, product.b):
        if not isinstance(side, tirx.Cast) or not isinstance(side.value, TensorLoad):
            return None
        if str(side.ty.dtype) != "int32" or str(side.value.source.dtype) != "int8":
            return None
        loads.append(side.value)
    return loads[0], loads[1]


def float_factors(main: s_tir.SBlock) -> tuple[TensorLoad, TensorLoad] | None:
    """The two loads of ``acc = acc + x * w`` in float32."""
    product = _summed(main, "float32")
    if product is None or not isinstance(product.a, TensorLoad) or not isinstance(product.b, TensorLoad):
        return None
    return product.a, product.b


def dot_kernel(
    sch: Schedule, constants: Sequence[int], depthwise: bool = False, factors: Factors = int8_factors
) -> DotKernel | None:
    """What the function computes, if it is such a kernel. `constants` are the positions of constant parameters.

    With `depthwise` those kernels of depth 1 are meant whose x moves with the output channel. `factors` tells of
    which products.
    """
    blocks = facts.all_blocks(sch)
    reductions = [block for block in blocks if facts.reduction_axes(sch.get(block))]
    if len(reductions) != 1 or not all(facts.is_simple(sch.get(block)) for block in blocks):
        return None
    main = sch.get(reductions[0])
    if not all(facts.extent(axis) for axis in main.iter_vars):
        return None
    before, after = _around(sch, blocks, reductions[0])
    if len(before) > 1 or len(after) > 1:
        return None
    sides = factors(main)
    params = list(sch.mod["main"].params)
    if sides is None:
        return None
    x_load, w_load = sides
    if not any(i in constants and w_load.source.same_as(param) for i, param in enumerate(params)):
        return None
    border = None
    if before:
        border = border_of(before[0])
        if border is None or not x_load.source.same_as(border.padded):
            return None
    elif not any(x_load.source.same_as(param) for param in params):
        return None
    return _describe(main, x_load, w_load, border, after[0] if after else None, int(depthwise))


def _around(sch: Schedule, blocks: list[SBlockRV], main: SBlockRV) -> tuple[list[s_tir.SBlock], list[s_tir.SBlock]]:
    bodies = [sch.get(block) for block in blocks]
    at = next(i for i, body in enumerate(bodies) if body.same_as(sch.get(main)))
    return bodies[:at], bodies[at + 1 :]


def _summed(main: s_tir.SBlock, dtype: str) -> tirx.Mul | None:
    """The product of ``acc = acc + product``, both of one type."""
    store = facts.store_of(main)
    if store is None or str(store.buffer.dtype) != dtype or not isinstance(store.value, tirx.Add):
        return None
    total, product = store.value.a, store.value.b
    own = isinstance(total, TensorLoad) and total.source.same_as(store.buffer)
    return product if own and isinstance(product, tirx.Mul) else None


def _describe(
    main: s_tir.SBlock, x: TensorLoad, w: TensorLoad, border: Border | None, after: s_tir.SBlock | None, step: int
) -> DotKernel | None:
    rows, reduced = list(main.iter_vars), facts.reduction_axes(main)
    rows = [axis for axis in rows if axis.iter_type == facts.Axis.DataPar]
    if len(rows) < 1 or len(reduced) not in (1, 3):
        return None
    *outer, channel = rows
    store = facts.store_of(main)
    assert store is not None
    if not _writes_own_element(store, rows) or not _weights_in_order(w, [*reduced, channel]):
        return None
    axes = [*outer, channel, *reduced]
    seen = linear(x.indices, x.source.shape, axes)
    if seen is None or seen[1][len(outer)] != step or (step and facts.extent(reduced[-1]) > 1):
        return None
    base, steps = seen
    taps = steps[len(outer) + 1 :]
    if taps[-1] != 1 and facts.extent(reduced[-1]) > 1:
        return None
    value: tirx.Expr = tirx.BufferLoad(store.buffer, list(store.indices))
    out, inner, result = store, rows, store.buffer
    operands: list[tuple[TensorLoad, Access]] = []
    if after is not None:
        last = facts.store_of(after)
        inner = list(after.iter_vars)
        if last is None or len(inner) != len(rows) or facts.reduction_axes(after):
            return None
        out, value, result = last, last.value, last.buffer
        for load in facts.loads(after):
            if load.source.same_as(store.buffer):
                if not _reads_own_element(load, inner):
                    return None
                continue
            place = linear(load.indices, load.source.shape, inner)
            if place is None or place[1][-1] not in (0, 1):
                return None
            operands.append((load, Access(load.source, place[0], tuple(place[1][:-1]), place[1][-1])))
        if facts.uses_place(value, inner):
            return None
    written = linear(out.indices, out.buffer.shape, inner)
    if written is None or written[1][-1] not in (0, 1):
        return None
    kernel = DotKernel(
        extents=tuple(facts.extent(axis) for axis in outer),  # type: ignore[arg-type]
        channels=facts.extent(channel),
        taps=(1, 1) if len(reduced) == 1 else (facts.extent(reduced[0]), facts.extent(reduced[1])),
        depth=facts.extent(reduced[-1]),
        x=Access(x.source if border is None else border.image, base, tuple(steps[: len(outer)]), step),
        steps=(0, 0) if len(reduced) == 1 else (taps[0], taps[1]),
        border=border,
        w=w.source,
        acc=store.buffer,
        value=value,
        operands=tuple(operands),
        out=Access(result, written[0], tuple(written[1][:-1]), written[1][-1]),
    )
    return _three_row_axes(kernel)


def linear(
    indices: Sequence[tirx.Expr], shape: Sequence[tirx.Expr], axes: Sequence[facts.Axis]
) -> tuple[int, list[int]] | None:
    """(offset at the origin, step of each axis) of an access, if it is linear. An axis of one iteration has step 0."""
    steps = [facts.stride(indices, shape, axis) if facts.extent(axis) > 1 else 0 for axis in axes]
    offset: tirx.Expr = tirx.const(0, "int64")
    for index, size in zip(indices, shape, strict=True):
        offset = offset * tirx.const(int(size), "int64") + index
    names = [axis.var for axis in axes]

    def origin(variable: tvm.ir.Var) -> tirx.Expr:
        inside = any(variable.same_as(name) for name in names)
        return tirx.const(0, str(variable.ty.dtype)) if inside else variable

    base = sym.Analyzer().simplify(tvm_ffi.structural_map(offset, (tvm.ir.Var, origin)))
    if not isinstance(base, tirx.IntImm) or any(step is None for step in steps):
        return None
    return int(base.value), [int(step) for step in steps if step is not None]


def _three_row_axes(kernel: DotKernel) -> DotKernel | None:
    """Fewer and longer row axes where every access allows it, then axes of one iteration in front up to three."""
    accesses = [kernel.x, kernel.out, *(access for _, access in kernel.operands)]
    extents = list(kernel.extents)
    rows = [list(access.rows) for access in accesses]
    axis = len(extents) - 1
    while axis > 0:
        outer, inner = extents[axis - 1], extents[axis]
        joint = all(r[axis - 1] == r[axis] * inner for r in rows)
        if kernel.taps == (1, 1) and kernel.border is None and (outer == 1 or inner == 1 or joint):
            for r in rows:
                r[axis - 1 : axis + 1] = [r[axis] if inner > 1 else r[axis - 1]]
            extents[axis - 1 : axis + 1] = [outer * inner]
        axis -= 1
    missing = ROW_AXES - len(extents)
    if missing < 0:
        return None
    x, out, *others = [replace(access, rows=(*[0] * missing, *r)) for access, r in zip(accesses, rows, strict=True)]
    operands = tuple((load, place) for (load, _), place in zip(kernel.operands, others, strict=True))
    extents = [*[1] * missing, *extents]
    return replace(kernel, extents=(extents[0], extents[1], extents[2]), x=x, out=out, operands=operands)


def _writes_own_element(store: tirx.BufferStore, axes: Sequence[facts.Axis]) -> bool:
    return _own(store.indices, axes)


def _reads_own_element(load: TensorLoad, axes: Sequence[facts.Axis]) -> bool:
    return _own(load.indices, axes)


def _own(indices: Sequence[tirx.Expr], axes: Sequence[facts.Axis]) -> bool:
    if len(indices) != len(axes):
        return False
    return all(i.same_as(axis.var) or facts.extent(axis) == 1 for i, axis in zip(indices, axes, strict=True))


def _weights_in_order(load: TensorLoad, axes: Sequence[facts.Axis]) -> bool:
    shape = [int(size) for size in load.source.shape]
    return _own(load.indices, axes) and shape == [facts.extent(axis) for axis in axes]
