"""int8 depthwise convolution: exact in every shape, with every epilogue, and the rule fired."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.codegen.lower import build, lower
from edgetvm.schedule.rules.depthwise_dot import TapQuads
from edgetvm.target.load import load_target
from edgetvm.target.tvm_target import tvm_target
from tests.schedule.assembly import instructions
from tests.schedule.fenced import Fenced, run_fenced
from tests.schedule.int8_layers import EPILOGUES, Layer, pair
from tests.schedule.kernels import machine, run, schedule
from tests.schedule.reference import Window
from tests.schedule.test_dot_tile import SAME
from tests.tools import unavailable

TARGETS = ["cortex-a53", "cortex-a7", "cortex-a76", "host"]
FEW = settings(max_examples=3, deadline=None, derandomize=True)
CHANNELS = [1, 3, 7, 8, 16, 17, 24, 40]


def depthwise(
    x: tuple[int, int, int, int], window: Window, epilogue: str, largest: int | None = None, seed: int = 0
) -> Layer:
    return Layer(x, x[3], window, epilogue, groups=x[3], seed=seed, largest=largest)


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """Any window that fits: strides beyond the kernel, uneven pads, dilation, single pixels, batches."""
    height, width = draw(pair(st.sampled_from([1, 2, 5, 8])))
    pads = tuple(draw(st.integers(0, 2)) for _ in range(4))
    window = Window(draw(pair(st.integers(1, 4))), draw(pair(st.integers(1, 5))), pads, draw(pair(st.integers(1, 2))))
    if not window.fits(height, width):
        window = Window((1, 1), window.strides, window.pads)
    x = (draw(st.integers(1, 2)), height, width, draw(st.sampled_from(CHANNELS)))
    return depthwise(x, window, draw(st.sampled_from(EPILOGUES)), draw(st.sampled_from([None, 30, 127])))


def chosen() -> list[Layer]:
    """Layers in which every way through the rule is taken."""
    found = [depthwise((1, 6, 5, 24), SAME, epilogue) for epilogue in EPILOGUES]
    found += [depthwise((1, 5, 7, channels), SAME, "relu") for channels in CHANNELS]
    found += [depthwise((1, 5, 7, channels), Window((3, 3)), "requantize") for channels in CHANNELS]
    for strides in ((1, 1), (2, 2), (4, 3)):
        found.append(depthwise((2, 9, 7, 16), Window((2, 3), strides, (0, 1, 2, 0)), "relu"))
        found.append(depthwise((2, 9, 7, 19), Window((3, 3), strides, (2, 1, 0, 3), (2, 2)), "residual"))
    found.append(depthwise((1, 1, 1, 16), SAME, "requantize"))
    found.append(depthwise((1, 9, 9, 16), Window((7, 5), pads=(3, 2, 3, 2)), "requantize"))
    found.append(depthwise((1, 70, 70, 32), SAME, "relu"))  # several strips, large enough for threads
    return found


def check(cases: list[Layer], target: str) -> None:
    """All in one program: their outputs are numpy's, and nothing outside of a tensor is touched."""
    fenced = []
    for layer in cases:
        scheduled = schedule(layer.body, layer.inputs(), target)
        # With one channel it is a convolution, with one tap a product of elements.
        assert scheduled.rules == ["depthwise_int8"] or layer.x[3] == 1 or layer.window.kernel == (1, 1), layer
        fenced.append(Fenced(scheduled, layer.inputs()))
    for layer, found in zip(cases, run_fenced(fenced, target), strict=True):
        np.testing.assert_array_equal(found, layer.expected(layer.inputs()), err_msg=str(layer))


@pytest.mark.parametrize("target", TARGETS)
def test_every_way_through_the_rule(target: str) -> None:
    check(chosen(), target)


@FEW
@given(cases=st.lists(layers(), min_size=15, max_size=15), target=st.sampled_from(TARGETS))
def test_law(cases: list[Layer], target: str) -> None:
    check(cases, target)


@pytest.mark.parametrize("target", ["x86-64-v4", "x86-64-v3", "x86-64-v2", "x86-64-v3-vnni"])
def test_other_vectors_of_x86(target: str) -> None:
    """Scheduled for them, run here."""
    if machine("host").dot != "vpdpbusd":
        unavailable("this machine lacks the instruction")
    for layer in chosen()[len(EPILOGUES) - 1 :: 3]:
        scheduled = schedule(layer.body, layer.inputs(), target)
        assert scheduled.rules == ["depthwise_int8"] or layer.x[3] == 1, layer
        found = run(scheduled, layer.inputs())
        np.testing.assert_array_equal(found, layer.expected(layer.inputs()), err_msg=str(layer))


@pytest.mark.parametrize("shape", [(3, 3, 1, 16), (5, 2, 1, 7), (1, 4, 1, 33)])
def test_quads_of_taps(shape: tuple[int, int, int, int]) -> None:
    """Four rows of one column of one channel are neighbours."""
    weights = np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)
    i, j, _, channels = shape
    packed = TapQuads(16).pack(weights)
    for c in range(channels):
        column = packed[c // 16, :, :, c % 16].reshape(j, -1)
        np.testing.assert_array_equal(column[:, :i], weights[:, :, 0, c].T)
        assert not column[:, i:].any()


class AllLeast(Layer):
    """Every weight and every activation is -128."""

    def weights(self) -> np.ndarray:
        return np.full_like(super().weights(), -128)

    def inputs(self) -> list[np.ndarray]:
        return [np.full_like(x, -128) for x in super().inputs()]


@pytest.mark.parametrize("target", TARGETS)
def test_extreme_weights(target: str) -> None:
    """Two products of -128 by -128 do not fit 16 bits, many of small weights do."""
    sizes = [depthwise((1, 5, 6, 16), SAME, "bias", largest) for largest in (1, 28, 40, 63, 85, 127)]
    check([*sizes, AllLeast((1, 5, 6, 16), 16, SAME, "none", groups=16)], target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("channels", [3, 16, 24])
def test_borders_are_peeled_without_a_copy(target: str, channels: int) -> None:
    scratch = []
    for size in (3, 7):
        edge = size // 2
        window = Window((size, size), pads=(edge, edge, edge, edge))
        layer = depthwise((1, 12, 12, channels), window, "relu")
        scheduled = schedule(layer.body, layer.inputs(), target)
        scratch.append(sum(lower("kernel", scheduled.only.func, tvm_target(load_target(target))).workspaces))
        assert scratch[-1] or not re.search(r"\bif\b|if_then_else|Select", scheduled.only.func.script())
    assert scratch[0] == 0
    assert scratch[1] > 0  # a body for each of 49 places at the border would be too much code


@pytest.mark.parametrize("target", ["host", "cortex-a53"])
@pytest.mark.parametrize("size", [(18, 18, 96), (70, 70, 48)])
def test_threads_share_channels_or_rows(target: str, size: tuple[int, int, int]) -> None:
    """Rows where the image is larger than the first cache, else channels."""
    layer = depthwise((1, *size), SAME, "relu")
    text = schedule(layer.body, layer.inputs(), target).only.func.script()
    assert "T.parallel" in text
    check([layer], target)


@pytest.mark.parametrize(
    ("target", "channels", "register", "halves"),
    [("x86-64-v4-vnni", 16, "zmm", 1), ("x86-64-v4-vnni", 8, "ymm", 1), ("x86-64-v3-vnni", 16, "ymm", 2)],
)
def test_columns_are_multiplied_at_once(target: str, channels: int, register: str, halves: int) -> None:
    """Three products a pixel; a column takes two shuffles, for all pixels that see it."""
    layer = depthwise((1, 18, 18, channels), Window((3, 3)), "relu")
    compiler = tvm_target(load_target(target))
    kernel = lower("kernel", schedule(layer.body, layer.inputs(), target).only.func, compiler)
    text = build([kernel], compiler).inspect_source("asm")
    products = len(re.findall(rf"\tvpdpbusd\t.*%{register}", text))
    assert products == (8 + 1) * 3 * halves  # eight pixels, and what their sums start from
    assert len(re.findall(r"\tvpshufb\t", text)) <= 10 * halves


@pytest.mark.parametrize("target", ["cortex-a53", "host"])
def test_every_tile(target: str) -> None:
    """Blocks and pixels that leave some over, at borders and without one."""
    for layer in (
        depthwise((1, 4, 7, 40), SAME, "relu"),
        depthwise((1, 5, 9, 27), Window((3, 2), (1, 2)), "requantize"),
    ):
        free, inputs = schedule(layer.body, layer.inputs(), target), layer.inputs()
        tiles = sorted(free.only.tiles, key=lambda tile: (tile.columns, tile.pixels))
        assert len({tile.columns for tile in tiles}) == 2
        assert len({tile.pixels for tile in tiles}) >= 3
        few = tiles[:: max(len(tiles) // 4, 1)]
        fenced = [Fenced(schedule(layer.body, inputs, target, tile=tile), inputs) for tile in few]
        for tile, found in zip(few, run_fenced(fenced, target), strict=True):
            np.testing.assert_array_equal(found, layer.expected(inputs), err_msg=str(tile))


def test_instructions() -> None:
    layer = depthwise((1, 25, 5, 64), SAME, "relu", largest=127)
    used = instructions(schedule(layer.body, layer.inputs(), "cortex-a53"), "cortex-a53")
    assert used["smull"] > 0
    assert used["smlal"] > 0
    assert used["saddw"] > 0
    assert used["smulh"] == used["mul"] == 0  # requantization is done in vectors
