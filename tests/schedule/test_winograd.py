"""Winograd's convolution is right in every shape and way of sharing, and as exact as stated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

import edgetvm
from edgetvm.schedule.packing import WinogradPanels
from edgetvm.schedule.rules.winograd_transform import FORMS, Algebra, Winograd, transform_weights
from tests.importers.models import save
from tests.schedule import reference
from tests.schedule.fenced import Fenced, run_fenced
from tests.schedule.kernels import assert_close, run
from tests.schedule.reference import Window
from tests.schedule.winograd_layers import BOUND, EPILOGUES, PLAIN, layer, normal, planned

TARGETS = ("host", "x86-64-v3", "cortex-a53", "cortex-a7")
MANY = settings(max_examples=60, deadline=None, derandomize=True)


def numpy_algebra() -> Algebra:
    arithmetic: Any = (lambda value: value, lambda value, factor: value * factor)
    return Algebra(*arithmetic)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"F{form.outputs}")
def test_law_the_transforms_correlate(form: Winograd) -> None:
    """In two dimensions, in double precision."""
    rng = np.random.default_rng(0)
    d, g = rng.standard_normal((form.side, form.side)), rng.standard_normal((3, 3, 1, 1))

    def both(function: Any, values: np.ndarray) -> np.ndarray:
        down = np.array(function(numpy_algebra(), list(values)))
        return np.array(function(numpy_algebra(), list(down.T))).T

    u = transform_weights(form, g).reshape(form.side, form.side)
    found = both(form.output, u * both(form.input, d))
    wanted = reference.conv2d(d[None, :, :, None], g, Window((3, 3)))[0, :, :, 0]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


SIZES = st.sampled_from([1, 2, 3, 4, 5, 8, 9, 13])


@MANY
@given(
    data=st.data(),
    target=st.sampled_from(TARGETS),
    batch=st.integers(1, 3),
    sizes=st.tuples(SIZES, SIZES),
    channels=st.tuples(st.sampled_from([1, 3, 4, 7, 17, 24, 32]), st.sampled_from([1, 3, 7, 8, 17, 32, 40])),
)
def test_any_convolution(
    data: st.DataObject, target: str, batch: int, sizes: tuple[int, int], channels: tuple[int, int]
) -> None:
    pads = tuple(data.draw(st.integers(0, 3)) for _ in range(4))
    window = Window((3, 3), pads=pads if Window((3, 3), pads=pads).fits(*sizes) else (1, 1, 1, 1))
    form, epilogue = data.draw(st.sampled_from(FORMS)), data.draw(st.sampled_from(EPILOGUES))
    threads = data.draw(st.sampled_from([0, 1]))  # never, always
    choice, band, spans = (data.draw(st.integers(*limits)) for limits in ((0, 99), (1, 4), (1, 3)))
    with planned(form, choice, band, spans, parallel_operations=threads):
        scheduled, inputs, expected = layer(normal(batch, *sizes, channels[0]), channels[1], window, epilogue, target)
    assert scheduled.rules == ["winograd"]
    assert_close(run(scheduled, inputs), expected, BOUND[form.outputs])


def chosen() -> Iterator[tuple[Winograd, int, int, int, tuple[int, ...], int, Window, str]]:
    """Every way through the rule: (form, plan, band, spans, x, outputs, window, epilogue)."""
    uneven = Window((3, 3), pads=(2, 0, 1, 3))
    for form in FORMS:
        yield form, 0, 1, 1, (1, 8, 8, 16), 32, PLAIN, "residual"
        yield form, 5, 2, 1, (2, 13, 9, 17), 23, PLAIN, "bias"
        yield form, 9, 3, 1, (1, 9, 14, 7), 40, uneven, "residual"
        yield form, 0, 1, 3, (2, 9, 14, 7), 20, uneven, "residual"
        yield form, 2, 1, 1, (1, 1, 1, 3), 1, PLAIN, "none"
        yield form, 3, 1, 1, (1, 3, 3, 5), 8, Window((3, 3)), "bias"
        yield form, 4, 2, 1, (1, 7, 6, 8), 21, PLAIN, "swish"


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize("target", ["host", "cortex-a53", "cortex-a7"])
def test_nothing_is_read_or_written_outside(target: str, threads: int) -> None:
    """Every tensor ends where memory ends, and once begins where it begins; scratch is the kernel's own."""
    cases, wanted = [], []
    for form, choice, band, spans, shape, outputs, window, epilogue in chosen():
        with planned(form, choice, band, spans, parallel_operations=threads):
            scheduled, inputs, expected = layer(normal(*shape), outputs, window, epilogue, target)
        assert scheduled.rules == ["winograd"]
        cases.append(Fenced(scheduled, inputs))
        wanted.append(expected)
    for found, expected in zip(run_fenced(cases, target), wanted, strict=True):
        assert_close(found, expected, BOUND[4])


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"F{form.outputs}")
def test_the_error_of_many_channels(form: Winograd) -> None:
    """What `edgetvm verify` allows is 1e-4."""
    with planned(form, 0, 1):
        scheduled, inputs, expected = layer(normal(1, 16, 16, 512), 32, PLAIN, "none", "host")
    assert_close(run(scheduled, inputs), expected, BOUND[form.outputs])


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"F{form.outputs}")
def test_panels_hold_transformed_weights(form: Winograd) -> None:
    weights = normal(3, 3, 5, 20)
    packed = WinogradPanels(form.outputs, 8).pack(weights)
    assert packed.shape == (3, form.products, 5, 8)
    assert packed.dtype == np.float32
    whole = transform_weights(form, weights)
    np.testing.assert_array_equal(packed[1], whole[..., 8:16].astype(np.float32))
    np.testing.assert_array_equal(packed[2, ..., 4:], 0)


def test_a_residual_is_overwritten_once(tmp_path: Path) -> None:
    """Tiles at the border end where the image ends: what took the residual's place is not read again as one."""
    channels, size = 16, 13
    weights = {"w": normal(channels, channels, 3, 3), "u": normal(channels, channels, 1, 1)}
    nodes = [
        helper.make_node("MaxPool", ["x"], ["skip"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["x", "u"], ["first"], kernel_shape=[1, 1]),
        helper.make_node("Conv", ["first", "w"], ["second"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["second", "skip"], ["sum"]),
        helper.make_node("Conv", ["sum", "u"], ["y"], kernel_shape=[1, 1]),
    ]
    model = save(tmp_path / "residual.onnx", nodes, {"x": [1, channels, size, size]}, ["y"], weights)
    package = edgetvm.compile(model, "host", tmp_path / "package")
    assert "winograd" in [kernel["rule"] for kernel in package.manifest["kernels"]]
    assert package.verify(samples=3).passed
