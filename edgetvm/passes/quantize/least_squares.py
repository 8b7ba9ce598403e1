"""Weights that undo what quantized inputs did to a layer's output."""

from __future__ import annotations

import numpy as np

from edgetvm.oracle.dataset import Array

from .moments import Moments

RIDGE = 0.05  # of the mean variance: keeps directions that the data hardly show near the given weights


def corrected_weights(weights: Array, moments: Moments, ridge: float = RIDGE) -> Array:
    """Weights ``[groups, N, K]`` near the given ones whose output on the quantized inputs is nearest to the float one.

    Minimizes ``E|y - V x|^2 + ridge * mean variance of x * |V - W|^2`` over V, means taken off:
    ``V = W + (C_yx - W C_xx) (C_xx + ridge I)^-1``.
    """
    variance = moments.covariance_xx
    residual = moments.covariance_yx - weights @ variance
    return weights + np.linalg.solve(damped(variance, ridge), residual.transpose(0, 2, 1)).transpose(0, 2, 1)


def damped(covariance: Array, ridge: float) -> Array:
    """``[groups, K, K]`` with `ridge` times the mean of its diagonal added to the diagonal; positive definite."""
    size = covariance.shape[-1]
    mean = np.trace(covariance, axis1=1, axis2=2) / size
    extra = ridge * np.where(mean > 0, mean, 1.0)
    return covariance + extra[:, None, None] * np.eye(size)
