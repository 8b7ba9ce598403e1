"""Read the user's data: an `.npz`, or a folder of images, as samples of a model's inputs."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgetvm.errors import DataError
from edgetvm.oracle.cut import Cut
from edgetvm.oracle.dataset import Array, Dataset, Sample, Tensor, describe
from edgetvm.oracle.images import load_images


def load_data(
    path: Path,
    inputs: Sequence[Tensor],
    preprocess: Path | None = None,
    samples: int | None = None,
    window: int | None = None,
) -> Dataset:
    """Open `path` as data for a model with `inputs`.

    `samples` keeps the first so many; `window` cuts each sample ``[T, F]`` into its
    ``T - window + 1`` flattened windows of `window` rows.
    """
    if samples is not None and samples < 1:
        raise DataError(f"{samples} samples of {path}: at least 1 is needed")
    if path.is_dir():
        if window is not None:
            raise DataError(f"{path} is a folder of images, which has no windows", hint="leave --window out")
        return load_images(path, inputs, preprocess, samples)
    if preprocess is not None:
        raise DataError(f"{path} is not a folder of images: {preprocess} has nothing to preprocess")
    arrays = _read_npz(path)
    names = [tensor.name for tensor in inputs]
    if len(inputs) == 1 and "x" in arrays:
        return _from_x(path, arrays, inputs[0], samples, window)
    missing = [name for name in names if name not in arrays]
    if missing:
        expected = "'x', or '" + names[0] + "'" if len(names) == 1 else "one array for each of " + ", ".join(names)
        found = ", ".join(sorted(arrays)) or "nothing"
        raise DataError(f"{path} has no array '{missing[0]}': it holds {found}", hint=f"the model takes {expected}")
    return _from_names(path, arrays, inputs, samples, window)


def _read_npz(path: Path) -> dict[str, Array]:
    if not path.exists():
        raise DataError(f"{path} does not exist")
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.lib.npyio.NpzFile):
            with file:
                return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be read as .npz: {error}") from error
    raise DataError(f"{path} is a single array (.npy)", hint="save it as x in an .npz: np.savez(file, x=...)")


def _from_x(path: Path, arrays: dict[str, Array], tensor: Tensor, samples: int | None, window: int | None) -> Dataset:
    """The compact form: one array `x`, the input is ``x * scale + offset``."""
    x = arrays["x"]
    count = _count(path, "x", x, samples)
    scaled = "scale" in arrays or "offset" in arrays
    wanted = np.dtype(tensor.dtype)
    if not scaled:
        _check_convertible(path, x, tensor)
    elif x.dtype.kind not in "biuf":
        raise DataError(f"{path}: x is {x.dtype}, which 'scale' and 'offset' cannot make float32")
    elif wanted.kind != "f":
        raise DataError(f"{path}: 'scale' and 'offset' make float32, input '{tensor.name}' is {wanted}")
    scale = _spread(path, "scale", arrays.get("scale", np.ones(())), x.shape)
    offset = _spread(path, "offset", arrays.get("offset", np.zeros(())), x.shape)
    cut = Cut(path, "x", x.shape[1:], tensor, window)

    def fetch(index: int) -> Sample:
        i, part = divmod(index, cut.windows)
        value = x[i]
        if scaled:
            value = value.astype(np.float32) * scale[i].astype(np.float32) + offset[i].astype(np.float32)
        return {tensor.name: cut(value, part)}

    return Dataset(str(path), count, fetch, cut.windows, _labels(path, arrays, len(x), count))


def _from_names(
    path: Path, arrays: dict[str, Array], inputs: Sequence[Tensor], samples: int | None, window: int | None
) -> Dataset:
    """One array a model input, by its name and in its dtype."""
    if window is not None and len(inputs) != 1:
        raise DataError(f"{path}: windows need a model with one input, this one has {len(inputs)}")
    total = len(arrays[inputs[0].name]) if arrays[inputs[0].name].ndim else 0
    count = _count(path, inputs[0].name, arrays[inputs[0].name], samples)
    cuts = []
    for tensor in inputs:
        array = arrays[tensor.name]
        if array.dtype != np.dtype(tensor.dtype):
            raise DataError(f"{path}: array '{tensor.name}' is {array.dtype}, the model's input is {tensor.dtype}")
        if array.ndim == 0 or len(array) != total:
            rows = len(array) if array.ndim else 0
            raise DataError(f"{path}: array '{tensor.name}' has {rows} samples, '{inputs[0].name}' has {total}")
        cuts.append(Cut(path, tensor.name, array.shape[1:], tensor, window))
    windows = cuts[0].windows

    def fetch(index: int) -> Sample:
        i, part = divmod(index, windows)
        return {t.name: cut(arrays[t.name][i], part) for t, cut in zip(inputs, cuts, strict=True)}

    named_y = any(tensor.name == "y" for tensor in inputs)
    return Dataset(str(path), count, fetch, windows, None if named_y else _labels(path, arrays, total, count))


def _spread(path: Path, name: str, array: Array, shape: tuple[int, ...]) -> Array:
    try:
        return np.broadcast_to(array, shape)
    except ValueError as error:
        raise DataError(
            f"{path}: '{name}' {describe(array.shape)} does not broadcast to x {describe(shape)}"
        ) from error


def _check_convertible(path: Path, x: Array, tensor: Tensor) -> None:
    wanted = np.dtype(tensor.dtype)
    if x.dtype == wanted or (wanted.kind == "f" and x.dtype.kind in "iuf"):
        return
    if wanted.kind in "iu" and x.dtype.kind in "iu":
        info = np.iinfo(wanted)
        low, high = (int(x.min()), int(x.max())) if x.size else (0, 0)
        if info.min <= low and high <= info.max:
            return
        raise DataError(f"{path}: x holds {low} to {high}, input '{tensor.name}' is {wanted}")
    raise DataError(f"{path}: x is {x.dtype}, input '{tensor.name}' of the model is {wanted}")


def _count(path: Path, name: str, array: Array, samples: int | None) -> int:
    if array.ndim == 0 or len(array) == 0:
        raise DataError(f"{path}: array '{name}' {describe(array.shape)} holds no samples")
    return len(array) if samples is None else min(samples, len(array))


def _labels(path: Path, arrays: dict[str, Array], total: int, count: int) -> Array | None:
    if "y" not in arrays:
        return None
    y = arrays["y"]
    if y.ndim == 0 or len(y) != total:
        raise DataError(f"{path}: y {describe(y.shape)} does not have one label for each of {total} samples")
    return y[:count]
