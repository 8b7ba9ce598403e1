"""Real functions of one variable in double precision, by the operator that computes them in float."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgetvm.passes.integer.real import Floats

_erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x))."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def gelu(x: Floats) -> Floats:
    """x * Phi(x)."""
    return np.asarray(0.5 * x * (1.0 + _erf(x / math.sqrt(2.0))))


def gelu_tanh(x: Floats) -> Floats:
    """Gelu with Phi by tanh (Hendrycks and Gimpel, 2016)."""
    return np.asarray(0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3))))


def silu(x: Floats) -> Floats:
    """x * sigmoid(x)."""
    return np.asarray(x * sigmoid(x))


def softplus(x: Floats) -> Floats:
    """log(1 + exp(x))."""
    return np.asarray(np.logaddexp(x, 0.0))


FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "relax.abs": np.abs,
    "relax.acos": np.arccos,
    "relax.acosh": np.arccosh,
    "relax.asin": np.arcsin,
    "relax.asinh": np.arcsinh,
    "relax.atan": np.arctan,
    "relax.atanh": np.arctanh,
    "relax.ceil": np.ceil,
    "relax.cos": np.cos,
    "relax.cosh": np.cosh,
    "relax.erf": _erf,
    "relax.exp": np.exp,
    "relax.floor": np.floor,
    "relax.log": np.log,
    "relax.negative": np.negative,
    "relax.nn.gelu": gelu,
    "relax.nn.gelu_tanh": gelu_tanh,
    "relax.nn.silu": silu,
    "relax.nn.softplus": softplus,
    "relax.round": np.rint,
    "relax.rsqrt": lambda x: np.asarray(1.0 / np.sqrt(x)),
    "relax.sigmoid": sigmoid,
    "relax.sign": np.sign,
    "relax.sin": np.sin,
    "relax.sinh": np.sinh,
    "relax.sqrt": np.sqrt,
    "relax.square": np.square,
    "relax.tan": np.tan,
    "relax.tanh": np.tanh,
    "relax.trunc": np.trunc,
}
