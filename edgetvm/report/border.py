"""Numbers and the codes that stand for them, where a package takes or gives quantized integers."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgetvm.deploy.package import Package, Tensor
from edgetvm.oracle.data import load_data
from edgetvm.oracle.dataset import Array, Dataset


def load_samples(
    path: Path, package: Package, preprocess: Path | None, samples: int | None = None, window: int | None = None
) -> Dataset:
    """`path` as data for a package. Numbers, except for arrays that hold the codes of a quantized input already."""
    given = _dtypes(path)
    inputs = [
        tensor if given.get(tensor.name, given.get("x")) == tensor.dtype else as_number_tensor(tensor)
        for tensor in package.inputs
    ]
    return load_data(path, inputs, preprocess, samples, window)


def as_number_tensor(tensor: Tensor) -> Tensor:
    """The tensor of numbers that the codes of a quantized one stand for; any other tensor as it is."""
    return tensor if tensor.scale is None else replace(tensor, dtype="float32")


def codes(tensor: Tensor, array: Array) -> Array:
    """What the package takes: ``clamp(rint(x / scale) + zero_point)`` of numbers, anything else as it is."""
    if tensor.scale is None or array.dtype.kind != "f":
        return array
    info = np.iinfo(tensor.dtype)
    steps = np.rint(array.astype(np.float32) / np.float32(tensor.scale)) + np.float32(tensor.zero_point or 0)
    return np.asarray(np.clip(steps, info.min, info.max).astype(tensor.dtype))


def numbers(tensor: Tensor, array: Array) -> Array:
    """What the package gives: ``(code - zero_point) * scale``; an output that is not quantized as it is."""
    if tensor.scale is None or array.dtype.kind not in "iu":
        return array
    difference = array.astype(np.int32) - np.int32(tensor.zero_point or 0)
    return np.asarray(difference.astype(np.float32) * np.float32(tensor.scale))


def _dtypes(path: Path) -> dict[str, str]:
    """The element types of the arrays of an `.npz` that are taken as they are; nothing for other files."""
    try:
        with np.load(path, allow_pickle=False) as file:
            names: Sequence[str] = file.files
            return {name: file[name].dtype.name for name in names} if "scale" not in names else {}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile):
        return {}
