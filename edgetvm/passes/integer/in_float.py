"""What stays in float, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.passes.integer import marked, movement
from edgetvm.passes.integer.calls import is_float, name_of
from edgetvm.passes.integer.codes import shifted
from edgetvm.passes.integer.context import Context, dtype_of
from edgetvm.passes.integer.emit import with_offset
from edgetvm.passes.integer.handlers import HANDLERS
from edgetvm.passes.integer.real import (
    INFINITE,
    LAZY,
    Accumulated,
    Constant,
    Float,
    Integer,
    Nodes,
    Quantized,
    Value,
    compressed,
)


@dataclass(frozen=True)
class FloatOperator:
    """An operator that was left in float, and why. `nodes` are the ONNX nodes behind it."""

    operator: str
    nodes: tuple[str, ...]
    reason: str


class InFloat:
    """Computes bindings as they stand, on operands brought to float, and records each with its reason.

    `values` has how each variable of the model comes from integers.
    """

    def __init__(self, context: Context, values: dict[relax.Var, Value]) -> None:
        self.context = context
        self.values = values
        self.origins: dict[relax.Var, tuple[tvm.ir.Call, Nodes]] = {}  # the bindings met so far
        self.recorded: dict[str, FloatOperator] = {}  # by the name of the variable that holds the result
        self._plain: dict[relax.Var, Expr] = {}

    def compute(self, expr: tvm.ir.Call, operands: list[Value]) -> Value:
        """`expr` as it stands; recorded, unless it only moves what comes from the model's border."""
        name = name_of(expr)
        floats = [operand for operand in operands if isinstance(operand, Float)]
        lazy = any(isinstance(operand, LAZY) for operand in operands)
        computed = any(operand.reason for operand in floats)
        if computed and not lazy:
            reason = "its operands are computed in float"
        elif name == "relax.dequantize" or (name in HANDLERS and marked.is_known(self.context, expr)):
            reason = "not all its operands are quantized as its integer form needs"
        else:
            reason = "it has no integer form"
        var = self._emit(expr)
        if not isinstance(var.ty, relax.TupleType) and not is_float(var):
            if lazy or floats:
                self._record(var, expr, self.context.nodes, reason)  # floats are read, though integers come out
            return Integer(var)
        if name in movement.HANDLERS and not computed and not lazy:
            return Float(var)
        self._record(var, expr, self.context.nodes, reason)
        return Float(var, reason)

    def plain(self, expr: Expr) -> Expr:
        """The tensor as the model has it: floats, or integers of the model's own type."""
        if not isinstance(expr, relax.Var):
            return expr
        if expr not in self._plain:
            self._plain[expr] = self._materialised(expr, self.values[expr])
        return self._plain[expr]

    def _emit(self, expr: tvm.ir.Call) -> relax.Var:
        arguments = [self._argument(argument) for argument in expr.args]
        return self.context.emit(relax.Call(expr.op, arguments, expr.attrs, expr.ty_args))

    def _argument(self, argument: Expr) -> Expr:
        if isinstance(argument, tvm.ir.Tuple):
            return relax.Tuple([self._argument(field) for field in argument.fields])
        return self.plain(argument) if isinstance(argument, relax.Var) else argument

    def _record(self, var: relax.Var, expr: tvm.ir.Call, nodes: Nodes, reason: str) -> None:
        name = expr.args[0].name_hint if name_of(expr) == "relax.call_tir" else name_of(expr)
        self.recorded[var.name] = FloatOperator(name.removeprefix("relax."), nodes, reason)

    def _materialised(self, var: relax.Var, value: Value) -> Expr:
        match value:
            case Float(expr):
                return expr
            case Integer(expr, shift, _, _):
                return shifted(self.context, expr, shift, f"u{dtype_of(expr)}") if shift else expr
            case Constant(values):
                return relax.const(values.astype(dtype_of(var)), dtype_of(var))
            case Quantized(expr, scale, zero):
                parameters = relax.const(np.float32(scale)), relax.const(np.asarray(zero, dtype_of(expr)))
                return self.context.emit(relax.op.dequantize(expr, *parameters, out_dtype="float32"), value.nodes)
            case Accumulated():
                return self._scaled_sums(value)
        call, nodes = self.origins[var]
        before = self.context.name, self.context.nodes
        self.context.begin(var.name, nodes)
        result = self._emit(call)
        self._record(result, call, nodes, "its result is not quantized")
        self.context.begin(*before)
        return result

    def _scaled_sums(self, value: Accumulated) -> Expr:
        """Integer sums whose result stays in float: scaled once, at the end."""
        total = self.context.emit(relax.op.astype(with_offset(self.context, value), "float32"), value.nodes)
        scale = relax.const(compressed(value.scale).astype(np.float32))
        real = self.context.emit(relax.op.multiply(total, scale), value.nodes)
        if (value.low, value.high) == (-INFINITE, INFINITE):
            return real
        return self.context.emit(relax.op.clip(real, value.low, value.high), value.nodes)
