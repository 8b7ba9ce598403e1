"""Weight rounding learned by least squares: rounding one weight moves the others that can still make up for it.

The quantizer of OBQ and GPTQ (Frantar et al., "Optimal Brain Compression", 2022; "GPTQ", 2023) for
the objective of AdaRound (Nagel et al., 2020), ``E|W x - Wq x|^2`` on calibration data, in place
of its gradient descent.
"""

from __future__ import annotations

import numpy as np

from edgetvm.oracle.dataset import Array

from .least_squares import damped
from .weights import LARGEST

DAMPING = 0.01


def learned_rounding(
    weights: Array, covariance: Array, scale: Array, damping: float = DAMPING, largest: int = LARGEST[8]
) -> Array:
    """Integers, float64 ``[groups, N, K]`` within ±`largest`, for weights of the same shape.

    covariance  of the inputs, ``[groups, K, K]``
    scale       ``[groups, N]``
    Inputs of large variance are rounded first, when most others are left to make up for them.
    """
    size = weights.shape[-1]
    order = np.argsort(-np.diagonal(covariance, axis1=1, axis2=2), axis=1, kind="stable")
    rows = np.arange(len(weights))[:, None]
    permuted = covariance[rows[:, :, None], order[:, :, None], order[:, None, :]]
    factor = np.linalg.cholesky(np.linalg.inv(damped(permuted, damping))).transpose(0, 2, 1)
    left = np.take_along_axis(weights, order[:, None, :], axis=2).astype(np.float64)
    integers = np.empty_like(left)
    for k in range(size):
        integers[:, :, k] = np.clip(np.rint(left[:, :, k] / scale), -largest, largest)
        error = (left[:, :, k] - integers[:, :, k] * scale) / factor[:, k, k, None]
        left[:, :, k + 1 :] -= error[:, :, None] * factor[:, None, k, k + 1 :]
    result = np.empty_like(integers)
    np.put_along_axis(result, np.broadcast_to(order[:, None, :], integers.shape), integers, axis=2)
    return result
