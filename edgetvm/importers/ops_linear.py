"""Matrix products."""

from __future__ import annotations

import numpy as np
from tvm import relax
from tvm.ir import Expr

from .convert import Call


def matmul(call: Call) -> Expr:
    """MatMul."""
    return relax.op.matmul(call.x(), call.x(1))


def gemm(call: Call) -> Expr:
    """alpha * A @ B + beta * C; constant operands are transposed and scaled at import."""
    alpha, beta = call.attr("alpha", 1.0), call.attr("beta", 1.0)
    left = _transposed(call, 0, call.attr("transA", 0), 1.0)
    right = _transposed(call, 1, call.attr("transB", 0), alpha)
    result = call.emit(relax.op.matmul(left, right))
    if alpha != 1.0 and call.value(1) is None:
        result = call.emit(relax.op.multiply(result, call.constant(alpha, call.out().dtype)))
    if not call.has(2) or beta == 0.0:
        return result
    bias = call.value(2)
    if bias is not None:
        return relax.op.add(result, call.constant(bias * np.asarray(beta, bias.dtype)))
    scaled = call.x(2)
    if beta != 1.0:
        scaled = call.emit(relax.op.multiply(scaled, call.constant(beta, call.out().dtype)))
    return relax.op.add(result, scaled)


def _transposed(call: Call, index: int, transpose: int, factor: float) -> Expr:
    value = call.value(index)
    if value is not None:
        scaled = value if factor == 1.0 else value * np.asarray(factor, value.dtype)
        return call.constant(scaled.T if transpose else scaled)
    return call.emit(relax.op.permute_dims(call.x(index))) if transpose else call.x(index)
