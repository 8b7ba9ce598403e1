"""The walk from layer to layer: what a layer sees, the segments of a graph, and the corrections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx.helper import make_node as node

from edgetvm.passes.quantize.correct_bias import analytic_bias, mean_output
from edgetvm.passes.quantize.layers import find_layers
from edgetvm.passes.quantize.options import QuantizeOptions
from edgetvm.passes.quantize.patches import Patches
from edgetvm.passes.quantize.places import place
from edgetvm.passes.quantize.post_training import quantize_model
from edgetvm.passes.quantize.segments import cut, peak_bytes, run_segments
from edgetvm.passes.quantize.session import Session
from edgetvm.passes.quantize.weights import LayerWeights, channel_scales, round_bias, round_weights
from tests.importers.models import save
from tests.passes.quantize.models import dataset, graph_of, normal, outputs, separable, sqnr

HELD = dataset(8, seed=1)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    group=st.sampled_from([1, 2, 4]),
    strides=st.lists(st.integers(1, 3), min_size=2, max_size=2),
    dilations=st.lists(st.integers(1, 2), min_size=2, max_size=2),
    padding=st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID", [0, 1, 2, 1], [1, 1, 1, 1]]),
    seed=st.integers(0, 100),
)
def test_law_a_layer_is_its_patches_times_its_matrix(
    group: int, strides: list[int], dilations: list[int], padding: object, seed: int, tmp_path: Path
) -> None:
    """Against ONNX Runtime's convolution."""
    rng = np.random.default_rng(seed)
    if isinstance(padding, str):
        dilations = [1, 1]  # ONNX Runtime refuses others
    pads = {"auto_pad": padding} if isinstance(padding, str) else {"pads": padding}
    conv = node("Conv", ["x", "w"], ["y"], group=group, strides=strides, dilations=dilations, **pads)
    weights = normal(rng, 8, 4 // group, 3, 2)
    graph = graph_of(save(tmp_path / "m.onnx", [conv], {"x": [1, 4, 9, 11]}, ["y"], {"w": weights}))
    (layer,) = find_layers(graph).values()
    x = rng.standard_normal((1, 4, 9, 11)).astype(np.float32)
    y = Session(graph, graph.nodes, ["x"], ["y"]).run({"x": x})["y"]
    patches = Patches(graph, layer)
    positions = patches.choose(10, rng)
    found = patches.inputs(x, positions) @ patches.matrix(weights).transpose(0, 2, 1)
    np.testing.assert_allclose(found, patches.outputs(y, positions), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(patches.unmatrix(patches.matrix(weights)), weights)


@pytest.mark.parametrize("transposed", [0, 1])
def test_patches_of_a_dense_layer(transposed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = normal(rng, 5, 7).T.copy() if transposed else normal(rng, 5, 7)
    gemm = node("Gemm", ["x", "w"], ["y"], transB=transposed)
    graph = graph_of(save(tmp_path / "m.onnx", [gemm], {"x": [3, 5]}, ["y"], {"w": weights}))
    (layer,) = find_layers(graph).values()
    x = rng.standard_normal((3, 5)).astype(np.float32)
    patches = Patches(graph, layer)
    found = patches.inputs(x, np.arange(3)) @ patches.matrix(weights).transpose(0, 2, 1)
    y = Session(graph, graph.nodes, ["x"], ["y"]).run({"x": x})["y"]
    np.testing.assert_allclose(found[0], y, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(patches.unmatrix(patches.matrix(weights)), weights)


def test_segments_compute_what_the_whole_computes(tmp_path: Path) -> None:
    graph = graph_of(separable(tmp_path / "m.onnx"))
    targets = ["c0", "c1", "c2", "l"]
    whole = Session(graph, graph.nodes, ["x"], targets)
    samples = [dict(sample) for sample in HELD]
    wanted = [whole.run(sample) for sample in HELD]
    segments = cut(graph, targets)
    assert [len(s.nodes) for s in segments] == [1, 2, 2, 6]
    for target, _ in zip(targets, run_segments(graph, segments, samples), strict=True):
        for sample, want in zip(samples, wanted, strict=True):
            np.testing.assert_array_equal(sample[target], want[target])
            assert len(sample) <= 3
    assert peak_bytes(graph, segments) == 4 * 8 * 8 * (8 + 8)


def test_scales_hold_the_largest_weight_and_the_bias() -> None:
    weights = np.array([[1.0, -2.0], [0.0, 0.0], [1e-9, 1e-9]])
    scale = channel_scales(weights, 0, np.array([0.0, 5.0, 5.0]), 0.01)
    assert scale[0] == np.float32(2 / 127)
    np.testing.assert_array_equal(round_weights(weights, scale, 0)[0], [64, -127])
    np.testing.assert_allclose(round_bias(np.full(3, 5.0), scale, 0.01) * (scale * 0.01), 5.0, rtol=1e-3)


@settings(deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), exponent=st.floats(-30, 30))
def test_law_weights_err_half_a_step(seed: int, exponent: float) -> None:
    weights = np.random.default_rng(seed).standard_normal((4, 3, 2)) * 2.0**exponent
    for axis in (0, 1, None):
        scale = channel_scales(weights, axis, None, 1.0)
        held = LayerWeights(round_weights(weights, scale, axis), scale, axis)
        assert np.abs(held.real() - weights).max() <= 0.5001 * scale.max()
        assert np.abs(held.integers.astype(int)).max() == 127


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose", "Gemm"])
@pytest.mark.parametrize("group", [1, 2])
def test_analytic_correction_restores_the_mean(operator: str, group: int, tmp_path: Path) -> None:
    """Without padding the mean of an output follows from the means of the inputs, exactly."""
    rng = np.random.default_rng(0)
    dense = operator == "Gemm"
    attributes = {} if dense else {"group": group}
    shape = {"Gemm": (6, 4), "ConvTranspose": (6, 4 // group, 1, 1), "Conv": (4, 6 // group, 1, 1)}[operator]
    constants = {"w": normal(rng, *shape), "b": normal(rng, 4)}
    size = [20, 6] if dense else [1, 6, 5, 4]
    graph = graph_of(
        save(tmp_path / "m.onnx", [node(operator, ["x", "w", "b"], ["y"], **attributes)], {"x": size}, ["y"], constants)
    )
    (layer,) = find_layers(graph).values()
    x = rng.standard_normal(size).astype(np.float32) + 1
    mean = x.mean(axis=0) if dense else x.mean(axis=(0, 2, 3))
    y = Session(graph, graph.nodes, ["x"], ["y"]).run({"x": x})["y"]
    wanted = y.mean(axis=0) if dense else y.mean(axis=(0, 2, 3))
    weights = graph.constants[layer.weights]
    np.testing.assert_allclose(mean_output(weights, layer, mean) + constants["b"], wanted, rtol=1e-4, atol=1e-5)
    scale = channel_scales(weights, layer.axis, None, 1.0) * 8  # coarse
    held = LayerWeights(round_weights(weights, scale, layer.axis), scale, layer.axis)
    bias = analytic_bias(graph, layer, held, mean)
    assert bias is not None
    np.testing.assert_allclose(mean_output(held.real(), layer, mean) + bias, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bias_correction", ["none", "analytic", "empirical"])
@pytest.mark.parametrize("adaround", [False, True])
def test_every_combination_quantizes(bias_correction: str, adaround: bool, tmp_path: Path) -> None:
    path = separable(tmp_path / "m.onnx", clip=6.0)
    options = QuantizeOptions(bias_correction=bias_correction, adaround=adaround)
    made = quantize_model(path, tmp_path / "q.onnx", dataset(), options)
    assert sqnr(outputs(path, HELD), outputs(made.path, HELD)) > 25


def test_learning_helps_where_activations_are_fine(tmp_path: Path) -> None:
    path = separable(tmp_path / "m.onnx", uneven=True)
    ratios = []
    for adaround in (False, True):
        options = QuantizeOptions("int8x16", adaround=adaround, bias_correction="none")
        made = quantize_model(path, tmp_path / "q.onnx", dataset(64), options)
        ratios.append(sqnr(outputs(path, HELD), outputs(made.path, HELD)))
    assert ratios[1] > ratios[0]


def test_only_integers_of_activations_cross_between_layers(tmp_path: Path) -> None:
    """Memory: a quantized activation waits as int8, not as float32."""
    from edgetvm.passes.quantize.affine import Affine
    from edgetvm.passes.quantize.insert_pairs import insert_pairs

    graph = graph_of(separable(tmp_path / "m.onnx"))
    layers = find_layers(graph)
    places = place(graph, layers)
    quantized = insert_pairs(graph, places, layers, dict.fromkeys(places.sources, Affine(0.1, 0)), {})
    segments = cut(quantized, ["r0_quantized", "r1_quantized"])
    assert segments[1].inputs == ["r0_quantized"]
    assert peak_bytes(quantized, segments[1:]) == 8 * 8 * (8 + 8)
