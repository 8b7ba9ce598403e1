"""What a kernel without reductions computes, read from its loops: numpy's view of every `call_tir` that moves
elements, or applies a function to each.

Integers are 64-bit, floats double precision, whatever the kernel's types: a table made from a float function is
as exact as the function.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import s_tir, tirx
from tvm.ir import TensorLoad

Array = npt.NDArray[Any]
Load = Callable[[TensorLoad], Array]


class UnreadableError(Exception):
    """The kernel has a form or a function that is not known here."""


_BINARY: Mapping[type, Callable[[Any, Any], Any]] = {
    tirx.Add: operator.add,
    tirx.Sub: operator.sub,
    tirx.Mul: operator.mul,
    tirx.Max: np.maximum,
    tirx.Min: np.minimum,
    tirx.FloorDiv: np.floor_divide,
    tirx.FloorMod: np.mod,
    tirx.LShift: np.left_shift,
    tirx.RShift: np.right_shift,
    tirx.BitwiseAnd: np.bitwise_and,
    tirx.BitwiseOr: np.bitwise_or,
    tirx.BitwiseXor: np.bitwise_xor,
    tirx.EQ: np.equal,
    tirx.NE: np.not_equal,
    tirx.LT: np.less,
    tirx.LE: np.less_equal,
    tirx.GT: np.greater,
    tirx.GE: np.greater_equal,
    tirx.And: np.logical_and,
    tirx.Or: np.logical_or,
}

_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "cos": np.cos,
    "cosh": np.cosh,
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
    "exp": np.exp,
    "exp2": np.exp2,
    "fabs": np.abs,
    "floor": np.floor,
    "isinf": np.isinf,
    "isnan": np.isnan,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "nearbyint": np.rint,
    "pow": np.power,
    "rsqrt": lambda x: 1.0 / np.sqrt(x),
    "sigmoid": lambda x: 0.5 * (1.0 + np.tanh(0.5 * x)),
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "tan": np.tan,
    "tanh": np.tanh,
    "trunc": np.trunc,
}


def blocks_of(func: tirx.PrimFunc) -> list[s_tir.SBlock]:
    """The blocks of a kernel in the order in which they run.

    Raises UnreadableError unless each stores one element a step, at the place that its axes say, and none sums.
    """
    found: list[s_tir.SBlock] = []

    def walk(statement: tirx.Stmt) -> None:
        if isinstance(statement, tirx.For):
            walk(statement.body)
        elif isinstance(statement, tirx.SeqStmt):
            for part in statement.seq:
                walk(part)
        elif isinstance(statement, s_tir.SBlockRealize) and isinstance(statement.block.body, tirx.BufferStore):
            found.append(statement.block)
        else:
            raise UnreadableError(f"a statement of type {type(statement).__name__}")

    root = func.body.block if isinstance(func.body, s_tir.SBlockRealize) else None
    if root is None:
        raise UnreadableError("it is no kernel of blocks")
    walk(root.body)
    for block in found:
        plain = all(axis.iter_type == tirx.IterVar.DataPar for axis in block.iter_vars) and block.init is None
        places = zip(block.body.indices, block.iter_vars, strict=True) if plain else ()
        if not plain or not all(index.same_as(axis.var) or int(axis.dom.extent) == 1 for index, axis in places):
            raise UnreadableError("it reduces or scatters")
    return found


def evaluate_kernel(func: tirx.PrimFunc, arguments: Sequence[Array]) -> Array:
    """The result of a kernel of one output. Raises UnreadableError for a kernel that `blocks_of` refuses."""
    arrays: dict[Any, Array] = dict(zip(func.params, arguments, strict=False))
    if len(func.params) != len(arguments) + 1:
        raise UnreadableError("it has not exactly one result")
    for block in blocks_of(func):
        sizes = [int(axis.dom.extent) for axis in block.iter_vars]
        axes = np.meshgrid(*[np.arange(size) for size in sizes], indexing="ij", sparse=True)
        places = dict(zip([axis.var for axis in block.iter_vars], axes, strict=True))

        def load(node: TensorLoad, places: Mapping[Any, Array] = places) -> Array:
            source = arrays[node.source]
            index = [evaluate(place, places, load) for place in node.indices]
            # Where a condition keeps a load from happening, it is made here all the same, somewhere inside.
            inside = [np.clip(i, 0, extent - 1) for i, extent in zip(index, source.shape, strict=True)]
            return np.asarray(source[tuple(inside)])

        store = block.body
        value = np.broadcast_to(evaluate(store.value, places, load), sizes)
        arrays[store.buffer] = value.astype(str(store.buffer.dtype))
    return arrays[func.params[-1]]


def evaluate(expr: Any, variables: Mapping[Any, Array], load: Load) -> Array:
    """The value of an expression, elementwise over the `variables`."""
    if isinstance(expr, tirx.IntImm | tirx.FloatImm):
        return np.asarray(expr.value)
    if isinstance(expr, TensorLoad):
        value = np.asarray(load(expr))
        return value.astype(np.int64) if value.dtype.kind in "iu" else value
    if isinstance(expr, tvm.ir.Var) and expr in variables:
        return variables[expr]
    sides = [evaluate(part, variables, load) for part in _parts(expr)]
    if type(expr) in _BINARY:
        return np.asarray(_BINARY[type(expr)](*sides))
    if isinstance(expr, tirx.Not):
        return np.logical_not(sides[0])
    if isinstance(expr, tirx.Div):
        return np.asarray(np.divide(*sides) if str(expr.ty.dtype).startswith("float") else _truncated(*sides))
    if isinstance(expr, tirx.Cast):
        kind = str(expr.ty.dtype)
        return sides[0].astype(np.float64 if kind.startswith("float") else bool if kind == "bool" else np.int64)
    if isinstance(expr, tirx.Select):
        return np.where(*sides)
    if isinstance(expr, tvm.ir.Call) and isinstance(expr.op, tvm.ir.Op):
        name = str(expr.op.name).rpartition(".")[2]
        if name == "if_then_else":
            return np.where(*sides)
        if name in _FUNCTIONS:
            return np.asarray(_FUNCTIONS[name](*sides))
        raise UnreadableError(f"the function {name}")
    raise UnreadableError(f"an expression of type {type(expr).__name__}")


def _truncated(a: Array, b: Array) -> Array:
    """The quotient of integers without its fraction."""
    return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)))


def _parts(expr: Any) -> Sequence[Any]:
    """The operands of an expression, in order."""
    if isinstance(expr, tirx.Select):
        return [expr.condition, expr.true_value, expr.false_value]
    if isinstance(expr, tirx.Cast):
        return [expr.value]
    if isinstance(expr, tirx.Not):
        return [expr.a]
    if isinstance(expr, tvm.ir.Call):
        return list(expr.args)
    return [expr.a, expr.b] if hasattr(expr, "a") and hasattr(expr, "b") else []
