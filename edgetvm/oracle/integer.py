"""The integer interpreter: a Relax module of integer operators, run in numpy.

It is the oracle of integer packages: every kernel must give the same bits on every target. It reads
the operators before they become loops, so that nothing of schedules, packing, fusion or code
generation can be wrong in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.oracle import integer_layers as layers
from edgetvm.oracle.affine import codes_of, numbers_of
from edgetvm.oracle.integer_deconvolve import deconvolve
from edgetvm.oracle.integer_interpolate import interpolate
from edgetvm.oracle.integer_layer_norm import layer_norm
from edgetvm.oracle.integer_layers import Array
from edgetvm.oracle.integer_prelu import prelu
from edgetvm.oracle.integer_softmax import softmax
from edgetvm.oracle.kernels import UnreadableError, evaluate_kernel

# The value of a binding; a tuple has several. None: it is computed in float, which this interpreter leaves alone.
Result = Array | tuple[Array, ...] | None
Meaning = Callable[[Sequence[Array], Mapping[str, Any]], Array]

# Operators of our own, by their attributes.
OWN: dict[str, Meaning] = {
    "edgetvm.convolve": layers.convolve,
    "edgetvm.deconvolve": deconvolve,
    "edgetvm.interpolate": interpolate,
    "edgetvm.layer_norm": layer_norm,
    "edgetvm.lookup": layers.lookup,
    "edgetvm.prelu": prelu,
    "edgetvm.reduce_sum": layers.reduce_sum,
    "edgetvm.requantize": layers.requantize,
    "edgetvm.scaled_sum": layers.scaled_sum,
    "edgetvm.softmax": softmax,
    "edgetvm.window_sum": layers.window_sum,
}


def interpret(
    module: tvm.IRModule, inputs: Sequence[Array], seen: Callable[[str, Result], Result] = lambda _, value: value
) -> dict[str, Result]:
    """The value of every binding of `main` by its variable's name.

    `seen` is told each name and value and says what the binding's readers get: so each kernel of a package is
    judged by its own inputs. Raises OverflowError where a sum leaves its type.
    """
    main = module["main"]
    values: dict[relax.Var, Result] = dict(zip(main.params, inputs, strict=True))
    results: dict[str, Result] = {}
    for block in main.body.blocks:
        for binding in block.bindings:
            name = binding.var.name
            results[name] = _evaluate(binding.value, values, module)
            values[binding.var] = seen(name, results[name])
    return results


def _evaluate(expr: Expr, values: Mapping[relax.Var, Result], module: tvm.IRModule) -> Result:
    if isinstance(expr, tvm.ir.GenericConst):
        return np.asarray(expr.value.numpy())
    if isinstance(expr, relax.Var):
        return values[expr]
    if isinstance(expr, tvm.ir.TupleGetItem):
        whole = _evaluate(expr.tuple_value, values, module)
        return whole[expr.index] if isinstance(whole, tuple) else None
    if isinstance(expr, tvm.ir.Tuple):
        fields = [_evaluate(field, values, module) for field in expr.fields]
        return None if any(not isinstance(field, np.ndarray) for field in fields) else tuple(fields)  # type: ignore[arg-type]
    if not isinstance(expr, tvm.ir.Call) or not isinstance(expr.op, tvm.ir.Op):
        return None
    arguments: list[Array] = []
    for argument in expr.args:
        if isinstance(argument, relax.Var | tvm.ir.GenericConst | tvm.ir.Tuple) and not _is_numbers(argument):
            value = _evaluate(argument, values, module)
            if value is None:
                return None
            arguments += value if isinstance(value, tuple) else [value]
    name = str(expr.op.name)
    if name in OWN:
        return OWN[name](arguments, expr.attrs)
    if name in STANDARD:
        return STANDARD[name](expr, *arguments)
    return _kernel(module[expr.args[0]], expr, arguments) if name == "relax.call_tir" else None


def _kernel(func: tvm.tirx.PrimFunc, call: tvm.ir.Call, arguments: Sequence[Array]) -> Result:
    """A kernel of the importer's that moves integers."""
    if isinstance(call.ty, relax.TupleType) or not _integers(call, *arguments):
        return None
    try:
        return evaluate_kernel(func, arguments)
    except UnreadableError:
        return None


def _is_numbers(argument: Expr) -> bool:
    """Whether a tuple holds numbers of the operator's own and no tensors."""
    return isinstance(argument, tvm.ir.Tuple) and not any(
        isinstance(field, relax.Var | tvm.ir.GenericConst) for field in argument.fields
    )


def _shape(call: tvm.ir.Call) -> list[int]:
    return [int(extent) for extent in call.ty.shape]


def _dtype(call: tvm.ir.Call) -> str:
    return str(call.ty.dtype)


def _integers(call: tvm.ir.Call, *arguments: Array) -> bool:
    return all(argument.dtype.kind in "iub" for argument in arguments) and not _dtype(call).startswith("float")


def _arithmetic(function: Callable[..., Array]) -> Callable[..., Result]:
    """An operator of integers in 64 bits, cut to the type of its result."""

    def run(call: tvm.ir.Call, *arguments: Array) -> Result:
        if not _integers(call, *arguments):
            return None
        return np.asarray(function(*[argument.astype(np.int64) for argument in arguments])).astype(_dtype(call))

    return run


def _quantize(call: tvm.ir.Call, x: Array, scale: Array, zero: Array) -> Result:
    scale, zero = (_along(call, parameter, x.ndim) for parameter in (scale.astype(np.float32), zero))
    return codes_of(x, scale, zero, _dtype(call))


def _dequantize(call: tvm.ir.Call, q: Array, scale: Array, zero: Array) -> Result:
    scale, zero = (_along(call, parameter, q.ndim) for parameter in (scale.astype(np.float32), zero))
    return numbers_of(q, scale, zero).astype(_dtype(call))


def _along(call: tvm.ir.Call, parameter: Array, rank: int) -> Array:
    if parameter.size == 1:
        return parameter.reshape((1,) * rank)
    axis = int(call.attrs.axis) % rank
    return parameter.reshape([-1 if i == axis else 1 for i in range(rank)])


def _strided_slice(call: tvm.ir.Call, x: Array) -> Result:
    numbers = [[int(field.value) for field in argument.fields] for argument in call.args[1:]]
    axes, begin, end = numbers[:3]
    strides = numbers[3] if len(numbers) > 3 else [1] * len(axes)
    index: list[slice] = [slice(None)] * x.ndim
    for axis, first, last, stride in zip(axes, begin, end, strides, strict=True):
        index[axis] = slice(first, last, stride)
    return x[tuple(index)].reshape(_shape(call))


def _split(call: tvm.ir.Call, x: Array) -> Result:
    sections = call.attrs.indices_or_sections
    parts = int(sections) if isinstance(sections, int) or hasattr(sections, "value") else [int(at) for at in sections]
    return tuple(np.split(x, parts, int(call.attrs.axis)))


def _take(call: tvm.ir.Call, x: Array, index: Array) -> Result:
    axis = None if call.attrs.axis is None else int(call.attrs.axis)
    return np.asarray(np.take(x, index.astype(np.int64), axis, mode="clip")).reshape(_shape(call))


def _pad(call: tvm.ir.Call, x: Array) -> Result:
    widths = [int(width) for width in call.attrs.pad_width]
    value = np.asarray(float(call.attrs.pad_value)).astype(x.dtype)
    return np.pad(x, list(zip(widths[::2], widths[1::2], strict=True)), constant_values=value)


def _max_pool(call: tvm.ir.Call, x: Array) -> Result:
    attributes = call.attrs
    if x.dtype.kind not in "iu" or str(attributes.layout) != "NHWC":
        return None
    window, strides, padding, dilation = (
        [int(v) for v in values]
        for values in (attributes.pool_size, attributes.strides, attributes.padding, attributes.dilation)
    )
    return layers.max_pool(x, window, strides, padding, dilation, _shape(call)[1:3])


def _extreme(function: Callable[..., Array]) -> Callable[..., Result]:
    def run(call: tvm.ir.Call, x: Array) -> Result:
        axes = None if call.attrs.axis is None else tuple(int(axis) for axis in call.attrs.axis)
        return np.asarray(function(x, axes, keepdims=bool(call.attrs.keepdims))) if x.dtype.kind in "iu" else None

    return run


def _matmul(call: tvm.ir.Call, a: Array, b: Array) -> Result:
    return layers.integer_matmul(a, b).astype(_dtype(call)) if _integers(call, a, b) else None


def _clip(call: tvm.ir.Call, x: Array) -> Result:
    low, high = (float(argument.value) for argument in call.args[1:3])
    return np.clip(x, low, high).astype(x.dtype) if x.dtype.kind in "iu" else None


def _astype(call: tvm.ir.Call, x: Array) -> Result:
    return x.astype(_dtype(call)) if _integers(call, x) else None


def _reshape(call: tvm.ir.Call, x: Array) -> Result:
    return x.reshape(_shape(call))


# Relax's own operators; each is given its call.
STANDARD: dict[str, Callable[..., Result]] = {
    "relax.add": _arithmetic(np.add),
    "relax.astype": _astype,
    "relax.broadcast_to": lambda call, x: np.broadcast_to(x, _shape(call)),
    "relax.clip": _clip,
    "relax.concat": lambda call, *parts: np.concatenate(parts, int(call.attrs.axis)),
    "relax.dequantize": _dequantize,
    "relax.expand_dims": _reshape,
    "relax.flatten": _reshape,
    "relax.matmul": _matmul,
    "relax.max": _extreme(np.max),
    "relax.maximum": _arithmetic(np.maximum),
    "relax.min": _extreme(np.min),
    "relax.minimum": _arithmetic(np.minimum),
    "relax.multiply": _arithmetic(np.multiply),
    "relax.nn.max_pool2d": _max_pool,
    "relax.nn.pad": _pad,
    "relax.permute_dims": lambda call, x: x.transpose(
        None if call.attrs.axes is None else [int(axis) for axis in call.attrs.axes]
    ),
    "relax.quantize": _quantize,
    "relax.reshape": _reshape,
    "relax.split": _split,
    "relax.squeeze": _reshape,
    "relax.strided_slice": _strided_slice,
    "relax.subtract": _arithmetic(np.subtract),
    "relax.take": _take,
}
