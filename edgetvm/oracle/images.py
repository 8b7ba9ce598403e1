"""A folder of images, with an optional `labels.csv`, as samples of a model's one input."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from edgetvm.errors import DataError
from edgetvm.oracle.dataset import Array, Dataset, Sample, Tensor, describe
from edgetvm.oracle.preprocess import Preprocess, apply, read_preprocess

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")


def load_images(folder: Path, inputs: Sequence[Tensor], preprocess: Path | None, samples: int | None) -> Dataset:
    """Open `folder`; `preprocess` is the TOML that says how a picture becomes numbers."""
    if len(inputs) != 1:
        raise DataError(f"{folder} is a folder of images, the model has {len(inputs)} inputs", hint="give an .npz")
    if preprocess is None:
        raise DataError(
            f"{folder} is a folder of images: how they become numbers is not said",
            hint="give --preprocess FILE.toml (resize, crop, channels, mean, std, layout, label_offset)",
        )
    rule = read_preprocess(preprocess)
    table = folder / "labels.csv"
    if table.exists():
        files, numbers = _read_labels(table)
        labels: Array | None = np.asarray(numbers, dtype=np.int64) + rule.label_offset
    else:
        files = sorted(entry.name for entry in folder.iterdir() if entry.suffix.lower() in SUFFIXES)
        labels = None
    if not files:
        raise DataError(f"{folder} holds no images ({', '.join(SUFFIXES)})")
    files = files[:samples]
    tensor = inputs[0]

    def fetch(index: int) -> Sample:
        return {tensor.name: _read_image(folder / files[index], rule, tensor, str(preprocess))}

    fetch(0)  # a wrong shape or layout is said before any model is started
    return Dataset(str(folder), len(files), fetch, 1, None if labels is None else labels[: len(files)])


def _read_image(path: Path, rule: Preprocess, tensor: Tensor, preprocess: str) -> Array:
    try:
        with Image.open(path) as image:
            values = apply(rule, image)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image: {error}") from error
    except DataError as error:
        raise DataError(f"{path}: {error.message}", error.hint) from error
    shape = (1, *values.shape)
    if shape != tuple(tensor.shape):
        raise DataError(
            f"{path} becomes {describe(shape)} by {preprocess}, "
            f"input '{tensor.name}' of the model takes {describe(tensor.shape)}"
        )
    wanted = np.dtype(tensor.dtype)
    if wanted.kind in "iu":
        info = np.iinfo(wanted)
        values = np.rint(values)
        if values.min() < info.min or values.max() > info.max:
            raise DataError(
                f"{path} becomes values {values.min():g} to {values.max():g} by {preprocess}, "
                f"input '{tensor.name}' of the model is {wanted}"
            )
    return np.ascontiguousarray(values.reshape(shape), dtype=wanted)


def _read_labels(table: Path) -> tuple[list[str], list[int]]:
    files: list[str] = []
    labels: list[int] = []
    try:
        text = table.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{table} cannot be read: {error}") from error
    rows = csv.reader(text.splitlines())
    header = next(rows, [])
    if [cell.strip() for cell in header] != ["file", "label"]:
        raise DataError(f"{table}: line 1 is '{','.join(header)}', not 'file,label'")
    for row in rows:
        if not row:
            continue
        if len(row) != 2 or not row[1].strip().lstrip("-").isdecimal():
            raise DataError(f"{table}: line {rows.line_num} is '{','.join(row)}', not a file and a class number")
        if not (table.parent / row[0]).is_file():
            raise DataError(f"{table}: line {rows.line_num} names {row[0]}, which is not in {table.parent}")
        files.append(row[0])
        labels.append(int(row[1]))
    return files, labels
