"""What a concatenation is made of, seen in its loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import tvm
import tvm_ffi
from tvm import s_tir, sym, tirx
from tvm.ir import TensorLoad

from edgetvm.cost.loads import loads_in
from edgetvm.cost.row_windows import block_in, nests


@dataclass(frozen=True)
class Part:
    """`source` is what the result holds from element `first` of `axis` on; `nests` are the loops that compute it."""

    source: tirx.Buffer
    axis: int
    first: int
    nests: tuple[tirx.Stmt, ...] = ()


def concat_parts(func: tirx.PrimFunc) -> tuple[Part, ...]:
    """What the last block of a kernel puts side by side; nothing if it is no concatenation.

    Loads within the bounds of tensors that together are as long as the result leave no choice of the element. Nothing
    either where two parts have loops in common.
    """
    *before, last = nests(func)
    block = block_in(last)
    if block is None or not isinstance(block.body, tirx.BufferStore) or not _is_choice(block.body.value):
        return ()
    store, loads = block.body, loads_in(block.body.value)
    if len(loads) < 2 or not _own(store.indices, block):
        return ()
    parts = [_part(load, block) for load in loads]
    found = sorted((part for part in parts if part is not None), key=lambda part: part.first)
    if len(found) < len(loads) or len({part.axis for part in found}) != 1:
        return ()
    end = 0
    for part in found:
        if part.first != end:
            return ()
        end += int(part.source.shape[part.axis])
    if end != int(store.buffer.shape[found[0].axis]):
        return ()
    made = [replace(part, nests=_behind(part.source, before)) for part in found]
    total = [nest for part in made for nest in part.nests]
    return tuple(made) if all(sum(nest.same_as(other) for other in total) == 1 for nest in total) else ()


def _behind(buffer: tirx.Buffer, before: Sequence[tirx.Stmt]) -> tuple[tirx.Stmt, ...]:
    """Those of the loops `before` that compute a buffer, and what they read, in order."""
    needed = {buffer}
    found: list[tirx.Stmt] = []
    for nest in reversed(before):
        if needed.intersection(stored_in(nest)):
            found.insert(0, nest)
            needed |= set(loaded_in(nest))
    return tuple(found)


def stored_in(nest: tirx.Stmt) -> list[tirx.Buffer]:
    """The buffers that loops write."""
    found: list[tirx.Buffer] = []
    tvm_ffi.structural_walk(nest, (tirx.BufferStore, lambda store: found.append(store.buffer)))
    return list(dict.fromkeys(found))


def loaded_in(nest: tirx.Stmt) -> list[tirx.Buffer]:
    """The buffers that loops read, for every element that they name."""
    found: list[tirx.Buffer] = []
    tvm_ffi.structural_walk(nest, (TensorLoad, lambda load: found.append(load.source)))
    return found


def _part(load: TensorLoad, block: s_tir.SBlock) -> Part | None:
    """The axis along which a load is behind the element that is written, and by how much."""
    out = block.body.buffer
    if len(load.indices) != len(out.shape):
        return None
    analyzer = sym.Analyzer()
    found = Part(load.source, -1, 0)
    for axis, (index, own) in enumerate(zip(load.indices, block.iter_vars, strict=True)):
        behind = analyzer.simplify(own.var - index)
        if int(load.source.shape[axis]) == int(out.shape[axis]) and index.same_as(own.var):
            continue
        if not isinstance(behind, tirx.IntImm) or found.axis >= 0:
            return None
        found = Part(load.source, axis, int(behind.value))
    return found if found.axis >= 0 else None


def _is_choice(value: tirx.Expr) -> bool:
    """Whether a value is one of several loads."""
    if isinstance(value, tirx.Select):
        return _is_choice(value.true_value) and _is_choice(value.false_value)
    if isinstance(value, tvm.ir.Call) and getattr(value.op, "name", "").endswith("if_then_else"):
        return all(_is_choice(choice) for choice in value.args[1:])
    return isinstance(value, TensorLoad)


def _own(indices: list[tirx.Expr], block: s_tir.SBlock) -> bool:
    axes = list(block.iter_vars)
    return len(indices) == len(axes) and all(i.same_as(axis.var) for i, axis in zip(indices, axes, strict=True))
