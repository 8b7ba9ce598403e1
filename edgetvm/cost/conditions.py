"""How often a condition on loop variables holds, counted over all their values."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import tvm_ffi
from tvm import tirx

MOST_VALUES = 1 << 16  # of all variables together

_OPERATIONS = {
    tirx.Add: operator.add,
    tirx.Sub: operator.sub,
    tirx.Mul: operator.mul,
    tirx.RShift: operator.rshift,
    tirx.FloorDiv: operator.floordiv,
    tirx.FloorMod: operator.mod,
    tirx.LT: operator.lt,
    tirx.LE: operator.le,
    tirx.GT: operator.gt,
    tirx.GE: operator.ge,
    tirx.EQ: operator.eq,
    tirx.NE: operator.ne,
    tirx.And: operator.and_,
    tirx.Or: operator.or_,
}


def share(condition: tirx.Expr, given: Sequence[tirx.Expr], extents: Mapping[tirx.Var, int]) -> float | None:
    """In what part of the iterations in which the conditions `given` hold, `condition` does too.

    `extents` has the loop variables, which begin with 0. None if a condition depends on anything else, if there are
    too many values, or if the conditions given never hold.
    """
    variables = _variables([condition, *given])
    if not all(variable in extents for variable in variables):
        return None
    sizes = [extents[variable] for variable in variables]
    if prod(sizes) > MOST_VALUES:
        return None
    values = dict(zip(variables, np.indices(sizes, sparse=True), strict=True))
    try:
        before = np.ones(sizes, bool)
        for other in given:
            before = before & _value(other, values)
        holds = before & _value(condition, values)
    except KeyError:  # no operation of the list
        return None
    return float(holds.sum() / before.sum()) if before.any() else None


def _variables(expressions: Sequence[tirx.Expr]) -> list[tirx.Var]:
    found: dict[tirx.Var, None] = {}
    for expression in expressions:
        tvm_ffi.structural_walk(expression, (tirx.Var, lambda variable: found.setdefault(variable)))
    return list(found)


def _value(node: tirx.Expr, values: Mapping[tirx.Var, np.ndarray]) -> Any:
    if isinstance(node, tirx.Var):
        return values[node]
    if isinstance(node, tirx.IntImm):
        return np.asarray(int(node.value))
    if isinstance(node, tirx.Not):
        return ~_value(node.a, values)
    return _OPERATIONS[type(node)](_value(node.a, values), _value(node.b, values))
