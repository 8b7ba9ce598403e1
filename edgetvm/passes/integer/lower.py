"""Quantize/dequantize around float operators -> integer operators.

The graph is evaluated symbolically, binding by binding: each float value is carried as the way it
comes from integers (`real.py`), and the operator that quantizes it emits the integers. What has no
such way is computed in float, and is recorded with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.errors import UnsupportedError
from edgetvm.importers.types import ImportedModel, TensorInfo
from edgetvm.operators.scaled_sum import scaled_sum
from edgetvm.passes.integer import embedding, layers, marked, movement, pointwise, rowwise
from edgetvm.passes.integer.border import (
    SIGNED,
    is_float,
    name_of,
    parameters_of,
    quantized_input,
    tensors,
    with_parameters,
)
from edgetvm.passes.integer.context import Context, Handler, constant, dtype_of, shape_of
from edgetvm.passes.integer.emit import quantized, with_offset
from edgetvm.passes.integer.functions import FUNCTIONS
from edgetvm.passes.integer.real import (
    INFINITE,
    Accumulated,
    Constant,
    Float,
    Goal,
    Integer,
    Nodes,
    Pending,
    Quantized,
    Sum,
    Table,
    Value,
    compressed,
)

LAZY = (Quantized, Accumulated, Table, Sum, Pending)

HANDLERS: Mapping[str, Handler] = {
    **{name: pointwise.table(function) for name, function in FUNCTIONS.items()},
    **movement.HANDLERS,
    "relax.add": pointwise.add,
    "relax.call_tir": marked.call_tir,
    "relax.clip": pointwise.clip_by_attributes,
    "relax.divide": pointwise.divide,
    "relax.matmul": layers.matmul,
    "relax.max": layers.extreme,
    "relax.maximum": pointwise.extreme(largest=True),
    "relax.mean": layers.mean,
    "relax.min": layers.extreme,
    "relax.minimum": pointwise.extreme(largest=False),
    "relax.multiply": pointwise.multiply,
    "relax.nn.avg_pool2d": layers.average_pool,
    "relax.nn.conv2d": layers.conv2d,
    "relax.nn.layer_norm": rowwise.layer_norm,
    "relax.nn.max_pool2d": layers.max_pool,
    "relax.nn.relu": pointwise.clip(0.0, INFINITE),
    "relax.nn.relu6": pointwise.clip(0.0, 6.0),
    "relax.nn.softmax": rowwise.softmax,
    "relax.subtract": pointwise.subtract,
    "relax.sum": layers.total,
}


@dataclass(frozen=True)
class FloatOperator:
    """An operator that was left in float, and why. `nodes` are the ONNX nodes behind it."""

    operator: str
    nodes: tuple[str, ...]
    reason: str


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
        self.origins: dict[relax.Var, tuple[tvm.ir.Call, Nodes]] = {}
        self.plain: dict[relax.Var, Expr] = {}
        self.floats: dict[str, FloatOperator] = {}
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
                        nodes = self.model.sources.get(binding.var.name, ())
                        self.context.begin(binding.var.name, nodes)
                        if isinstance(binding.value, tvm.ir.Call):
                            self.origins[binding.var] = (binding.value, nodes)
                        self.values[binding.var] = self._evaluate(binding.value)
                body = self.main.body.body
                fields = list(body.fields) if isinstance(body, tvm.ir.Tuple) else [body]
                pairs = zip(fields, self.model.outputs, strict=True)
                outputs = [self._output(field, info, integer_io) for field, info in pairs]
                results = [self.builder.emit_output(expr) for expr, _ in outputs]
            self.builder.emit_func_output(results[0] if len(results) == 1 else relax.Tuple(results))
        module = relax.transform.DeadCodeElimination()(self.builder.get())
        alive = {binding.var.name for block in module["main"].body.blocks for binding in block.bindings}
        floats = tuple(entry for name, entry in self.floats.items() if name in alive)
        inputs = [self._input(param, info) for param, info in borders]
        model = replace(
            self.model,
            module=module,
            sources=dict(self.context.sources),
            inputs=tuple(inputs),
            outputs=tuple(info for _, info in outputs),
        )
        return IntegerModel(model, floats)

    def _input(self, param: relax.Var, info: TensorInfo) -> TensorInfo:
        if param in self.quantized_inputs:
            return self.quantized_inputs[param][1]
        return info if is_float(param) else with_parameters(self.main, param, info, "relax.dequantize")

    def _output(self, field: Expr, info: TensorInfo, integer_io: bool) -> tuple[Expr, TensorInfo]:
        value = self._value(field)
        if isinstance(value, Integer) and value.scale is not None:
            return self._plain(field), replace(info, scale=value.scale, zero_point=value.zero)
        if not integer_io or not info.dtype.startswith("float"):
            return self._plain(field), info
        if not isinstance(value, Quantized):
            raise UnsupportedError(
                f"output '{info.name}' is not quantized: integer output cannot be given", "leave --integer-io out"
            )
        return value.expr, replace(info, dtype=dtype_of(value.expr), scale=value.scale, zero_point=value.zero)

    def _evaluate(self, expr: Expr) -> Value:
        if not isinstance(expr, tvm.ir.Call):
            return self._value(expr)
        name = name_of(expr)
        operands = [self._value(field) for argument in expr.args for field in tensors(argument)]
        found: Value | None = None
        if name == "relax.quantize":
            return self._quantize(expr, operands[0])
        if name == "relax.dequantize":
            found = self._dequantize(expr, operands[0])
        elif any(isinstance(operand, LAZY) for operand in operands):
            handler = HANDLERS.get(name)
            found = handler(self.context, expr, operands) if handler is not None else None
        elif name in movement.HANDLERS and all(isinstance(operand, Constant) for operand in operands):
            found = movement.HANDLERS[name](self.context, expr, operands)
        elif name == "relax.call_tir":
            found = embedding.picked(self.context, expr, operands)
        else:
            found = self._move_codes(expr, operands)
        return found if found is not None else self._in_float(expr, operands)

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
            field = self.context.emit(relax.TupleGetItem(self._plain(expr.tuple_value), expr.index))
            return _outside(field, getattr(whole, "reason", None))
        return Float(self._plain(expr))

    def _in_float(self, expr: tvm.ir.Call, operands: list[Value]) -> Value:
        """Compute `expr` as it stands; recorded, unless it only moves what comes from the model's border."""
        name = name_of(expr)
        reasons = [operand.reason for operand in operands if isinstance(operand, Float) and operand.reason]
        lazy = any(isinstance(operand, LAZY) for operand in operands)
        if reasons and not lazy:
            reason = "its operands are computed in float"
        elif name == "relax.dequantize" or (name in HANDLERS and marked.is_known(self.context, expr)):
            reason = "not all its operands are quantized as its integer form needs"
        else:
            reason = "it has no integer form"
        var = self._emit_in_float(expr)
        if not str(var.ty).startswith("R.Tuple") and not is_float(var):
            if lazy or any(isinstance(operand, Float) for operand in operands):
                self._record(var, expr, self.context.nodes, reason)  # floats are read, though integers come out
            return Integer(var)
        if name in movement.HANDLERS and not reasons and not lazy:
            return Float(var)
        self._record(var, expr, self.context.nodes, reason)
        return Float(var, reason)

    def _emit_in_float(self, expr: tvm.ir.Call) -> relax.Var:
        arguments = [self._argument(argument) for argument in expr.args]
        return self.context.emit(relax.Call(expr.op, arguments, expr.attrs, expr.ty_args))

    def _argument(self, argument: Expr) -> Expr:
        if isinstance(argument, tvm.ir.Tuple):
            return relax.Tuple([self._argument(field) for field in argument.fields])
        return self._plain(argument) if isinstance(argument, relax.Var) else argument

    def _record(self, var: relax.Var, expr: tvm.ir.Call, nodes: Nodes, reason: str) -> None:
        name = expr.args[0].name_hint if name_of(expr) == "relax.call_tir" else name_of(expr)
        self.floats[var.name] = FloatOperator(name.removeprefix("relax."), nodes, reason)

    def _plain(self, expr: Expr) -> Expr:
        """The tensor as the model has it: floats, or integers of the model's own type."""
        if not isinstance(expr, relax.Var):
            return expr
        if expr not in self.plain:
            self.plain[expr] = self._materialised(expr, self.values[expr])
        return self.plain[expr]

    def _materialised(self, var: relax.Var, value: Value) -> Expr:
        match value:
            case Float(expr):
                return expr
            case Integer(expr, shift, _, _):
                return self._unsigned(expr, shift) if shift else expr
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
        result = self._emit_in_float(call)
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

    def _unsigned(self, expr: Expr, shift: int) -> Expr:
        return self._shifted(expr, shift, f"u{dtype_of(expr)}")

    def _shifted(self, expr: Expr, shift: int, dtype: str) -> Expr:
        """Codes of another type: ``expr + shift``."""
        info = np.iinfo(dtype)
        one, offset = constant(np.asarray(1), "int32"), constant(np.asarray(shift), "int32")
        return self.context.emit(
            scaled_sum([(expr, one)], offset, shift=0, low=info.min, high=info.max, dtype=dtype, wide="int32")
        )

    def _quantize(self, expr: tvm.ir.Call, x: Value) -> Value:
        wanted, parameters = str(expr.ty.dtype), parameters_of(expr)
        if parameters is None or wanted not in SIGNED:
            return self._in_float(expr, [x])
        scale, zero = parameters
        dtype = SIGNED[wanted]
        info = np.iinfo(dtype)
        shift = int(np.iinfo(wanted).max) - int(info.max)
        self._check(scale)
        goal = Goal(scale, zero - shift, dtype, int(info.min), int(info.max))
        if isinstance(x, LAZY):
            try:
                return Integer(quantized(self.context, x, goal), shift, scale, zero)
            except (ValueError, OverflowError) as error:
                raise UnsupportedError(f"tensor '{self.context.name}' cannot be quantized: {error}") from error
        arguments = [relax.const(np.float32(scale)), relax.const(np.asarray(zero - shift, dtype))]
        if expr.args[0] in self.quantized_inputs:
            return Integer(self.quantized_inputs[expr.args[0]][0], shift, scale, zero)
        real = self._plain(expr.args[0])
        return Integer(self.context.emit(relax.op.quantize(real, *arguments, out_dtype=dtype)), shift, scale, zero)

    def _dequantize(self, expr: tvm.ir.Call, x: Value) -> Value | None:
        if isinstance(x, Constant):
            return _constant(expr, x)
        parameters = parameters_of(expr)
        if not isinstance(x, Integer) or parameters is None:
            return None
        scale, zero = parameters
        self._check(scale)
        dtype = dtype_of(x.expr)
        if dtype == "int32":
            ones = (1,) * len(shape_of(x.expr))
            return Accumulated(
                x.expr, np.full(ones, scale), np.full(ones, -zero, np.int64), (1 << 31) - 1, self.context.nodes
            )
        if dtype not in SIGNED:
            return None
        shift = x.shift
        if dtype != SIGNED[dtype]:
            shift = int(np.iinfo(dtype).max) - int(np.iinfo(SIGNED[dtype]).max)
            x = Integer(self._shifted(x.expr, -shift, SIGNED[dtype]), shift)
        return Quantized(x.expr, scale, zero - shift)

    def _check(self, scale: float) -> None:
        if not 0.0 < scale < INFINITE:
            place = f"tensor '{self.context.name}'"
            raise UnsupportedError(f"{place} has the scale {scale}", "it must be a positive number: quantize again")


def _outside(expr: Expr, reason: str | None = None) -> Value:
    """A tensor that no lowering has made."""
    if isinstance(expr.ty, relax.TupleType) or is_float(expr):
        return Float(expr, reason)
    return Integer(expr)


def _constant(expr: tvm.ir.Call, codes: Constant) -> Constant | None:
    """Dequantized constants."""
    if not all(isinstance(argument, tvm.ir.GenericConst) for argument in expr.args[1:]):
        return None
    shape, axis = codes.values.shape, int(expr.attrs.axis)
    spread = []
    for argument in expr.args[1:]:
        array = argument.value.numpy()
        if array.size > 1:
            array = array.reshape([-1 if i == axis % len(shape) else 1 for i in range(len(shape))])
        spread.append(np.broadcast_to(array.reshape(array.shape if array.size > 1 else (1,) * len(shape)), shape))
    scale, zero = spread[0].astype(np.float64), spread[1].astype(np.int64)
    integers = codes.values.astype(np.int64)
    shift = {"uint8": 1 << 7, "uint16": 1 << 15}.get(codes.values.dtype.name)
    if shift is not None:
        integers, zero = integers - shift, zero - shift
    return Constant(scale * (integers - zero), integers, scale, zero)
