"""Move transposes towards the outputs, where they meet and cancel.

ONNX convolutions come in as ``permute_dims -> NHWC convolution -> permute_dims``. Each value is
carried as "this tensor, transposed so": operators that work on any axis order take the tensor as
it is and pass the transpose on; all others, and the outputs, get it for real.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tvm
from tvm import relax

from edgetvm.operators import interpolate, lookup, prelu, reduce_sum, requantize, scaled_sum
from edgetvm.passes.elementwise_kernel import permuted_kernel

Axes = tuple[int, ...]

_PERMUTE = tvm.ir.Op.get("relax.permute_dims")
_CALL_TIR = tvm.ir.Op.get("relax.call_tir")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


UNARY = _names(
    "abs acos acosh asin asinh atan atanh bitwise_not ceil cos cosh erf exp floor isfinite isinf isnan log "
    "logical_not negative round rsqrt sigmoid sign sin sinh sqrt square tan tanh trunc astype clip "
    "nn.gelu nn.gelu_tanh nn.leakyrelu nn.relu nn.relu6 nn.selu nn.silu nn.softplus"
)
# Of our own operators, those whose first argument alone has the result's shape, and those whose arguments broadcast.
OWN_UNARY = frozenset([lookup.NAME])
OWN_BROADCAST = frozenset([prelu.NAME, requantize.NAME, scaled_sum.NAME])

BROADCAST = _names(
    "add bitwise_and bitwise_or bitwise_xor divide equal floor_divide floor_mod greater greater_equal left_shift "
    "less less_equal logical_and logical_or logical_xor maximum minimum mod multiply not_equal power right_shift "
    "subtract where"
)
REDUCE = _names("max mean min prod std sum variance")


@dataclass(frozen=True)
class Lazy:
    """The tensor ``permute_dims(expr, axes)``, with the transpose not yet done."""

    expr: tvm.ir.Expr
    axes: Axes


@tvm.transform.module_pass(opt_level=0, name="SinkTransposes")
class SinkTransposes:
    """``relu(permute_dims(x, p))`` becomes ``permute_dims(relu(x), p)``; two transposes in a row become one, or none.

    Values, dtypes and the function's border are unchanged.
    """

    def transform_module(self, module: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
        """Rebuild `main` binding by binding; elementwise kernels in another order join the others."""
        func = module["main"]
        kernels = {name: kernel for name, kernel in module.functions.items() if name.name_hint != "main"}
        builder = relax.BlockBuilder(tvm.IRModule(kernels))
        fresh = _fresh_names({binding.var.name for block in func.body.blocks for binding in block.bindings})
        values: dict[relax.Var, Lazy | tvm.ir.Expr] = {param: param for param in func.params}
        done: dict[tuple[tvm.ir.Expr, Axes], tvm.ir.Expr] = {}

        def real(expr: tvm.ir.Expr) -> tvm.ir.Expr:
            """The expression with every transpose done that was put off."""
            if isinstance(expr, relax.Var):
                value = values[expr]
                return transposed(value.expr, value.axes) if isinstance(value, Lazy) else value
            if isinstance(expr, tvm.ir.Tuple):
                return relax.Tuple([real(field) for field in expr.fields])
            return expr

        def transposed(expr: tvm.ir.Expr, axes: Axes) -> tvm.ir.Expr:
            if axes == tuple(range(len(axes))):
                return expr
            if isinstance(expr, tvm.ir.GenericConst):
                return relax.const(np.ascontiguousarray(expr.value.numpy().transpose(axes)), str(expr.ty.dtype))
            key = (expr, axes)
            if key not in done:
                done[key] = builder.emit(_transpose(expr, axes), next(fresh))
            return done[key]

        with builder.function("main", list(func.params)):
            with builder.dataflow():
                for block in func.body.blocks:
                    for binding in block.bindings:
                        value = _sink(binding.value, values, transposed)
                        if value is None:
                            value = _sink_kernel(binding.value, values, transposed, module, builder)
                        if value is None:
                            value = _with_operands(binding.value, real)
                        name = binding.var.name
                        if isinstance(value, Lazy):
                            plain = isinstance(value.expr, relax.Var)
                            expr = value.expr if plain else builder.emit(value.expr, name)
                            values[binding.var] = Lazy(expr, value.axes)
                        else:
                            values[binding.var] = value if isinstance(value, relax.Var) else builder.emit(value, name)
                result = builder.emit_output(real(func.body.body))
            builder.emit_func_output(result)
        rebuilt = builder.get()
        if _count_transposes(rebuilt["main"]) > _count_transposes(func):
            return module  # a tensor needed in two places, as it is and transposed
        if func.attrs:
            rebuilt["main"] = rebuilt["main"].with_attrs(func.attrs)
        return rebuilt


def _sink(
    expr: tvm.ir.Expr,
    values: dict[relax.Var, Lazy | tvm.ir.Expr],
    transposed: Callable[[tvm.ir.Expr, Axes], tvm.ir.Expr],
) -> Lazy | None:
    """`expr` as a lazy transpose of something; None when it needs its operands as they are."""
    if not isinstance(expr, tvm.ir.Call) or not isinstance(expr.op, tvm.ir.Op):
        return None
    name = expr.op.name.removeprefix("relax.")
    tensors = list(expr.args[0].fields) if name == "concat" and isinstance(expr.args[0], tvm.ir.Tuple) else expr.args
    operands = [values.get(arg, arg) if isinstance(arg, relax.Var) else arg for arg in tensors]
    if name == "permute_dims":
        inner, rank = operands[0], len(expr.ty.shape)
        axes = _axes(expr.attrs.axes, rank) if expr.attrs.axes is not None else tuple(reversed(range(rank)))
        if isinstance(inner, Lazy):
            return Lazy(inner.expr, tuple(inner.axes[axis] for axis in axes))
        return Lazy(inner, axes) if isinstance(inner, relax.Var) else None
    lazy = next((operand for operand in operands if isinstance(operand, Lazy)), None)
    if lazy is None:
        return None
    axes, rank = lazy.axes, len(lazy.axes)
    if name in UNARY or name in OWN_UNARY:
        return Lazy(_call(expr, [lazy.expr, *expr.args[1:]]), axes)
    if (name in BROADCAST or name in OWN_BROADCAST) and len(expr.ty.shape) == rank:
        return Lazy(_call(expr, [_in_order(operand, axes, transposed) for operand in operands]), axes)
    if name == "concat" and isinstance(expr.args[0], tvm.ir.Tuple) and expr.attrs.axis is not None:
        inside = [_in_order(operand, axes, transposed) for operand in operands]
        return Lazy(relax.op.concat(inside, axes[int(expr.attrs.axis) % rank]), axes)
    own = name == reduce_sum.NAME
    if own or (name in REDUCE and expr.attrs.axis is not None):
        over = [axes[axis] for axis in _axes(expr.attrs["axes"] if own else expr.attrs.axis, rank)]
        keepdims = bool(int(expr.attrs["keepdims"] if own else expr.attrs.keepdims))
        if own:
            dtype = str(expr.ty.dtype)
            result = reduce_sum.reduce_sum(lazy.expr, axes=over, keepdims=keepdims, dtype=dtype)
        else:
            result = getattr(relax.op, name)(lazy.expr, over, keepdims)
        if keepdims:
            return Lazy(result, axes)
        kept = [axis for axis in axes if axis not in over]
        return Lazy(result, tuple(sorted(kept).index(axis) for axis in kept)) if kept else None
    if name == interpolate.NAME:
        taps = list(zip(expr.args[1::2], expr.args[2::2], strict=True))
        moved = [axes[int(axis)] for axis in expr.attrs["axes"]]
        return Lazy(interpolate.interpolate(lazy.expr, taps, axes=moved, dtype=str(expr.attrs["dtype"])), axes)
    if name in ("nn.softmax", "nn.log_softmax"):
        return Lazy(getattr(relax.op.nn, name[3:])(lazy.expr, axes[int(expr.attrs.axis) % rank]), axes)
    return None


def _sink_kernel(
    expr: tvm.ir.Expr,
    values: dict[relax.Var, Lazy | tvm.ir.Expr],
    transposed: Callable[[tvm.ir.Expr, Axes], tvm.ir.Expr],
    module: tvm.IRModule,
    builder: relax.BlockBuilder,
) -> Lazy | None:
    """A call of an elementwise kernel as a lazy transpose of the same kernel in another axis order."""
    if not isinstance(expr, tvm.ir.Call) or expr.op != _CALL_TIR or isinstance(expr.ty, relax.TupleType):
        return None
    operands = [values.get(arg, arg) if isinstance(arg, relax.Var) else arg for arg in expr.args[1].fields]
    axes = next((operand.axes for operand in operands if isinstance(operand, Lazy)), None)
    kernel = permuted_kernel(module[expr.args[0]], axes) if axes and len(expr.args) == 2 else None
    if axes is None or kernel is None:
        return None
    inside = [_in_order(operand, axes, transposed) for operand in operands]
    shape = [0] * len(axes)
    for axis, extent in zip(axes, expr.ty.shape, strict=True):
        shape[axis] = int(extent)
    name = builder.add_func(kernel, expr.args[0].name_hint)
    return Lazy(relax.call_tir(name, inside, relax.TensorType(shape, str(expr.ty.dtype))), axes)


def _in_order(
    operand: Lazy | tvm.ir.Expr, axes: Axes, transposed: Callable[[tvm.ir.Expr, Axes], tvm.ir.Expr]
) -> tvm.ir.Expr:
    """`operand` of a broadcast in the axis order of ``inner``, where the result is ``permute_dims(inner, axes)``."""
    if isinstance(operand, Lazy) and operand.axes == axes:
        return operand.expr
    rank = len(axes)
    expr = transposed(operand.expr, operand.axes) if isinstance(operand, Lazy) else operand
    shape = [int(extent) for extent in expr.ty.shape]
    if len(shape) == 0:
        return expr
    if len(shape) < rank:
        full = [1] * (rank - len(shape)) + shape
        if isinstance(expr, tvm.ir.GenericConst):
            expr = relax.const(expr.value.numpy().reshape(full), str(expr.ty.dtype))
        else:
            expr = relax.op.reshape(expr, full)
            expr = relax.BlockBuilder.current().emit(expr)
    return transposed(expr, tuple(int(i) for i in np.argsort(axes)))


def _transpose(expr: tvm.ir.Expr, axes: Axes) -> tvm.ir.Expr:
    """A reshape where only axes of length 1 move: that costs nothing."""
    shape = [int(extent) for extent in expr.ty.shape]
    moved = [axis for axis in axes if shape[axis] != 1]
    if moved == sorted(moved):
        return relax.op.reshape(expr, [shape[axis] for axis in axes])
    return relax.op.permute_dims(expr, list(axes))


def _fresh_names(taken: set[str]) -> Iterator[str]:
    """Names that no node of the model has, so that bindings keep theirs."""
    return (name for name in map("transpose_{}".format, itertools.count()) if name not in taken)


def _count_transposes(func: relax.Function) -> int:
    bindings = [binding.value for block in func.body.blocks for binding in block.bindings]
    return sum(isinstance(value, tvm.ir.Call) and value.op == _PERMUTE for value in bindings)


def _axes(axes: Sequence[int], rank: int) -> Axes:
    return tuple(int(axis) % rank for axis in axes)


def _call(call: tvm.ir.Call, args: Sequence[tvm.ir.Expr]) -> tvm.ir.Expr:
    return relax.Call(call.op, list(args), call.attrs)


def _with_operands(expr: tvm.ir.Expr, real: Callable[[tvm.ir.Expr], tvm.ir.Expr]) -> tvm.ir.Expr:
    if isinstance(expr, tvm.ir.Call):
        args = [real(arg) if isinstance(arg, relax.Var | tvm.ir.Tuple) else arg for arg in expr.args]
        return relax.Call(expr.op, args, expr.attrs, expr.ty_args)
    if isinstance(expr, tvm.ir.TupleGetItem):
        return relax.TupleGetItem(real(expr.tuple_value), expr.index)
    return real(expr)
