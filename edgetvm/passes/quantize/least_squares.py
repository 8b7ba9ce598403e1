"""Weights that undo what quantized inputs did to a layer's output, as far as that carries over to other data."""

from __future__ import annotations

import numpy as np

from edgetvm.oracle.dataset import Array

from .moments import Moments

# Candidates, in mean variances of an input. Infinity leaves the weights as they are.
RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, np.inf)
_WIDEST = 1536  # inputs of a layer whose ridge is searched


def corrected_weights(weights: Array, moments: Moments, ridge: float) -> Array:
    """Weights ``[groups, N, K]`` near the given ones whose output on the quantized inputs is nearest to the float one.

    Minimizes ``E|y - V x|^2 + ridge * mean variance of x * |V - W|^2`` over V, means taken off:
    ``V = W + (C_yx - W C_xx) (C_xx + ridge I)^-1``.
    """
    if np.isinf(ridge):
        return weights
    variance = moments.covariance_xx
    residual = moments.covariance_yx - weights @ variance
    return weights + np.linalg.solve(damped(variance, ridge), residual.transpose(0, 2, 1)).transpose(0, 2, 1)


def choose_ridge(weights: Array, fit: Moments, held: Moments) -> float:
    """The ridge of `RIDGES` whose weights, found on `fit`, err least on the samples of `held`."""
    if weights.shape[-1] > _WIDEST or not held.count:
        return np.inf
    errors = [held_error(corrected_weights(weights, fit, ridge), held) for ridge in RIDGES]
    return RIDGES[int(np.argmin(errors))]


def held_error(weights: Array, held: Moments) -> float:
    """``E|y - V x|^2``, means taken off, less the variance of y."""
    product = weights @ held.covariance_xx
    return float(((product - 2 * held.covariance_yx) * weights).sum())


def damped(covariance: Array, ridge: float) -> Array:
    """``[groups, K, K]`` with `ridge` times the mean of its diagonal added to the diagonal; positive definite."""
    size = covariance.shape[-1]
    mean = np.trace(covariance, axis1=1, axis2=2) / size
    extra = ridge * np.where(mean > 0, mean, 1.0)
    return covariance + extra[:, None, None] * np.eye(size)
