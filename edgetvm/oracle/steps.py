"""A block step by step, number by number: for what numpy has no operation for, such as statements that a row runs once.

Slow, but it takes any statement: conditions, variables, several results, reductions of any kind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from tvm import s_tir, tirx
from tvm.ir import TensorLoad

from edgetvm.oracle.kernels import Array, UnreadableError, evaluate

_MOST = 1 << 18  # steps, some 10 us each


def run_steps(loops: Sequence[tirx.For], realize: s_tir.SBlockRealize, arrays: MutableMapping[Any, Array]) -> None:
    """Run a block in its `loops` on the `arrays` of its buffers.

    Raises UnreadableError for more steps than anybody would wait for, and for what is not known here.
    """
    if math.prod(int(loop.extent) for loop in loops) > _MOST:
        raise UnreadableError("a block of too many steps")
    block = realize.block
    for places in product(*(range(int(loop.extent)) for loop in loops)):
        at = {loop.loop_var: np.asarray(int(loop.min) + n) for loop, n in zip(loops, places, strict=True)}
        steps = _Steps(arrays, at)
        for axis, value in zip(block.iter_vars, realize.iter_values, strict=True):
            steps.values[axis.var] = steps.value(value)
        if not steps.value(realize.predicate):
            continue
        if block.init is not None and all(_is_first(axis, steps.values) for axis in block.iter_vars):
            steps.run(block.init)
        steps.run(block.body)


def _is_first(axis: tirx.IterVar, values: Mapping[Any, Array]) -> bool:
    return axis.iter_type == tirx.IterVar.DataPar or int(values[axis.var]) == int(axis.dom.min)


class _Steps:
    """Statements that run one after another; `values` are those of the variables."""

    def __init__(self, arrays: MutableMapping[Any, Array], values: dict[Any, Array]) -> None:
        self.arrays, self.values = arrays, values

    def value(self, expr: Any) -> Array:
        return evaluate(expr, self.values, self._load)

    def run(self, statement: tirx.Stmt) -> None:
        if isinstance(statement, tirx.SeqStmt):
            for part in statement.seq:
                self.run(part)
        elif isinstance(statement, tirx.For):
            for n in range(int(statement.extent)):
                self.values[statement.loop_var] = np.asarray(int(statement.min) + n)
                self.run(statement.body)
        elif isinstance(statement, tirx.IfThenElse):
            taken = statement.then_case if self.value(statement.condition) else statement.else_case
            if taken is not None:
                self.run(taken)
        elif isinstance(statement, tirx.Bind):
            self.values[statement.var] = self.value(statement.value)
        elif isinstance(statement, tirx.BufferStore):
            self.arrays[statement.buffer][self._place(statement.indices)] = self.value(statement.value)
        else:
            raise UnreadableError(f"a statement of type {type(statement).__name__}")

    def _load(self, node: TensorLoad) -> Array:
        source = self.arrays[node.source]
        place = zip(self._place(node.indices), source.shape, strict=True)
        # Where a condition keeps a load from happening, it is made here all the same, somewhere inside.
        loaded = np.asarray(source[tuple(min(max(at, 0), extent - 1) for at, extent in place)])
        return loaded.astype(np.float64) if loaded.dtype.kind == "f" else loaded

    def _place(self, indices: Sequence[Any]) -> tuple[int, ...]:
        return tuple(int(self.value(index)) for index in indices)
