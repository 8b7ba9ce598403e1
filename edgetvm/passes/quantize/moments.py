"""First and second moments of a layer's quantized inputs and float outputs, summed sample by sample."""

from __future__ import annotations

import numpy as np

from edgetvm.oracle.dataset import Array


class Moments:
    """Sums over rows x ``[groups, rows, K]`` and y ``[groups, rows, N]``; float64.

    With ``second=False`` only the means are kept. x is shifted by `origin` before it is squared, so
    that single precision does: something near its mean, ``[groups, 1, K]``.
    """

    def __init__(
        self, groups: int, inputs: int, outputs: int, second: bool = True, origin: Array | None = None
    ) -> None:
        self.count = 0
        self.origin = np.zeros((groups, 1, inputs), np.float32) if origin is None else origin
        self._x = np.zeros((groups, inputs))
        self._y = np.zeros((groups, outputs))
        self._xx = np.zeros((groups, inputs, inputs)) if second else None
        self._yx = np.zeros((groups, outputs, inputs)) if second else None

    def add(self, x: Array, y: Array) -> None:
        """Add rows, float32: products are summed in single precision within one call."""
        x = x - self.origin
        self.count += x.shape[1]
        self._x += x.sum(axis=1, dtype=np.float64)
        self._y += y.sum(axis=1, dtype=np.float64)
        if self._xx is not None and self._yx is not None:
            self._xx += x.transpose(0, 2, 1) @ x
            self._yx += y.transpose(0, 2, 1) @ x

    def merged(self, other: Moments) -> Moments:
        """The moments of the rows of both, which have the same origin."""
        both = Moments(*self._x.shape, self._y.shape[1], second=False, origin=self.origin)
        both.count = self.count + other.count
        both._x, both._y = self._x + other._x, self._y + other._y
        if self._xx is not None and other._xx is not None:
            both._xx = self._xx + other._xx
        if self._yx is not None and other._yx is not None:
            both._yx = self._yx + other._yx
        return both

    @property
    def mean_x(self) -> Array:
        """``[groups, K]``."""
        mean: Array = self._shifted_mean + self.origin[:, 0]
        return mean

    @property
    def mean_y(self) -> Array:
        """``[groups, N]``."""
        return self._y / self.count

    @property
    def _shifted_mean(self) -> Array:
        return self._x / self.count

    @property
    def covariance_xx(self) -> Array:
        """``[groups, K, K]``, biased (divided by the count)."""
        assert self._xx is not None  # asked for second moments
        covariance: Array = self._xx / self.count - self._shifted_mean[:, :, None] * self._shifted_mean[:, None, :]
        return covariance

    @property
    def covariance_yx(self) -> Array:
        """``[groups, N, K]``."""
        assert self._yx is not None
        covariance: Array = self._yx / self.count - self.mean_y[:, :, None] * self._shifted_mean[:, None, :]
        return covariance
