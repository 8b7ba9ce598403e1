"""How a picture becomes the numbers a model takes: the `--preprocess` TOML and what it does."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgetvm.errors import DataError
from edgetvm.oracle.dataset import Array

CHANNELS = ("RGB", "BGR", "L")
LAYOUTS = ("NHWC", "NCHW")


@dataclass(frozen=True)
class Preprocess:
    """One `--preprocess` file.

    resize        shorter side, or (height, width), in pixels; None leaves the size
    crop          (height, width) cut from the centre after the resize; None leaves it whole
    channels      RGB, BGR or L (grey)
    mean, std     one number, or one a channel in the order of `channels`; value = (pixel - mean) / std, pixel 0..255
    layout        NHWC or NCHW
    label_offset  added to a label of labels.csv to give the model's class number
    """

    layout: str
    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    channels: str = "RGB"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    label_offset: int = 0


def read_preprocess(path: Path) -> Preprocess:
    """Read and check one file; every error names it and its key."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path} is not TOML: {error}") from error
    known = list(Preprocess.__dataclass_fields__)
    unknown = sorted(set(raw) - set(known))
    if unknown:
        raise DataError(f"{path}: unknown key '{unknown[0]}'", hint="keys are " + ", ".join(known))
    layout = _choice(path, "layout", raw.get("layout"), LAYOUTS)
    channels = _choice(path, "channels", raw.get("channels", "RGB"), CHANNELS)
    count = 1 if channels == "L" else 3
    resize = raw.get("resize")
    if resize is not None and not _is_size(resize):
        resize = _pair(path, "resize", resize)
    crop = raw.get("crop")
    if crop is not None:
        crop = (crop, crop) if _is_size(crop) else _pair(path, "crop", crop)
    std = _numbers(path, "std", raw.get("std", 1.0), count)
    if 0.0 in std:
        raise DataError(f"{path}: std holds 0, by which nothing can be divided")
    offset = raw.get("label_offset", 0)
    if type(offset) is not int:
        raise DataError(f"{path}: label_offset is {offset!r}, not a whole number")
    return Preprocess(layout, resize, crop, channels, _numbers(path, "mean", raw.get("mean", 0.0), count), std, offset)


def apply(rule: Preprocess, image: Image.Image) -> Array:
    """One picture as float32, ``[H, W, C]`` or ``[C, H, W]``."""
    picture = image.convert("L" if rule.channels == "L" else "RGB")
    if rule.resize is not None:
        height, width = _target_size(rule.resize, picture.height, picture.width)
        if (height, width) != (picture.height, picture.width):
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    if rule.crop is not None:
        height, width = rule.crop
        if height > picture.height or width > picture.width:
            raise DataError(f"{picture.height} x {picture.width} pixels are less than the crop of {height} x {width}")
        top, left = (picture.height - height) // 2, (picture.width - width) // 2
        picture = picture.crop((left, top, left + width, top + height))
    pixels = np.asarray(picture, dtype=np.float32).reshape(picture.height, picture.width, -1)
    if rule.channels == "BGR":
        pixels = pixels[:, :, ::-1]
    values: Array = (pixels - np.array(rule.mean, np.float32)) / np.array(rule.std, np.float32)
    return values if rule.layout == "NHWC" else values.transpose(2, 0, 1)


def _target_size(resize: int | tuple[int, int], height: int, width: int) -> tuple[int, int]:
    if isinstance(resize, tuple):
        return resize
    short = min(height, width)
    return max(1, round(height * resize / short)), max(1, round(width * resize / short))


def _is_size(value: Any) -> bool:
    return type(value) is int and value > 0


def _choice(path: Path, key: str, value: Any, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        what = "missing" if value is None else repr(value)
        raise DataError(f"{path}: {key} is {what}: it must be one of {', '.join(choices)}")
    return value


def _pair(path: Path, key: str, value: Any) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2 and all(map(_is_size, value)):
        return value[0], value[1]
    raise DataError(f"{path}: {key} is {value!r}: it must be a number of pixels or [height, width]")


def _numbers(path: Path, key: str, value: Any, count: int) -> tuple[float, ...]:
    values = value if isinstance(value, list) else [value]
    if len(values) not in (1, count) or not all(type(v) in (int, float) for v in values):
        raise DataError(f"{path}: {key} is {value!r}: it must be one number or {count}")
    return tuple(map(float, values))
