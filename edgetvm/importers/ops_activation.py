"""Activation functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import relax, te, tirx
from tvm.ir import Expr

from .convert import Call, Converter
from .te_pointwise import like, pointwise

# Each takes an element in single or double precision, and the call for its attributes.
Function = Callable[[Any, Call], Any]


def activation(name: str, function: Function) -> Converter:
    """A converter of one kernel; half precision is computed in single."""

    def convert(call: Call) -> Expr:
        def compute(x: Any) -> Any:
            if str(x.ty.dtype) == "float16":
                return function(x.astype("float32"), call).astype("float16")
            return function(x, call)

        return pointwise(call, compute, call.x(), name=name)

    return convert


def elu(x: Any, call: Call) -> Any:
    """alpha * (exp(x) - 1) below zero."""
    """x where positive, alpha (exp(x) - 1) elsewhere."""
    alpha = like(x, call.attr("alpha", 1.0))
    return tirx.Select(x > 0, x, alpha * (te.exp(tirx.min(x, like(x, 0))) - 1))


def celu(x: Any, call: Call) -> Any:
    """Elu whose exponent is scaled by alpha, so that its slope is continuous."""
    """max(0, x) + min(0, alpha (exp(x / alpha) - 1))."""
    alpha = like(x, call.attr("alpha", 1.0))
    return tirx.max(x, like(x, 0)) + tirx.min(like(x, 0), alpha * (te.exp(tirx.min(x, like(x, 0)) / alpha) - 1))


def selu(x: Any, call: Call) -> Any:
    """Scaled Elu."""
    """gamma times elu with its own alpha."""
    alpha = like(x, call.attr("alpha", 1.67326319217681884765625))
    gamma = like(x, call.attr("gamma", 1.05070102214813232421875))
    return gamma * tirx.Select(x > 0, x, alpha * (te.exp(tirx.min(x, like(x, 0))) - 1))


def leaky_relu(x: Any, call: Call) -> Any:
    """alpha * x below zero."""
    """x, times alpha where negative."""
    return tirx.Select(x < 0, x * like(x, call.attr("alpha", 0.01)), x)


def thresholded_relu(x: Any, call: Call) -> Any:
    """x above alpha, otherwise 0."""
    """x above alpha, 0 elsewhere."""
    return tirx.Select(x > like(x, call.attr("alpha", 1.0)), x, like(x, 0))


def hard_sigmoid(x: Any, call: Call) -> Any:
    """alpha * x + beta, kept in 0..1."""
    """alpha x + beta, clipped to 0..1."""
    value = x * like(x, call.attr("alpha", 0.2)) + like(x, call.attr("beta", 0.5))
    return tirx.max(tirx.min(value, like(x, 1)), like(x, 0))


def hard_swish(x: Any, _: Call) -> Any:
    """x * clip(x / 6 + 1/2, 0, 1)."""
    """x times hard_sigmoid of slope 1/6."""
    value = x * like(x, 1 / 6) + like(x, 0.5)
    return x * tirx.max(tirx.min(value, like(x, 1)), like(x, 0))


def softplus(x: Any, _: Call) -> Any:
    """log(1 + exp(x)), without overflow."""
    """log(1 + exp(x)), without overflow."""
    return tirx.max(x, like(x, 0)) + tirx.log1p(te.exp(-te.abs(x)))


def softsign(x: Any, _: Call) -> Any:
    """x / (1 + abs(x))."""
    """x / (1 + |x|)."""
    return x / (like(x, 1) + te.abs(x))


def mish(x: Any, call: Call) -> Any:
    """x * tanh(softplus(x))."""
    """x tanh(softplus(x))."""
    return x * te.tanh(softplus(x, call))


def swish(x: Any, call: Call) -> Any:
    """x * sigmoid(alpha * x)."""
    """x sigmoid(alpha x)."""
    return x * te.sigmoid(x * like(x, call.attr("alpha", 1.0)))


def shrink(x: Any, call: Call) -> Any:
    """Move x toward zero by the bias; 0 within lambd of zero."""
    """x drawn towards 0 by bias beyond the edge lambd, 0 within."""
    bias, edge = like(x, call.attr("bias", 0.0)), like(x, call.attr("lambd", 0.5))
    return tirx.Select(x < -edge, x + bias, tirx.Select(x > edge, x - bias, like(x, 0)))


def prelu(call: Call) -> Expr:
    """PRelu with any broadcasting slope."""
    return pointwise(
        call,
        lambda x, slope: tirx.Select(x < like(x, 0), x * slope, x),
        call.x(),
        call.x(1),
        name="prelu",
        mark="PRelu",
    )


def shrink_any(call: Call) -> Expr:
    """Shrink, of integers too: those are computed in double precision."""
    dtype = call.out().dtype
    wide = "float32" if dtype in ("float16", "float32") else "float64"
    return pointwise(call, lambda x: shrink(x.astype(wide), call).astype(dtype), call.x(), name="shrink")


def gelu(call: Call) -> Expr:
    """Gelu, exact or by tanh."""
    if call.out().dtype == "float16":
        wide = call.emit(relax.op.astype(call.x(), "float32"))
        return relax.op.astype(call.emit(_gelu(call, wide)), "float16")
    return _gelu(call, call.x())


def _gelu(call: Call, x: Expr) -> Expr:
    return relax.op.nn.gelu_tanh(x) if call.attr("approximate", "none") == "tanh" else relax.op.nn.gelu(x)
