"""Numbers and the codes that stand for them, where a package takes or gives quantized integers, or takes pixels."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgetvm.deploy.package import Package, Tensor
from edgetvm.errors import DataError
from edgetvm.oracle.affine import codes_of, numbers_of
from edgetvm.oracle.data import load_data
from edgetvm.oracle.dataset import Array, Dataset
from edgetvm.oracle.pixels import Pixels, pixels_of
from edgetvm.oracle.preprocess import read_preprocess


def load_samples(
    path: Path, package: Package, preprocess: Path | None, samples: int | None = None, window: int | None = None
) -> Dataset:
    """`path` as data for a package. Numbers, except for arrays that hold the codes of a quantized input already."""
    if preprocess is not None:
        _check_pixels(package, preprocess)
    given = _dtypes(path)
    inputs = [
        tensor if given.get(tensor.name, given.get("x")) == tensor.dtype else as_number_tensor(tensor)
        for tensor in package.inputs
    ]
    return load_data(path, inputs, preprocess, samples, window)


def as_number_tensor(tensor: Tensor) -> Tensor:
    """The tensor of numbers that the codes of a quantized one stand for; any other tensor as it is."""
    quantized = tensor.scale is not None or tensor.pixels is not None
    return replace(tensor, dtype="float32") if quantized else tensor


def codes(tensor: Tensor, array: Array) -> Array:
    """What the package takes: ``clamp(rint(x / scale) + zero_point)`` of numbers, anything else as it is."""
    if tensor.pixels is not None and array.dtype.kind == "f":
        return tensor.pixels.pixels(array)
    if tensor.scale is None or array.dtype.kind != "f":
        return array
    return codes_of(array, np.asarray(tensor.scale, np.float32), np.asarray(tensor.zero_point or 0), tensor.dtype)


def numbers(tensor: Tensor, array: Array) -> Array:
    """What codes stand for: ``(code - zero_point) * scale``, or the numbers of pixels; floats as they are."""
    if tensor.pixels is not None and array.dtype.kind in "iu":
        return tensor.pixels.numbers(array)
    if tensor.scale is None or array.dtype.kind not in "iu":
        return array
    return numbers_of(array, np.asarray(tensor.scale, np.float32), np.asarray(tensor.zero_point or 0))


def _check_pixels(package: Package, preprocess: Path) -> None:
    """Refuse a file that makes other numbers of pixels than the one that the package was compiled with."""
    for tensor in package.inputs:
        given = pixels_of(read_preprocess(preprocess))
        if tensor.pixels is not None and given != tensor.pixels:
            raise DataError(
                f"{preprocess} makes other numbers of pixels than the file that {package.name} was compiled with",
                hint=f"it had {_text(tensor.pixels)}; this one has {_text(given)}",
            )


def _text(pixels: Pixels) -> str:
    layout = "NHWC" if pixels.axis == 3 else "NCHW"
    return f"{layout}, {pixels.channels}, mean {list(pixels.mean)}, std {list(pixels.std)}"


def _dtypes(path: Path) -> dict[str, str]:
    """The element types of the arrays of an `.npz` that are taken as they are; nothing for other files."""
    try:
        with np.load(path, allow_pickle=False) as file:
            names: Sequence[str] = file.files
            computed = "scale" in names or "offset" in names
            return {} if computed else {name: file[name].dtype.name for name in names}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile):
        return {}
