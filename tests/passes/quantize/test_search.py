"""Parts of a quantized graph made otherwise: what stays, what it costs, and the search for the cheapest that holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetvm.importers.graph import Graph, Node
from edgetvm.importers.onnx import interface, read_graph
from edgetvm.oracle.data import load_data
from edgetvm.oracle.dataset import Dataset
from edgetvm.passes.quantize.affine import affine_of_range
from edgetvm.passes.quantize.layers import Layer
from edgetvm.passes.quantize.options import QuantizeOptions
from edgetvm.passes.quantize.post_training import quantize_graph
from edgetvm.passes.quantize.quantization import Quantization
from edgetvm.passes.quantize.search_damage import Reference, damages, dequantized, measured_values, some
from edgetvm.passes.quantize.search_drop import Sensitivity, _fewest, cheapest_mix
from edgetvm.passes.quantize.search_mixed import Mix, mixed_graph, only, rescaled
from edgetvm.passes.quantize.search_plain import unlearned
from edgetvm.passes.quantize.search_units import Unit, find_units
from edgetvm.passes.quantize.session import Session
from edgetvm.passes.quantize.weights import LayerWeights, bias_scale


@pytest.fixture(scope="module")
def data(digits: Path, demo_calibration: Path) -> Dataset:
    return some(load_data(demo_calibration, interface(read_graph(digits, {})[0])[0]), 20)


@pytest.fixture(scope="module")
def made(digits: Path, data: Dataset) -> Quantization:
    return quantize_graph(digits, data, QuantizeOptions(adaround=False))


def test_units_are_what_one_kernel_computes(made: Quantization) -> None:
    found = [tuple(node.op for node in unit.nodes) for unit in find_units(made.graph, made.places)]
    assert found == [("Conv", "Relu")] * 5 + [("ReduceMean",), ("Gemm",), ("Softmax",)]
    first, second = find_units(made.graph, made.places)[:2]
    assert first.reads == ("image",)
    assert second.reads == (first.output,) == ("relu",)
    assert first.names == {"node_Conv_81", "node_relu"}


def test_an_empty_mix_changes_nothing(made: Quantization) -> None:
    same = mixed_graph(made, Mix())
    assert same.nodes == made.result.nodes
    assert set(same.constants) == set(made.result.constants)
    assert all(np.array_equal(array, made.result.constants[name]) for name, array in same.constants.items())


def test_a_unit_alone_is_quantized(made: Quantization) -> None:
    unit = find_units(made.graph, made.places)[1]
    graph = only(made, unit)
    quantized = {node.inputs[0] for node in graph.nodes if node.op == "QuantizeLinear"}
    assert quantized == {*unit.reads, unit.output}
    weights = [n for n in graph.nodes if n.op == "DequantizeLinear" and n.inputs[0] in graph.constants]
    assert len(weights) == 2  # and its bias
    # with the very numbers that the whole model has
    kept = {n.name: n for n in made.result.nodes}
    for node in graph.nodes:
        if node.op == "QuantizeLinear":
            for here, there in zip(node.inputs[1:], kept[node.name].inputs[1:], strict=True):
                assert np.array_equal(graph.constants[here], made.result.constants[there])


def test_a_unit_with_int16_activations(made: Quantization) -> None:
    unit = find_units(made.graph, made.places)[2]
    graph = mixed_graph(made, Mix(int16_nodes=unit.names))
    dtypes = {n.inputs[0]: graph.types[n.outputs[0]].dtype for n in graph.nodes if n.op == "QuantizeLinear"}
    wide = {value for value, dtype in dtypes.items() if dtype == "int16"}
    # The pool moves what the unit made; the last softmax reads int16 whatever the scheme.
    assert wide == {"relu_1", "relu_2", "max_pool2d", "linear"}
    assert {dtype for value, dtype in dtypes.items() if value not in wide} == {"int8"}


def test_a_calibrator_for_one_tensor(digits: Path, data: Dataset, made: Quantization) -> None:
    mix = Mix(tensor_calibrators=(("relu_1", "minmax"),))
    from_the_start = quantize_graph(digits, data, mix.options(made.options))
    assert {t.name: t.calibrator for t in from_the_start.tensors}["relu_1"] == "minmax"
    high = made.histograms[made.places.group["relu_1"]].high
    for graph in (mixed_graph(made, mix), from_the_start.result):
        (pair,) = [n for n in graph.nodes if n.op == "QuantizeLinear" and n.inputs[0] == "relu_1"]
        assert graph.constants[pair.inputs[1]] == np.float32(affine_of_range(0.0, high).scale)


@given(st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=4), st.floats(1e-4, 1e2), st.floats(1e-4, 1e2))
def test_a_bias_keeps_its_value(bias: list[int], before: float, after: float) -> None:
    """In steps of another input scale: within half a step of the accumulator, whichever scales the weights get."""
    channels = len(bias)
    node = Node("Gemm", "", 13, "g", ("g",), ("x", "w", "b"), ("y",), {"transB": 1})
    graph = Graph(constants={"w": np.full((channels, 3), 0.5, np.float32)})
    scale = np.full(channels, 0.5 / 127, np.float32)
    weights = LayerWeights(np.full((channels, 3), 127, np.int8), scale, 0, np.array(bias, np.int32))
    changed = rescaled(graph, Layer(node, node, 0, 1), weights, before, after)
    assert changed.bias is not None and changed.bias.dtype == np.int32
    wanted = np.array(bias) * bias_scale(scale, before).astype(np.float64)
    steps = bias_scale(changed.scale, after).astype(np.float64)
    assert (np.abs(changed.bias * steps - wanted) <= steps * 0.5 * 1.001 + np.abs(wanted) * 1e-6).all()


def test_weights_that_know_nothing_of_each_other(digits: Path, data: Dataset) -> None:
    """The same, whatever was learned: rounded to the nearest, on the same scales of activations."""
    found = []
    for adaround, correction in ((True, "empirical"), (False, "none")):
        made = quantize_graph(digits, data, QuantizeOptions(adaround=adaround, bias_correction=correction))
        plain = unlearned(made, data)
        assert [node.name for node in plain.result.nodes] == [node.name for node in made.result.nodes]
        assert plain.affines == made.affines
        found.append(plain)
    for key, layer in found[0].layers.items():
        first, second = (plain.weights[key] for plain in found)
        assert np.array_equal(first.integers, second.integers)
        assert np.array_equal(first.bias, second.bias)
        weights = found[0].graph.constants[layer.weights]
        error = np.abs(first.real() - weights).reshape(len(weights), -1).max(axis=1)
        assert (error <= first.scale * 0.5001).all()


def test_damage_is_measured_before_the_softmax(made: Quantization) -> None:
    assert measured_values(made.graph) == ["linear"]


def test_damage_from_kept_values_is_that_of_whole_runs(made: Quantization, data: Dataset) -> None:
    units = {unit.name: only(made, unit) for unit in find_units(made.graph, made.places)}
    candidates = units | {"whole": made.result}
    few = some(data, 5)
    found = damages(made.graph, candidates, few)
    reference = Session(made.graph, made.graph.nodes, made.graph.inputs, ["linear"])
    for name, graph in candidates.items():
        value = dequantized(graph, "linear")
        session = Session(graph, graph.nodes, graph.inputs, [value])
        pairs = [(reference.run(s)["linear"], session.run(s)[value]) for s in few]
        noise = sum(float(((a - b).astype(np.float64) ** 2).sum()) for a, b in pairs)
        signal = sum(float((a.astype(np.float64) ** 2).sum()) for a, _ in pairs)
        assert found[name].noise == pytest.approx(noise / signal, rel=1e-3)
        assert Reference(made.graph, few).damage(graph).noise == pytest.approx(noise / signal, rel=1e-3)
        assert found[name].max_abs == pytest.approx(max(float(np.abs(a - b).max()) for a, b in pairs), rel=1e-3)


@given(st.integers(1, 60), st.integers(1, 70))
def test_the_fewest(most: int, needed: int) -> None:
    asked = []

    def holds(count: int) -> bool:
        asked.append(count)
        return count >= needed

    assert _fewest(most, holds) == (needed if needed <= most else None)
    assert all(1 <= count <= most for count in asked)
    assert len(asked) <= 2 * most.bit_length() + 2


NAMES = "abcdef"


def sensitivities(mended: str = "") -> list[Sensitivity]:
    """Units a to f, the first the most sensitive; int16 activations help those in `mended`."""
    units = [Unit((Node("Conv", "", 13, n, (n,), (), (n,), {}),), (), n) for n in NAMES]
    noises = [10.0**-number for number in range(len(units))]
    return [Sensitivity(u, n, n / 100 if u.name in mended else n) for u, n in zip(units, noises, strict=True)]


def holding(wide: str = "", real: str = "") -> Callable[[Mix], bool]:
    """Holds if the units `wide` have 16 bits or float, and the units `real` are float."""
    return lambda mix: set(wide) <= mix.int16_nodes | mix.float_nodes and set(real) <= mix.float_nodes


def chosen(mended: str, wide: str = "", real: str = "", int16: bool = True) -> tuple[str, str] | None:
    mix = cheapest_mix(sensitivities(mended)[::-1], holding(wide, real), int16)
    return None if mix is None else ("".join(sorted(mix.int16_nodes)), "".join(sorted(mix.float_nodes)))


def test_the_most_sensitive_get_16_bits() -> None:
    assert chosen("abcdef", wide="ab") == ("ab", "")


def test_float_where_int16_does_not_mend() -> None:
    assert chosen("b", wide="ab", real="a") == ("b", "a")


def test_units_that_do_not_matter_come_back() -> None:
    assert chosen("abcdef", wide="c") == ("c", "")


def test_float_where_int16_promised_too_much() -> None:
    assert chosen("abcdef", real="b") == ("", "b")


def test_float_at_once_without_int16() -> None:
    assert chosen("abcdef", real="ab", int16=False) == ("", "ab")


def test_nothing_holds() -> None:
    assert cheapest_mix(sensitivities(), lambda _: False) is None


@given(st.sets(st.sampled_from(NAMES), min_size=1), st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)))
def test_what_is_chosen_holds_and_no_unit_is_in_vain(wide: set[str], real: set[str], mended: set[str]) -> None:
    found = chosen("".join(mended), "".join(wide), "".join(real))
    assert found is not None
    int16, floats = map(set, found)
    assert floats == real
    assert int16 == wide - real
