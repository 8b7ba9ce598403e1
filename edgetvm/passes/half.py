"""Floats inside a model in half precision; its inputs and outputs stay as they are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping

import numpy as np
import tvm
from tvm import relax

HALF, SINGLE = "float16", "float32"

# Sums of products are computed in half precision if they are long enough to gain by it. Short ones are first layers,
# which read the whole image, and depthwise ones, whose weights, normalization folded in, magnify what was rounded: of
# mobilenet_v1_025's error on photographs, 3.2 % of the output's range with all in half, 0.5 % are left.
PRODUCTS = frozenset({"matmul", "nn.conv1d", "nn.conv2d", "nn.conv2d_transpose"})
LEAST_PRODUCTS = 64

# Operators that move and compare values: in half precision where all that they read is. All others (arithmetic, which
# is fused with the products before it, means, exponentials, softmax, normalization, kernels of our own) widen.
FOLLOWING = frozenset({"permute_dims", "reshape", "concat", "split", "strided_slice", "squeeze", "expand_dims", "flip"})
FOLLOWING |= {"broadcast_to", "nn.pad", "nn.relu", "nn.max_pool2d"}


@tvm.transform.module_pass(opt_level=0, name="ToHalf")
class ToHalf:
    """``conv2d(x, w)`` becomes ``conv2d(astype(x, half), half(w))``, summed in half; no value is converted twice.

    Constants of operators in half are rounded now; an operator with one that half cannot hold stays in single.
    So do the last products before each output and what follows them: a score of 20 has an ulp of 0.016 in half, which
    a softmax makes an error of 1.6 %.
    """

    def transform_module(self, module: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
        """Rebuild `main` binding by binding."""
        func = module["main"]
        kernels = {name: kernel for name, kernel in module.functions.items() if name.name_hint != "main"}
        builder = relax.BlockBuilder(tvm.IRModule(kernels))
        fresh = _fresh_names({binding.var.name for block in func.body.blocks for binding in block.bindings})
        values: dict[relax.Var, tvm.ir.Expr] = {param: param for param in func.params}
        last = _last_bindings(func)
        converted: dict[tuple[tvm.ir.Expr, str], tvm.ir.Expr] = {}

        def as_type(expr: tvm.ir.Expr, dtype: str) -> tvm.ir.Expr:
            """The expression, of floats as `dtype`."""
            if isinstance(expr, tvm.ir.Tuple):
                return relax.Tuple([as_type(field, dtype) for field in expr.fields])
            expr = values[expr] if isinstance(expr, relax.Var) else expr
            if not isinstance(expr, relax.Var | tvm.ir.GenericConst) or not _is_other_float(expr, dtype):
                return expr
            if isinstance(expr, tvm.ir.GenericConst):
                return relax.const(expr.value.numpy().astype(dtype), dtype)
            key = (expr, dtype)
            if key not in converted:
                converted[key] = builder.emit(relax.op.astype(expr, dtype), next(fresh))
            return converted[key]

        def as_declared(expr: tvm.ir.Expr) -> tvm.ir.Expr:
            """An output in the precision that the model gives it."""
            if isinstance(expr, tvm.ir.Tuple):
                return relax.Tuple([as_declared(field) for field in expr.fields])
            return as_type(expr, str(expr.ty.dtype)) if isinstance(expr.ty, relax.TensorType) else as_type(expr, SINGLE)

        with builder.function("main", list(func.params)):
            with builder.dataflow():
                for block in func.body.blocks:
                    for binding in block.bindings:
                        value = binding.value
                        if isinstance(value, tvm.ir.Call):
                            half = binding.var not in last and _computes_in_half(value, values)
                            dtype = HALF if half else SINGLE
                            args = [as_type(argument, dtype) for argument in value.args]
                            value = relax.Call(value.op, args, value.attrs, value.ty_args)
                        elif isinstance(value, tvm.ir.TupleGetItem):
                            value = relax.TupleGetItem(as_type(value.tuple_value, SINGLE), value.index)
                        else:
                            value = as_type(value, SINGLE)
                        own = isinstance(value, relax.Var)
                        values[binding.var] = value if own else builder.emit(value, binding.var.name)
                result = builder.emit_output(as_declared(func.body.body))
            builder.emit_func_output(result)
        return builder.get()


def _last_bindings(func: relax.Function) -> set[relax.Var]:
    """The bindings from the last products on: what every path to an output goes through after its last product."""
    bindings = [binding for block in func.body.blocks for binding in block.bindings]
    open_reads: dict[relax.Var, bool] = dict.fromkeys(_variables(func.body.body), False)
    last = set()
    for binding in reversed(bindings):
        in_tail = not open_reads.get(binding.var, True)
        if in_tail:
            last.add(binding.var)
        name = getattr(getattr(binding.value, "op", None), "name", "").removeprefix("relax.")
        for variable in _variables(binding.value):
            open_reads[variable] = open_reads.get(variable, False) or not in_tail or name in PRODUCTS
    return last


def _variables(expr: tvm.ir.Expr) -> list[relax.Var]:
    """The values that an expression reads."""
    if isinstance(expr, relax.Var):
        return [expr]
    parts = expr.fields if isinstance(expr, tvm.ir.Tuple) else expr.args if isinstance(expr, tvm.ir.Call) else []
    parts = [expr.tuple_value] if isinstance(expr, tvm.ir.TupleGetItem) else parts
    return [variable for part in parts for variable in _variables(part)]


def _is_other_float(expr: tvm.ir.Expr, dtype: str) -> bool:
    """Whether it is a tensor of the other of the two precisions."""
    if not isinstance(expr.ty, relax.TensorType):
        return False
    return str(expr.ty.dtype) in (HALF, SINGLE) and str(expr.ty.dtype) != dtype


def _computes_in_half(call: tvm.ir.Call, values: Mapping[relax.Var, tvm.ir.Expr]) -> bool:
    """Whether an operator does. `values` are its operands as they are so far."""
    name = call.op.name if isinstance(call.op, tvm.ir.Op) else ""
    name = name.removeprefix("relax.")
    if not all(map(_fits_half, call.args)):
        return False
    if name in PRODUCTS:
        return _products(call) >= LEAST_PRODUCTS
    return name in FOLLOWING and not any(_is_other_float(values[variable], HALF) for variable in _variables(call))


def _products(call: tvm.ir.Call) -> int:
    """How many products make one element of the result."""
    x, weights = (list(side.ty.shape) for side in call.args[:2])
    return int(x[-1]) if len(x) == len(weights) == 2 else math.prod(int(size) for size in weights[:-1])


def _fits_half(argument: tvm.ir.Expr) -> bool:
    """Whether a constant keeps its infinities and nothing else becomes one."""
    if isinstance(argument, tvm.ir.Tuple):
        return all(map(_fits_half, argument.fields))
    if not isinstance(argument, tvm.ir.GenericConst) or not _is_other_float(argument, HALF):
        return True
    data = argument.value.numpy()
    with np.errstate(over="ignore"):
        return bool((np.isinf(data.astype(HALF)) == np.isinf(data)).all())


def _fresh_names(taken: set[str]) -> Iterator[str]:
    """Names that no node of the model has, so that bindings keep theirs."""
    return (name for name in map("convert_{}".format, itertools.count()) if name not in taken)
