"""Which input elements, with which weights, make each output element of a resize along one axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .graph import Array, RefusedError


@dataclass(frozen=True)
class Taps:
    """For each output place: the input places it reads, their weights, and whether it lies outside."""

    places: Array  # [out, taps] int64
    weights: Array  # [out, taps] float64
    outside: Array  # [out] bool: takes the extrapolation value


@dataclass(frozen=True)
class Method:
    """The attributes of Resize that say how."""

    mode: str
    coordinates: str
    nearest: str
    cubic: float
    antialias: bool
    exclude_outside: bool


def resize_taps(method: Method, size: int, out: int, scale: float, roi: tuple[float, float]) -> Taps:
    """Taps of an axis of `size` elements resized to `out`."""
    x = source_coordinates(method.coordinates, size, out, scale, roi)
    outside = (x < 0) | (x > size - 1) if method.coordinates == "tf_crop_and_resize" else np.zeros(out, bool)
    if method.mode == "nearest":
        places = _nearest(method.nearest, x)[:, None]
        return Taps(np.clip(places, 0, size - 1), np.ones((out, 1)), outside)
    places, weights = _weighted(method, x, scale)
    if method.exclude_outside:
        weights = np.where((places < 0) | (places >= size), 0.0, weights)
        weights = weights / weights.sum(axis=1, keepdims=True)
    return Taps(np.clip(places, 0, size - 1), weights, outside)


def source_coordinates(mode: str, size: int, out: int, scale: float, roi: tuple[float, float]) -> Array:
    """Where each output place lies in the input."""
    y = np.arange(out, dtype=np.float64)
    length = scale * size  # the output's size before it was made an integer
    if mode == "half_pixel" or (mode == "pytorch_half_pixel" and out > 1):
        return (y + 0.5) / scale - 0.5
    if mode == "pytorch_half_pixel":
        return np.zeros(out)
    if mode == "half_pixel_symmetric":
        return size / 2 * (1 - out / length) + (y + 0.5) / scale - 0.5
    if mode == "asymmetric":
        return y / scale
    if mode == "align_corners":
        return y * (size - 1) / (length - 1) if length != 1 else np.zeros(out)
    if mode == "tf_crop_and_resize":
        start, end = roi
        if length == 1:
            return np.full(out, (start + end) * (size - 1) / 2)
        return start * (size - 1) + y * (end - start) * (size - 1) / (length - 1)
    raise RefusedError(f"coordinate_transformation_mode {mode} is not supported")


def _nearest(mode: str, x: Array) -> Array:
    rounded = {
        "round_prefer_floor": np.ceil(x - 0.5),
        "round_prefer_ceil": np.floor(x + 0.5),
        "floor": np.floor(x),
        "ceil": np.ceil(x),
    }
    if mode not in rounded:
        raise RefusedError(f"nearest_mode {mode} is not supported")
    return rounded[mode].astype(np.int64)


def _weighted(method: Method, x: Array, scale: float) -> tuple[Array, Array]:
    """Places around `x` and their weights, by the distance to them; antialias widens the kernel."""
    stretch = min(scale, 1.0) if method.antialias else 1.0
    reach = 1 if method.mode == "linear" else 2
    base = np.floor(x).astype(np.int64)
    first = int(np.floor(-reach / stretch)) + 1
    offsets = np.arange(first, 2 - first)
    places = base[:, None] + offsets[None, :]
    distance = np.abs(places - x[:, None]) * stretch
    weights = np.clip(1 - distance, 0, 1) if reach == 1 else _cubic(distance, method.cubic)
    if stretch < 1:
        weights = weights / weights.sum(axis=1, keepdims=True)
    return places, weights


def _cubic(x: Array, a: float) -> Array:
    """Keys' cubic convolution kernel."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
