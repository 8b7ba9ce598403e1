"""Softmax and normalizations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import Expr

from .convert import Call, Converter, normal_axis
from .graph import RefusedError
from .te_kernel import kernel, reduce_axis
from .te_reducers import maximum


def along_axis(operator: Callable[[Expr, int], Expr]) -> Converter:
    """A converter of Softmax and its like; before opset 13 over the axis and all behind it."""

    def convert(call: Call) -> Expr:
        shape = call.type().shape
        new = call.node.version >= 13
        axis = normal_axis(call.attr("axis", -1 if new else 1), len(shape))
        if new or axis == len(shape) - 1:
            return _softmax(call, operator, call.x(), axis)
        rows = int(np.prod(shape[:axis]))
        flat = call.emit(relax.op.reshape(call.x(), (rows, call.type().size // rows)))
        return relax.op.reshape(call.emit(_softmax(call, operator, flat, 1)), shape)

    return convert


def _softmax(call: Call, operator: Callable[[Expr, int], Expr], x: Expr, axis: int) -> Expr:
    """In half precision the exponentials and their sum are rounded to it, as ONNX's reference does."""
    if call.out().dtype != "float16":
        return operator(x, axis)
    if call.node.op != "Softmax":
        result = call.emit(operator(call.emit(relax.op.astype(x, "float32")), axis))
        return relax.op.astype(result, "float16")
    shifted = call.emit(relax.op.subtract(x, call.emit(relax.op.max(x, [axis], True))))
    wide = call.emit(relax.op.exp(call.emit(relax.op.astype(shifted, "float32"))))
    powers = call.emit(relax.op.astype(wide, "float16"))
    total = call.emit(relax.op.sum(call.emit(relax.op.astype(powers, "float32")), [axis], True))
    return relax.op.divide(powers, call.emit(relax.op.astype(total, "float16")))


def hardmax(call: Call) -> Expr:
    """Hardmax: one at the first largest element, zero elsewhere."""
    shape = call.type().shape
    new = call.node.version >= 13
    axis = normal_axis(call.attr("axis", -1 if new else 1), len(shape))
    reduced = [axis] if new else list(range(axis, len(shape)))

    def compute(x: te.Tensor) -> te.Tensor:
        kept = [d for d in range(len(shape)) if d not in reduced]
        ks, js = ([reduce_axis(shape[d], name=f"{c}{d}") for d in reduced] for c in "kj")

        def flat(place: Any) -> Any:
            number = tirx.const(0, "int64")
            for d in reduced:
                number = number * shape[d] + place[d]
            return number

        def full(index: tuple[Any, ...], axes: list[Any]) -> list[Any]:
            places = dict(zip(kept, index, strict=True)) | dict(zip(reduced, [a.var for a in axes], strict=True))
            return [places[d] for d in range(len(shape))]

        small = [shape[d] for d in kept]
        top = kernel(small, lambda *i: maximum(x(*full(i, ks)), axis=ks), name="top")
        first = kernel(
            small,
            lambda *i: te.min(
                tirx.Select(x(*full(i, js)) == top(*i), flat(full(i, js)), te.max_value("int64")), axis=js
            ),
            name="first",
        )
        return kernel(
            shape,
            lambda *i: tirx.Select(
                flat(i) == first(*[i[d] for d in kept]), tirx.const(1, x.dtype), tirx.const(0, x.dtype)
            ),
            name="hardmax",
        )

    return call.te(compute, call.x(), name="hardmax")


def normalized(call: Call, x: Expr, axes: list[int], epsilon: float, centred: bool = True) -> tuple[Expr, Expr, Expr]:
    """(x - mean) / sqrt(variance + epsilon), the mean and the inverse deviation."""
    mean = call.emit(relax.op.mean(x, axes, True))
    difference = call.emit(relax.op.subtract(x, mean)) if centred else x
    variance = call.emit(relax.op.mean(call.emit(relax.op.multiply(difference, difference)), axes, True))
    dtype = str(x.ty.dtype)
    root = call.emit(relax.op.sqrt(call.emit(relax.op.add(variance, call.constant(epsilon, dtype)))))
    inverse = call.emit(relax.op.divide(call.constant(1.0, dtype), root))
    return call.emit(relax.op.multiply(difference, inverse)), mean, inverse


def layer_normalization(call: Call) -> Expr | list[Expr | None]:
    """LayerNormalization over the trailing axes."""
    shape, dtype = call.type().shape, call.type().dtype
    axis = normal_axis(call.attr("axis", -1), len(shape))
    axes = list(range(axis, len(shape)))
    epsilon = call.attr("epsilon", 1e-5)
    fits = call.type(1).shape == shape[axis:] and (not call.has(2) or call.type(2).shape == shape[axis:])
    if dtype == "float32" and fits and not (call.wants(1) or call.wants(2)):
        beta = call.x(2) if call.has(2) else call.constant(np.zeros(shape[axis:]), dtype)
        return relax.op.nn.layer_norm(call.x(), call.x(1), beta, axes, epsilon)
    if call.attr("stash_type", 1) != 1:
        raise RefusedError("stash_type other than float is not supported")
    x = call.emit(relax.op.astype(call.x(), "float32")) if dtype != "float32" else call.x()
    result, mean, inverse = normalized(call, x, axes, epsilon)
    result = call.emit(relax.op.astype(result, dtype)) if dtype != "float32" else result
    result = call.emit(relax.op.multiply(result, call.x(1)))
    result = call.emit(relax.op.add(result, call.x(2))) if call.has(2) else result
    return [result, mean, inverse]


def rms_normalization(call: Call) -> Expr:
    """RMSNormalization over the trailing axes."""
    shape, dtype = call.type().shape, call.type().dtype
    axis = normal_axis(call.attr("axis", -1), len(shape))
    if call.attr("stash_type", 1) != 1:
        raise RefusedError("stash_type other than float is not supported")
    x = call.emit(relax.op.astype(call.x(), "float32")) if dtype != "float32" else call.x()
    result, _, _ = normalized(call, x, list(range(axis, len(shape))), call.attr("epsilon", 1e-5), centred=False)
    result = call.emit(relax.op.astype(result, dtype)) if dtype != "float32" else result
    return relax.op.multiply(result, call.x(1))


def instance_normalization(call: Call) -> Expr:
    """InstanceNormalization: every channel of every sample by itself."""
    rank = len(call.type().shape)
    return _affine(call, _wide(call), list(range(2, rank)), rank)


def group_normalization(call: Call) -> Expr:
    """GroupNormalization: groups of channels; before opset 21 scale and bias go by group."""
    shape = call.type().shape
    groups = call.attr("num_groups")
    x = call.emit(relax.op.reshape(_wide(call), (shape[0], groups, call.type().size // (shape[0] * groups))))
    result, _, _ = normalized(call, x, [2], call.attr("epsilon", 1e-5))
    if call.type(1).shape[0] == groups and groups != shape[1]:
        return relax.op.reshape(_scaled(call, result, 3), shape)
    return _scaled(call, call.emit(relax.op.reshape(result, shape)), len(shape))


def _wide(call: Call) -> Expr:
    return call.emit(relax.op.astype(call.x(), "float32")) if call.type().dtype == "float16" else call.x()


def _affine(call: Call, x: Expr, axes: list[int], rank: int) -> Expr:
    result, _, _ = normalized(call, x, axes, call.attr("epsilon", 1e-5))
    return _scaled(call, result, rank)


def _scaled(call: Call, x: Expr, rank: int) -> Expr:
    """``x * scale + bias``, both along axis 1."""
    sides = []
    for index in (1, 2):
        value = call.emit(relax.op.reshape(call.x(index), (-1, *[1] * (rank - 2))))
        narrow = call.type(index).dtype == "float16"
        sides.append(call.emit(relax.op.astype(value, "float32")) if narrow else value)
    result = call.emit(relax.op.add(call.emit(relax.op.multiply(x, sides[0])), sides[1]))
    return relax.op.astype(result, "float16") if call.out().dtype == "float16" else result


def batch_normalization(call: Call) -> Expr:
    """BatchNormalization at inference: one scale and one shift for each channel."""
    if call.attr("training_mode", 0) or call.wants(1):
        raise RefusedError("training mode is not supported")
    dtype, epsilon = call.out().dtype, call.attr("epsilon", 1e-5)
    shape = (-1, *[1] * max(len(call.type().shape) - 2, 0))
    values = [call.value(index) for index in (1, 2, 3, 4)]
    if all(value is not None for value in values):
        gamma, beta, mean, variance = (np.asarray(value, "float64") for value in values)
        scale = gamma / np.sqrt(variance + epsilon)
        factor, shift = (call.constant(array.reshape(shape), dtype) for array in (scale, beta - mean * scale))
    else:
        gamma, beta, mean, variance = (
            call.emit(relax.op.astype(call.emit(relax.op.reshape(call.x(i), shape)), dtype)) for i in (1, 2, 3, 4)
        )
        root = call.emit(relax.op.sqrt(call.emit(relax.op.add(variance, call.constant(epsilon, dtype)))))
        factor = call.emit(relax.op.divide(gamma, root))
        shift = call.emit(relax.op.subtract(beta, call.emit(relax.op.multiply(mean, factor))))
    return relax.op.add(call.emit(relax.op.multiply(call.x(), factor)), shift)


def lrn(call: Call) -> Expr:
    """LRN: divide by a power of the sum of squares over neighbouring channels."""
    shape, dtype = call.type().shape, call.type().dtype
    size = call.attr("size")
    alpha, beta, bias = call.attr("alpha", 1e-4), call.attr("beta", 0.75), call.attr("bias", 1.0)
    before = (size - 1) // 2

    def compute(x: te.Tensor) -> te.Tensor:
        k = reduce_axis(size, name="k")

        def square(index: tuple[Any, ...]) -> Any:
            channel = index[1] + k.var - before
            place = tirx.max(tirx.min(channel, tirx.const(shape[1] - 1, "int64")), tirx.const(0, "int64"))
            value = x(index[0], place, *index[2:]).astype("float32")
            return tirx.Select(tirx.all(channel >= 0, channel < shape[1]), value * value, tirx.const(0, "float32"))

        total = kernel(shape, lambda *i: te.sum(square(i), axis=k), name="squares")

        def scaled(index: tuple[Any, ...]) -> Any:
            base = tirx.const(bias, "float32") + tirx.const(alpha / size, "float32") * total(*index)
            return (x(*index).astype("float32") / te.power(base, tirx.const(beta, "float32"))).astype(dtype)

        return kernel(shape, lambda *i: scaled(i), name="lrn")

    return call.te(compute, call.x(), name="lrn")


def lp_normalization(call: Call) -> Expr:
    """LpNormalization: divide by the norm along an axis; a zero norm gives zero."""
    dtype = call.out().dtype
    axis = normal_axis(call.attr("axis", -1), len(call.type().shape))
    x = _wide(call)
    squared = call.attr("p", 2) == 2
    size = call.emit(relax.op.multiply(x, x) if squared else relax.op.abs(x))
    norm = call.emit(relax.op.sum(size, axis, True))
    norm = call.emit(relax.op.sqrt(norm)) if squared else norm
    zero, one = (call.constant(value, str(x.ty.dtype)) for value in (0.0, 1.0))
    safe = call.emit(relax.op.where(call.emit(relax.op.equal(norm, zero)), one, norm))
    result = relax.op.divide(x, safe)
    return relax.op.astype(call.emit(result), dtype) if dtype == "float16" else result
