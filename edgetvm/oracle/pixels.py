"""The bytes of a camera, and the numbers that a model takes for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgetvm.errors import DataError
from edgetvm.oracle.dataset import Array, Tensor, describe
from edgetvm.oracle.preprocess import Preprocess, read_preprocess

RANK = 4  # of an image
# Of 1 / std: far beyond any picture, and no product of a scale and a weight leaves float32.
_SMALLEST, _LARGEST = 2.0**-30, 2.0**30


@dataclass(frozen=True)
class Pixels:
    """An image input of uint8: ``number = (pixel - mean) / std``.

    channels   RGB, BGR or L, the order along `axis`
    mean, std  one a channel
    """

    channels: str
    axis: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def numbers(self, pixels: Array) -> Array:
        """float32, as `preprocess.apply` computes it."""
        mean, std = (self.along(values).astype(np.float32) for values in (self.mean, self.std))
        result: Array = (pixels.astype(np.float32) - mean) / std
        return result

    def pixels(self, numbers: Array) -> Array:
        """The pixel nearest to each number, uint8."""
        real = numbers * self.along(self.std) + self.along(self.mean)
        return np.asarray(np.clip(np.rint(real), 0, 255).astype(np.uint8))

    @property
    def affine(self) -> tuple[float, int] | None:
        """Scale and zero point, if one of each says what every pixel stands for."""
        mean = self.mean[0]
        if len({*self.mean}) > 1 or len({*self.std}) > 1 or not (0 <= mean <= 255 and mean == int(mean)):
            return None
        return float(np.float32(1 / self.std[0])), int(mean)

    def along(self, values: Sequence[float]) -> Array:
        """One value a channel, shaped to broadcast to the image."""
        return np.reshape(values, [-1 if axis == self.axis else 1 for axis in range(RANK)])


def read_pixels(preprocess: Path, tensor: Tensor) -> Pixels:
    """What the file `preprocess` makes of pixels for the input `tensor`; DataError if that is no image of its kind."""
    rule = read_preprocess(preprocess)
    if tensor.dtype != "float32":
        raise DataError(
            f"input '{tensor.name}' is {tensor.dtype}: pixels stand for numbers of a float32 input",
            hint="leave --input-type out",
        )
    held = f"input '{tensor.name}' is {describe(tensor.shape)}"
    if len(tensor.shape) != RANK:
        raise DataError(f"{held}: an image has four dimensions, {rule.layout}", hint="leave --input-type out")
    found = pixels_of(rule)
    if tensor.shape[found.axis] != len(found.mean):
        raise DataError(
            f"{held}, {tensor.shape[found.axis]} channels in {rule.layout}; "
            f"{preprocess} has {rule.channels}, {len(found.mean)}"
        )
    for key, value in [*(("mean", mean) for mean in found.mean), *(("std", std) for std in found.std)]:
        if not np.isfinite(value):
            raise DataError(f"{preprocess}: {key} is {value}, not a finite number")
    wrong = [std for std in found.std if not _SMALLEST <= 1 / std <= _LARGEST]
    if wrong:
        raise DataError(
            f"{preprocess}: std {wrong[0]:g} makes the scale {1 / wrong[0]:g} of a pixel, "
            f"which is not within {_SMALLEST:.0e} to {_LARGEST:.0e}"
        )
    return found


def pixels_of(rule: Preprocess) -> Pixels:
    """The part of a rule that is about the value of a pixel; of images ``[N, H, W, C]`` or ``[N, C, H, W]``."""
    count = len(rule.channels)
    mean, std = (tuple(np.broadcast_to(values, count).tolist()) for values in (rule.mean, rule.std))
    return Pixels(rule.channels, 3 if rule.layout == "NHWC" else 1, mean, std)
