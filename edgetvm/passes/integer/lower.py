"""Quantize/dequantize around float operators -> integer operators.

The graph is evaluated symbolically, binding by binding: each float value is carried as the way it
comes from integers (`real.py`), and the operator that quantizes it emits the integers. What has no
such way is computed in float, and is recorded with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.importers.types import ImportedModel, TensorInfo
from edgetvm.passes.integer import codes, embedding, movement
from edgetvm.passes.integer.border import described, quantized_input, quantized_output, with_parameters
from edgetvm.passes.integer.calls import is_float, name_of, tensors
from edgetvm.passes.integer.context import Context
from edgetvm.passes.integer.handlers import HANDLERS
from edgetvm.passes.integer.in_float import FloatOperator, InFloat
from edgetvm.passes.integer.real import LAZY, Constant, Float, Integer, Quantized, Value
from edgetvm.passes.integer.share_shifts import share_shifts


@dataclass(frozen=True)
class IntegerModel:
    """A model after lowering, and the proof of what in it is integer."""

    model: ImportedModel
    floats: tuple[FloatOperator, ...]


def is_quantized(module: tvm.IRModule) -> bool:
    """Whether anything in `main` is quantized or dequantized."""
    bindings = [binding.value for block in module["main"].body.blocks for binding in block.bindings]
    return any(name_of(value) in ("relax.quantize", "relax.dequantize") for value in bindings)


def lower_to_integers(model: ImportedModel, integer_io: bool = False) -> IntegerModel:
    """Lower a model in quantize/dequantize form; with `integer_io` its border is quantized too.

    Raises UnsupportedError that names the tensor for a scale that is no positive number, or out of range, and
    for an input or output that is not quantized.
    """
    return _Lowering(model).run(integer_io)


class _Lowering:
    def __init__(self, model: ImportedModel) -> None:
        self.model = model
        self.main = model.module["main"]
        kernels = {name: func for name, func in model.module.functions.items() if name.name_hint != "main"}
        self.builder = relax.BlockBuilder(tvm.IRModule(kernels))
        self.context = Context(self.builder)
        self.values: dict[relax.Var, Value] = {}
        self.in_float = InFloat(self.context, self.values)
        self.quantized_inputs: dict[relax.Var, tuple[relax.Var, TensorInfo]] = {}

    def run(self, integer_io: bool) -> IntegerModel:
        borders = list(zip(self.main.params, self.model.inputs, strict=True))
        if integer_io:
            self.quantized_inputs = {
                param: quantized_input(self.main, param, info) for param, info in borders if is_float(param)
            }
        params = [self.quantized_inputs[param][0] if param in self.quantized_inputs else param for param, _ in borders]
        self.values.update((param, _outside(param)) for param, _ in borders)
        with self.builder.function("main", params):
            with self.builder.dataflow():
                for block in self.main.body.blocks:
                    for binding in block.bindings:
                        self._bind(binding.var, binding.value)
                body = self.main.body.body
                fields = list(body.fields) if isinstance(body, tvm.ir.Tuple) else [body]
                pairs = zip(fields, self.model.outputs, strict=True)
                outputs = [self._output(field, info, integer_io) for field, info in pairs]
                results = [self.builder.emit_output(expr) for expr, _ in outputs]
            self.builder.emit_func_output(results[0] if len(results) == 1 else relax.Tuple(results))
        module = share_shifts(relax.transform.DeadCodeElimination()(self.builder.get()))
        alive = {binding.var.name for block in module["main"].body.blocks for binding in block.bindings}
        floats = tuple(entry for name, entry in self.in_float.recorded.items() if name in alive)
        inputs = tuple(self._input(param, info) for param, info in borders)
        sources = dict(self.context.sources)
        model = replace(self.model, module=module, sources=sources, inputs=inputs, outputs=tuple(i for _, i in outputs))
        return IntegerModel(model, floats)

    def _bind(self, var: relax.Var, expr: Expr) -> None:
        nodes = self.model.sources.get(var.name, ())
        self.context.begin(var.name, nodes)
        if isinstance(expr, tvm.ir.Call):
            self.in_float.origins[var] = (expr, nodes)
        self.values[var] = self._evaluate(expr)

    def _input(self, param: relax.Var, info: TensorInfo) -> TensorInfo:
        if param in self.quantized_inputs:
            return self.quantized_inputs[param][1]
        return info if is_float(param) else with_parameters(self.main, param, info, "relax.dequantize")

    def _output(self, field: Expr, info: TensorInfo, integer_io: bool) -> tuple[Expr, TensorInfo]:
        value = self._value(field)
        if integer_io and info.dtype.startswith("float"):
            return quantized_output(value, info)
        return self.in_float.plain(field), described(value, info)

    def _evaluate(self, expr: Expr) -> Value:
        if not isinstance(expr, tvm.ir.Call):
            return self._value(expr)
        name = name_of(expr)
        operands = [self._value(field) for argument in expr.args for field in tensors(argument)]
        found: Value | None = None
        if name == "relax.quantize":
            found = self._quantize(expr, operands[0])
        elif name == "relax.dequantize":
            found = codes.dequantize(self.context, expr, operands[0])
        elif any(isinstance(operand, LAZY) for operand in operands):
            handler = HANDLERS.get(name)
            found = handler(self.context, expr, operands) if handler is not None else None
        elif name in movement.HANDLERS and all(isinstance(operand, Constant) for operand in operands):
            found = movement.HANDLERS[name](self.context, expr, operands)
        elif name == "relax.call_tir":
            found = embedding.picked(self.context, expr, operands)
        else:
            found = self._move_codes(expr, operands)
        return found if found is not None else self.in_float.compute(expr, operands)

    def _quantize(self, expr: tvm.ir.Call, x: Value) -> Integer | None:
        if expr.args[0] in self.quantized_inputs:
            param, info = self.quantized_inputs[expr.args[0]]
            return codes.held(param, info, str(expr.ty.dtype))
        real = None if isinstance(x, LAZY) else self.in_float.plain(expr.args[0])
        return codes.quantize(self.context, expr, x, real)

    def _move_codes(self, expr: tvm.ir.Call, operands: list[Value]) -> Integer | None:
        """Unsigned codes are held less a shift: to what moves them they are numbers of scale 1."""
        name = name_of(expr)
        shifts = {operand.shift for operand in operands if isinstance(operand, Integer) and operand.shift}
        if len(shifts) != 1 or not (name in movement.HANDLERS or name == "relax.nn.max_pool2d"):
            return None
        (shift,) = shifts
        numbers = [Quantized(x.expr, 1.0, -shift) if isinstance(x, Integer) and x.shift else x for x in operands]
        moved = HANDLERS[name](self.context, expr, numbers)
        return Integer(moved.expr, shift) if isinstance(moved, Quantized) else None

    def _value(self, expr: Expr) -> Value:
        if isinstance(expr, relax.Var):
            return self.values[expr]
        if isinstance(expr, tvm.ir.GenericConst):
            return Constant(np.asarray(expr.value.numpy()))
        if isinstance(expr, tvm.ir.TupleGetItem):
            whole = self._value(expr.tuple_value)
            if isinstance(whole, Quantized | Integer):
                return replace(whole, expr=self.context.emit(relax.TupleGetItem(whole.expr, expr.index)))
            field = self.context.emit(relax.TupleGetItem(self.in_float.plain(expr.tuple_value), expr.index))
            return _outside(field, getattr(whole, "reason", None))
        return Float(expr)


def _outside(expr: Expr, reason: str | None = None) -> Value:
    """A tensor that no lowering has made."""
    if isinstance(expr.ty, relax.TupleType) or is_float(expr):
        return Float(expr, reason)
    return Integer(expr)
