"""Softmax and layer normalization in QDQ form become one integer operator, which requantizes inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.passes.integer.qdq import (
    Pair,
    assert_same_in_package,
    lowered,
    random_feed,
    steps_from_onnx,
    write_model,
)

PROBABILITY = Pair(1 / 256, -128)


def softmax_model(path: Path, shape: tuple[int, ...], axis: int, pair: Pair, out: Pair) -> Path:
    node = helper.make_node("Softmax", ["x"], ["y"], axis=axis)
    return write_model(path, {"x": (shape, pair)}, [node], {"y": out})


def norm_model(path: Path, shape: tuple[int, ...], axis: int, pair: Pair, out: Pair, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    factors = {name: rng.normal(size=shape[axis:]).astype(np.float32) for name in ("gamma", "beta")}
    node = helper.make_node("LayerNormalization", ["x", "gamma", "beta"], ["y"], axis=axis)
    return write_model(path, {"x": (shape, pair)}, [node], {"y": out}, factors)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    case=st.sampled_from([((3, 17), 1), ((2, 7, 3), 1), ((1, 3, 5, 7), -3), ((7,), 0), ((2, 1), -1)]),
    pair=st.sampled_from(
        [Pair(0.1, 3), Pair(1.7, -128), Pair(1e-3, 127), Pair(0.25, 255, "uint8"), Pair(3e-4, 0, "int16")]
    ),
    out=st.sampled_from([PROBABILITY, Pair(1 / 256, 0, "uint8"), Pair(2.0, 1), Pair(1 / 32768, 0, "int16")]),
    seed=st.integers(0, 1 << 31),
)
def test_softmax_is_within_a_unit_of_float(
    tmp_path_factory: pytest.TempPathFactory, case: tuple, pair: Pair, out: Pair, seed: int
) -> None:
    shape, axis = case
    path = softmax_model(tmp_path_factory.mktemp("softmax") / "m.onnx", shape, axis, pair, out)
    feed = random_feed(np.random.default_rng(seed), {"x": (shape, pair)})
    assert max(steps_from_onnx(path, feed, [out])) <= 1


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    case=st.sampled_from([((3, 17), -1), ((2, 7, 3), 1), ((1, 3, 5, 7), 2), ((7, 1), -1), ((5, 2), 1), ((2, 768), 1)]),
    pair=st.sampled_from(
        [Pair(0.1, 3), Pair(17.0, -128), Pair(1e-5, 127), Pair(0.25, 255, "uint8"), Pair(1e-3, 0, "int16")]
    ),
    out=st.sampled_from([Pair(0.03, -10), Pair(2.5, 127), Pair(1 / 32, 128, "uint8"), Pair(3e-4, 0, "int16")]),
    seed=st.integers(0, 1 << 31),
)
def test_layer_norm_is_within_a_unit_of_float(
    tmp_path_factory: pytest.TempPathFactory, case: tuple, pair: Pair, out: Pair, seed: int
) -> None:
    shape, axis = case
    path = norm_model(tmp_path_factory.mktemp("norm") / "m.onnx", shape, axis, pair, out, seed)
    feed = random_feed(np.random.default_rng(seed), {"x": (shape, pair)})
    assert max(steps_from_onnx(path, feed, [out])) <= 1


@pytest.mark.parametrize("target", ["host", "qemu-mps2-an386"])
def test_packages_compute_the_interpreters_bits(tmp_path: Path, target: str) -> None:
    pair = Pair(0.1, 3)
    softmax = softmax_model(tmp_path / "softmax.onnx", (2, 7, 3, 5), 1, pair, PROBABILITY)
    norm = norm_model(tmp_path / "norm.onnx", (2, 3, 17), -1, pair, Pair(0.03, -10))
    for path, shape in ((softmax, (2, 7, 3, 5)), (norm, (2, 3, 17))):
        feed = random_feed(np.random.default_rng(1), {"x": (shape, pair)})
        assert_same_in_package(path, feed, target, tmp_path / path.stem)


def test_layer_norm_with_factors_of_run_time_stays_in_float(tmp_path: Path) -> None:
    pair = Pair(0.1, 3)
    node = helper.make_node("LayerNormalization", ["x", "gamma"], ["y"], axis=-1)
    inputs = {"x": ((3, 5), pair), "gamma": ((5,), pair)}
    path = write_model(tmp_path / "m.onnx", inputs, [node], {"y": pair})
    assert any(left.nodes == ("node0",) for left in lowered(path).floats)
