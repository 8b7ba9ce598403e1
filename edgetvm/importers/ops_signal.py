"""DFT and STFT as sums against constant tables of cosines and sines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import te, tirx
from tvm.ir import Expr

from .convert import Call, normal_axis
from .graph import Array, RefusedError
from .te_kernel import kernel, reduce_axis
from .te_pointwise import inside
from .te_switch import switch


def dft(call: Call) -> Expr:
    """DFT, its one-sided form and the inverse of that."""
    shape, out = call.type().shape, call.out().shape
    rank = len(shape)
    if call.attr("inverse", 0) and not call.attr("onesided", 0):
        # Where its imaginary part cancels, only rounding noise is left, and that is not ONNX's noise.
        raise RefusedError("the two-sided inverse is not supported")
    if call.node.version < 20:
        return _dft(call, normal_axis(call.attr("axis", 1), rank))
    if not call.has(2) or call.value(2) is not None:
        return _dft(call, normal_axis(call.need_ints(2, "axis")[0] if call.has(2) else -2, rank))
    # An axis given at run time is one of those that lead to the declared shape.
    same = [s == o for s, o in zip(shape, out, strict=True)]
    fitting = [axis for axis in range(rank - 1) if all(same[d] for d in range(rank - 1) if d != axis)]
    results = {1 << axis: _dft(call, axis) for axis in fitting}
    return next(iter(results.values())) if len(results) == 1 else switch(call, call.x(2), rank, results)


def _dft(call: Call, axis: int) -> Expr:
    shape, out = call.type().shape, call.out().shape
    inverse, onesided = bool(call.attr("inverse", 0)), bool(call.attr("onesided", 0))
    length = _length(call, axis, inverse, onesided)
    count = min(shape[axis], length // 2 + 1 if inverse and onesided else length)
    angles = 2 * np.pi / length * np.outer(np.arange(out[axis]), np.arange(count))
    cosines, sines = np.cos(angles), np.sin(angles) if inverse else -np.sin(angles)
    if inverse:
        weights = np.full(count, 1 / length)
        if onesided:  # the half that is left out mirrors this one
            weights[1 : (length + 1) // 2] *= 2
        cosines, sines = cosines * weights, sines * weights

    def place(index: Sequence[Any], n: Any, part: int) -> list[Any]:
        return [*index[:axis], n, *index[axis + 1 : -1], part]

    return _transform(call, out, count, cosines, sines, lambda index: index[axis], place, shape[-1] == 2)


def _length(call: Call, axis: int, inverse: bool, onesided: bool) -> int:
    if call.has(1):
        value = call.value(1)
        if value is not None:
            return int(value.reshape(-1)[0])
        if onesided and not inverse:
            raise RefusedError("its dft_length is known at run time only")
        return call.out().shape[axis]
    if inverse and onesided:
        return call.out().shape[axis]
    return call.type().shape[axis]


def stft(call: Call) -> Expr:
    """STFT of a real or complex signal."""
    out, complex_ = call.out().shape, len(call.type().shape) == 3 and call.type().shape[2] == 2
    onesided = bool(call.attr("onesided", 1))
    if call.has(2):
        length = call.type(2).shape[0]
    elif call.has(3):
        length = call.need_ints(3, "frame length")[0]
    else:
        raise RefusedError("it has neither a window nor a frame length")
    if out[2] != (length // 2 + 1 if onesided else length):
        raise RefusedError("the shape that the model declares for its output does not fit its frame length")
    angles = 2 * np.pi / length * np.outer(np.arange(out[2]), np.arange(length))
    signal = call.type().shape[1]
    rank = len(call.type().shape)

    def place(index: Sequence[Any], n: Any, part: int, step: Any) -> list[Any]:
        row = inside(index[1] * step + n, signal)
        return [index[0], row, part] if rank == 3 else [index[0], row]

    tensors = [call.x(1), *([call.x(2)] if call.has(2) else [])]
    return _transform(
        call, out, length, np.cos(angles), -np.sin(angles), lambda index: index[2], place, complex_, tensors
    )


def _transform(
    call: Call,
    out: tuple[int, ...],
    count: int,
    cosines: Array,
    sines: Array,
    row: Any,
    place: Any,
    complex_: bool,
    framing: Sequence[Expr] = (),
) -> Expr:
    """``out[.., k, .., part] = sum over n of x[.., n, ..] * e(k, n)``; `framing` is a step and a window."""
    dtype = call.out().dtype
    if dtype == "float16":
        raise RefusedError("half precision is not supported")

    def compute(x: te.Tensor, c: te.Tensor, s: te.Tensor, *more: te.Tensor) -> te.Tensor:
        n = reduce_axis(count, name="n")

        def value(index: tuple[Any, ...], part: int) -> Any:
            if not more:
                return x(*place(index, n.var, part))
            step = more[0](*[0] * len(more[0].shape)).astype("int64")
            loaded = x(*place(index, n.var, part, step))
            return loaded * more[1](n.var) if len(more) > 1 else loaded

        def term(index: tuple[Any, ...]) -> Any:
            cosine, sine = c(row(index), n.var), s(row(index), n.var)
            real, imaginary = value(index, 0) * cosine, value(index, 0) * sine
            if complex_:
                real, imaginary = real - value(index, 1) * sine, imaginary + value(index, 1) * cosine
            return te.sum(tirx.Select(index[-1] == 0, real, imaginary) if out[-1] == 2 else real, axis=n)

        return kernel(out, lambda *i: term(i), name="dft")

    tables = [call.constant(cosines, dtype), call.constant(sines, dtype)]
    return call.te(compute, call.x(), *tables, *framing, name="dft")
