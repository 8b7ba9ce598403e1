"""What a kernel computes before any rule has touched it, sums included: numpy goes through its loops.

Integers are 64-bit and floats double precision until they are stored, as in `oracle/kernels.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tvm
import tvm_ffi
from tvm import s_tir, tirx
from tvm.ir import TensorLoad

from edgetvm.oracle.kernels import Array, UnreadableError, evaluate
from edgetvm.oracle.steps import run_steps

FILL = 0xA5  # each byte of what a kernel has not written
_ELEMENTS = 1 << 20  # of one step of a sum, so that arrays stay small
_JOINS: Mapping[type, np.ufunc] = {tirx.Add: np.add, tirx.Max: np.maximum, tirx.Min: np.minimum}

Values: TypeAlias = Mapping[Any, Array]


@dataclass(frozen=True)
class Nest:
    """A block in its loops."""

    loops: tuple[tirx.For, ...]
    realize: s_tir.SBlockRealize

    @property
    def stored(self) -> list[tirx.Buffer]:
        """The buffers that it writes to, each once."""
        found: dict[tirx.Buffer, None] = {}
        tvm_ffi.structural_walk(
            self.realize.block.body, (tirx.BufferStore, lambda store: found.setdefault(store.buffer))
        )
        return list(found)


def written_params(func: tirx.PrimFunc) -> list[int]:
    """The positions of a kernel's outputs."""
    stored = {buffer for nest in nests_of(func) for buffer in nest.stored}
    return [position for position, param in enumerate(func.params) if param in stored]


def run_loops(func: tirx.PrimFunc, inputs: Mapping[int, Array]) -> list[Array]:
    """The outputs of a kernel for `inputs` by position; bytes that it does not write are `FILL`.

    Raises UnreadableError for a kernel that has a form or a function that is not known here.
    """
    arrays: dict[Any, Array] = {func.params[position]: array for position, array in inputs.items()}
    for nest in nests_of(func):
        for buffer in nest.stored:
            if buffer not in arrays:
                shape = tuple(int(extent) for extent in buffer.shape)
                size = int(np.prod(shape)) * np.dtype(str(buffer.dtype)).itemsize
                arrays[buffer] = np.full(size, FILL, np.uint8).view(str(buffer.dtype)).reshape(shape)
        if _is_whole(nest):
            _run(nest, arrays)
        else:
            run_steps(nest.loops, nest.realize, arrays)
    return [arrays[func.params[position]] for position in written_params(func)]


def nests_of(func: tirx.PrimFunc) -> list[Nest]:
    """The blocks of a kernel in the order in which they run."""
    root = func.body.block if isinstance(func.body, s_tir.SBlockRealize) else None
    if root is None:
        raise UnreadableError("it is no kernel of blocks")
    return list(_nests(root.body, ()))


def _nests(statement: tirx.Stmt, loops: tuple[tirx.For, ...]) -> Iterator[Nest]:
    if isinstance(statement, tirx.For):
        yield from _nests(statement.body, (*loops, statement))
    elif isinstance(statement, tirx.SeqStmt):
        for part in statement.seq:
            yield from _nests(part, loops)
    elif isinstance(statement, s_tir.SBlockRealize):
        yield Nest(loops, statement)
    else:
        raise UnreadableError(f"a statement of type {type(statement).__name__}")


def _is_whole(nest: Nest) -> bool:
    """Whether a block stores one element a step, in all steps, and reduces nothing but by what `_JOINS` has."""
    block, predicate = nest.realize.block, nest.realize.predicate
    if not isinstance(block.body, tirx.BufferStore) or not isinstance(predicate, tirx.IntImm) or not predicate.value:
        return False
    if all(axis.iter_type == tirx.IterVar.DataPar for axis in block.iter_vars):
        return True
    return isinstance(block.init, tirx.BufferStore) and _reduction(block.body) is not None


def _run(nest: Nest, arrays: dict[Any, Array]) -> None:
    block = nest.realize.block
    axes = list(zip(block.iter_vars, nest.realize.iter_values, strict=True))
    summed = [v for axis, value in axes if axis.iter_type != tirx.IterVar.DataPar for v in _variables(value)]
    outer = [loop for loop in nest.loops if not any(loop.loop_var.same_as(v) for v in summed)]
    inner = [loop for loop in nest.loops if any(loop.loop_var.same_as(v) for v in summed)]
    sizes = [int(loop.extent) for loop in outer]

    def load(node: TensorLoad, values: Values) -> Array:
        source = arrays[node.source]
        index = [evaluate(place, values, lambda each: load(each, values)) for place in node.indices]
        # Where a condition keeps a load from happening, it is made here all the same, somewhere inside.
        inside = [np.clip(i, 0, extent - 1) for i, extent in zip(index, source.shape, strict=True)]
        loaded = np.asarray(source[tuple(inside)])
        return loaded.astype(np.float64) if loaded.dtype.kind == "f" else loaded

    def value_of(expr: Any, values: Values) -> Array:
        return evaluate(expr, values, lambda node: load(node, values))

    def places(step: Mapping[Any, Array]) -> dict[Any, Array]:
        grid = np.meshgrid(*map(np.arange, [*sizes, 1]), indexing="ij", sparse=True)[:-1]
        loops = {loop.loop_var: int(loop.min) + at for loop, at in zip(outer, grid, strict=True)} | dict(step)
        return {axis.var: evaluate(value, loops, _no_load) for axis, value in axes}

    first = {loop.loop_var: np.asarray([int(loop.min)]) for loop in inner}
    start = places(first)
    store = block.body
    if (reduction := _reduction(store)) is not None and inner:
        join, term = reduction
        result = np.broadcast_to(value_of(block.init.value, start), [*sizes, 1])
        for step in _steps(inner, max(_ELEMENTS // max(int(np.prod(sizes)), 1), 1)):
            values = places(step)
            count = len(next(iter(step.values())))
            terms = np.broadcast_to(value_of(term, values), [*sizes, count])
            result = join(result, join.reduce(terms, axis=-1, keepdims=True))
    else:
        result = np.broadcast_to(value_of(store.value, start), [*sizes, 1])
    target = arrays[store.buffer]
    index = np.broadcast_arrays(*(value_of(place, start) for place in store.indices), result)[:-1]
    target[tuple(index)] = result.astype(target.dtype)


def _steps(loops: Sequence[tirx.For], count: int) -> Iterator[dict[Any, Array]]:
    """The values of the variables of `loops`, `count` at a time."""
    extents = [int(loop.extent) for loop in loops]
    total = int(np.prod(extents))
    for start in range(0, total, count):
        at = np.unravel_index(np.arange(start, min(start + count, total)), extents)
        yield {loop.loop_var: int(loop.min) + each for loop, each in zip(loops, at, strict=True)}


def _reduction(store: tirx.BufferStore) -> tuple[np.ufunc, Any] | None:
    """How a block joins what it stores, and with what; None if by no operation that is known here."""
    join = _JOINS.get(type(store.value))
    if join is not None:
        for own, term in ((store.value.a, store.value.b), (store.value.b, store.value.a)):
            if isinstance(own, TensorLoad) and own.source.same_as(store.buffer):
                return join, term
    return None


def _variables(expr: Any) -> list[tvm.ir.Var]:
    found: list[tvm.ir.Var] = []
    tvm_ffi.structural_walk(expr, (tvm.ir.Var, found.append))
    return found


_no_load: Callable[[TensorLoad], Array] = {}.__getitem__  # loops do not depend on data
