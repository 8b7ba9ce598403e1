"""int8 depthwise convolution by DSP instructions: exact in every shape, with every epilogue, and the rule fired."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

import edgetvm
from edgetvm.schedule.rules.depthwise_window import Line
from edgetvm.schedule.rules.paired_line import PairedLine, TapWords
from tests.passes.integer.qdq import Pair, Weights, write_model
from tests.schedule.assembly import instructions
from tests.schedule.fenced import Fenced, run_fenced
from tests.schedule.int8_layers import Layer
from tests.schedule.kernels import schedule
from tests.schedule.reference import Window
from tests.schedule.test_depthwise_int8 import AllLeast, chosen, depthwise, layers
from tests.schedule.test_dot_tile import SAME

TARGET = "cortex-m4"
RUNNER = "cortex-a7"  # has the same instructions, and an operating system under the emulator


def check(cases: list[Layer]) -> list[str]:
    """Outputs are numpy's, and nothing outside of a tensor is touched. Gives the rules."""
    scheduled = [schedule(layer.body, layer.inputs(), TARGET) for layer in cases]
    fenced = [Fenced(one, layer.inputs()) for one, layer in zip(scheduled, cases, strict=True)]
    for layer, found in zip(cases, run_fenced(fenced, RUNNER), strict=True):
        np.testing.assert_array_equal(found, layer.expected(layer.inputs()), err_msg=str(layer))
    return [one.rules[0] for one in scheduled]


def test_every_way_through_the_rule() -> None:
    strides = [Window((3, 4), (sy, sx), (1, 0, 1, 2)) for sy in (1, 2, 3) for sx in (1, 2)]
    cases = [
        *chosen(),
        *(depthwise((1, 8, 9, 5), window, "requantize") for window in strides),
        depthwise((1, 9, 9, 3), Window((3, 3), dilation=(2, 1)), "relu"),  # by columns
        depthwise((1, 40, 6, 2), Window((35, 1)), "bias"),  # more weights than are named at once
        AllLeast((1, 5, 6, 16), 16, SAME, "none", groups=16),
    ]
    for layer, rule in zip(cases, check(cases), strict=True):
        assert layer.window is not None
        apart = min(layer.window.dilation) > 1 and min(layer.window.kernel) > 1
        assert (rule == "dsp_depthwise") == (layer.x[3] > 1 and not apart), layer


@settings(max_examples=3, deadline=None, derandomize=True)
@given(cases=st.lists(layers(), min_size=15, max_size=15))
def test_law(cases: list[Layer]) -> None:
    check(cases)


@pytest.mark.parametrize(
    ("taps", "stride", "expected"),
    [(3, 1, 2), (3, 2, 2), (4, 1, 2.5), (5, 3, 3), (1, 1, 1), (2, 2, 1)],
)
def test_multiplications_of_an_output(taps: int, stride: int, expected: float) -> None:
    """Every tap is used once, at its own place."""
    paired = PairedLine(Line(taps, 0, stride, 1, None, 1), 6)
    assert paired.multiplications == expected
    for output in range(paired.together):
        used = []
        for product in paired.products(output):
            for half, tap in ((0, 0), (1, 1)) if product.halves is None else (product.halves,):
                used.append((2 * product.word + half, paired.pairs[product.pair] + tap))
        assert sorted(used) == [(output * stride + tap, tap) for tap in range(taps)]


@pytest.mark.parametrize("axis", [0, 1])
def test_weights_are_words_of_neighbouring_taps(axis: int) -> None:
    weights = np.random.default_rng(0).integers(-128, 128, (3, 3, 1, 5)).astype(np.int8)
    words = TapWords(axis, (0, 1)).pack(weights).view(np.int16).reshape(5, 3, 2, 2)
    taps = weights[:, :, 0] if axis == 0 else weights[:, :, 0].swapaxes(0, 1)
    for pair in (0, 1):
        np.testing.assert_array_equal(words[:, :, pair], taps[pair : pair + 2].transpose(2, 1, 0))


@pytest.mark.parametrize("pairs", [(0, 1), (0, 2), (0, 1, 2)])
def test_narrow_weights_are_bytes_of_two_words_each(pairs: tuple[int, ...]) -> None:
    weights = np.random.default_rng(0).integers(-128, 128, (max(pairs) + 2, 3, 1, 5)).astype(np.int8)
    words = TapWords(0, pairs).pack(weights).reshape(5, -1)
    narrow = TapWords(0, pairs, narrow=True).pack(weights)
    assert narrow.shape == (5, -(-words.shape[1] // 2))
    bytes_ = narrow.view(np.int8).reshape(5, -1, 2, 2)
    widened = np.ascontiguousarray(bytes_.swapaxes(2, 3).astype("<i2")).view("<i4").reshape(5, -1)
    np.testing.assert_array_equal(widened[:, : words.shape[1]], words)


def test_layouts_have_names_of_their_own() -> None:
    """Two layers may share their weights and pair them differently: joined kernels of mobilenet_v1_025 do."""
    layouts = [TapWords(0, (0, 1)), TapWords(0, (0, 2)), TapWords(1, (0, 2)), TapWords(0, (0, 2), narrow=True)]
    assert len({layout.label for layout in layouts}) == len(layouts)


def test_instructions() -> None:
    layer = depthwise((1, 25, 5, 64), SAME, "requantize")
    used = instructions(schedule(layer.body, layer.inputs(), TARGET), TARGET)
    assert used["smlad"] >= 2 * 3
    assert used["smlabt"]
    assert used["smlatb"]
    assert used["pkhbt"]
    assert used["ssat"]
    assert used["smull"] == 0


@pytest.mark.parametrize(("window", "over"), [(SAME, (0,)), (Window((3, 3), (2, 2)), ())])
def test_the_output_may_lie_over_an_image_of_its_shape(window: Window, over: tuple[int, ...]) -> None:
    layer = depthwise((1, 9, 9, 8), window, "requantize")
    assert schedule(layer.body, layer.inputs(), TARGET).only.overwrites == over


def test_outputs_written_over_their_image_are_the_same(tmp_path: Path) -> None:
    """Two layers on one block of bytes, images of a batch too."""
    rng = np.random.default_rng(0)
    codes = {f"w{i}": Weights(rng.integers(-128, 128, (16, 1, 3, 3)).astype(np.int8), Pair(0.01)) for i in (0, 1)}
    between = {"scale": np.float32(0.1), "zero": np.int8(-3)}
    nodes = [
        helper.make_node("Transpose", ["x"], ["image"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["image", "w0"], ["sum"], group=16, pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["sum", *between], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", *between], ["numbers"]),
        helper.make_node("Conv", ["numbers", "w1"], ["filtered"], group=16, pads=[1, 1, 1, 1]),
        helper.make_node("Transpose", ["filtered"], ["y"], perm=[0, 2, 3, 1]),
    ]
    shape = (2, 24, 20, 16)
    path = write_model(tmp_path / "m.onnx", {"x": (shape, Pair(0.05, 3))}, nodes, {"y": Pair(0.2)}, codes | between)
    package = edgetvm.compile(path, "qemu-mps2-an386", tmp_path / "p", integer_io=True)
    assert package.manifest["arena"]["bytes"] < 2 * np.prod(shape)
    assert package.verify(samples=1).integer_mismatches == 0
