"""Pixels and their numbers: what preprocessing computes, back and forth, and what is no image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgetvm.errors import DataError
from edgetvm.oracle.pixels import Pixels, read_pixels
from edgetvm.oracle.preprocess import Preprocess, apply


@dataclass(frozen=True)
class Input:
    """An input of a model."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


NHWC, NCHW = Input("image", (1, 4, 5, 3)), Input("image", (1, 3, 4, 5))


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rule.toml"
    path.write_text(text)
    return path


def test_one_mean_and_std_are_spread_over_the_channels(tmp_path: Path) -> None:
    rule = written(tmp_path, 'layout = "NCHW"\nchannels = "BGR"\nmean = 127.5\nstd = [1, 2, 4]')
    assert read_pixels(rule, NCHW) == Pixels("BGR", 1, (127.5,) * 3, (1.0, 2.0, 4.0))
    rule = written(tmp_path, 'layout = "NHWC"\nchannels = "L"\nstd = 255')
    assert read_pixels(rule, Input("image", (1, 4, 5, 1))) == Pixels("L", 3, (0.0,), (255.0,))


def test_scale_and_zero_point_only_where_they_say_all() -> None:
    assert Pixels("L", 3, (128.0,), (64.0,)).affine == (1 / 64, 128)
    assert Pixels("RGB", 1, (0.0,) * 3, (255.0,) * 3).affine == (float(np.float32(1 / 255)), 0)
    for mean, std in (((127.5,) * 3, (1.0,) * 3), ((1.0, 1.0, 2.0), (1.0,) * 3), ((1.0,) * 3, (1.0, 1.0, 2.0))):
        assert Pixels("RGB", 1, mean, std).affine is None
    assert Pixels("L", 3, (256.0,), (1.0,)).affine is None


def test_the_numbers_are_those_of_preprocessing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    wanted = apply(Preprocess("NCHW", mean=mean, std=std), Image.fromarray(image))
    pixels = Pixels("RGB", 1, mean, std)
    np.testing.assert_array_equal(pixels.numbers(image.transpose(2, 0, 1)[None])[0], wanted)


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3)), min_size=3, max_size=3))
def test_every_pixel_comes_back(rows: list[tuple[float, float]]) -> None:
    mean, std = zip(*rows, strict=True)
    pixels = Pixels("RGB", 3, mean, std)
    image = np.arange(256).repeat(3).reshape(1, 16, 16, 3).astype(np.uint8)
    np.testing.assert_array_equal(pixels.pixels(pixels.numbers(image)), image)


def test_numbers_beyond_the_pixels_saturate() -> None:
    pixels = Pixels("L", 3, (128.0,), (1.0,))
    given_numbers = np.array([-1e9, -129, -127.6, 127.4, 200], np.float32).reshape(1, 1, 5, 1)
    assert pixels.pixels(given_numbers).ravel().tolist() == [0, 0, 0, 255, 255]


@pytest.mark.parametrize(
    ("text", "tensor", "message"),
    [
        ('layout = "NHWC"\nchannels = "L"', NHWC, "3 channels in NHWC; .* has L, 1"),
        ('layout = "NCHW"', NHWC, "4 channels in NCHW; .* has RGB, 3"),
        ('layout = "NHWC"', Input("x", (1, 640)), r"input 'x' is \[1, 640\]: an image has four dimensions"),
        ('layout = "NHWC"', Input("x", NHWC.shape, "uint8"), "input 'x' is uint8: pixels stand for numbers"),
        ('layout = "NHWC"\nstd = -1', NHWC, "std -1 makes the scale -1 of a pixel"),
        ('layout = "NHWC"\nstd = [1, 1e-12, 1]', NHWC, r"std 1e-12 makes the scale 1e\+12 of a pixel"),
        ('layout = "NHWC"\nstd = 1e300', NHWC, r"std 1e\+300 makes the scale 1e-300 of a pixel"),
        ('layout = "NHWC"\nmean = [0, nan, 0]', NHWC, "mean is nan, not a finite number"),
        ('layout = "NHWC"\nstd = inf', NHWC, "std is inf, not a finite number"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, text: str, tensor: Input, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_pixels(written(tmp_path, text), tensor)
    assert "\n" not in caught.value.message
