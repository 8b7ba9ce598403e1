"""Rewrites of the graph: where they fire, what they must leave alone, and that values stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import NodeProto
from onnx.helper import make_node as node

from tests.importers.execute import agree, operators
from tests.importers.models import save

RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.uniform(0.5, 1.5, shape).astype(np.float32)


def conv_then(path: Path, following: list[NodeProto], constants: dict[str, np.ndarray], outputs: list[str]) -> Path:
    first = node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], name="conv")
    return save(path, [first, *following], {"x": [1, 3, 6, 6]}, outputs, {"w": floats(4, 3, 3, 3), **constants})


@pytest.mark.parametrize("operator", ["Mul", "Add", "Sub", "Div"])
@pytest.mark.parametrize("shape", [(), (1,), (4, 1, 1), (1, 4, 1, 1)])
def test_constant_for_each_channel_folds_into_convolution(
    operator: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    path = conv_then(tmp_path / "m.onnx", [node(operator, ["c", "k"], ["y"])], {"k": floats(*shape)}, ["y"])
    assert operators(path) == ["Conv"]
    agree(path)


def test_a_row_of_folds_ends_in_one_layer(tmp_path: Path) -> None:
    following = [
        node("Mul", ["c", "a"], ["m"]),
        node("Add", ["b", "m"], ["s"]),
        node("BatchNormalization", ["s", "g", "h", "e", "v"], ["y"]),
    ]
    constants = {"a": floats(4, 1, 1), "b": floats(4, 1, 1), **{name: floats(4) for name in "ghev"}}
    path = conv_then(tmp_path / "m.onnx", following, constants, ["y"])
    assert operators(path) == ["Conv"]
    agree(path)


def test_gemm_with_beta_and_transposed_weights(tmp_path: Path) -> None:
    nodes = [
        node("Gemm", ["x", "w", "b"], ["g"], alpha=0.5, beta=2.0, transB=1),
        node("Mul", ["g", "k"], ["m"]),
        node("Add", ["m", "k"], ["y"]),
    ]
    constants = {"w": floats(5, 7), "b": floats(5), "k": floats(5)}
    path = save(tmp_path / "m.onnx", nodes, {"x": [3, 7]}, ["y"], constants)
    assert operators(path) == ["Gemm"]
    agree(path)


def test_a_value_used_twice_keeps_its_layer(tmp_path: Path) -> None:
    following = [node("Mul", ["c", "k"], ["m"]), node("Add", ["c", "m"], ["y"])]
    path = conv_then(tmp_path / "m.onnx", following, {"k": floats(4, 1, 1)}, ["y"])
    assert operators(path) == ["Conv", "Mul", "Add"]
    agree(path)


def test_a_layer_that_is_an_output_stays(tmp_path: Path) -> None:
    path = conv_then(tmp_path / "m.onnx", [node("Mul", ["c", "k"], ["y"])], {"k": floats(4, 1, 1)}, ["c", "y"])
    assert operators(path) == ["Conv", "Mul"]
    agree(path)


def test_a_constant_along_another_axis_stays(tmp_path: Path) -> None:
    path = conv_then(tmp_path / "m.onnx", [node("Mul", ["c", "k"], ["y"])], {"k": floats(6, 1)}, ["y"])
    assert operators(path) == ["Conv", "Mul"]
    agree(path)


def test_a_zero_divisor_stays(tmp_path: Path) -> None:
    path = conv_then(tmp_path / "m.onnx", [node("Div", ["c", "k"], ["y"])], {"k": np.zeros((), np.float32)}, ["y"])
    assert operators(path) == ["Conv", "Div"]


def padded(path: Path, layer: NodeProto, value: float | None, pads: list[int]) -> Path:
    constants = {"pads": np.array(pads), "w": floats(4, 3, 3, 3)}
    if value is not None:
        constants["value"] = np.array(value, np.float32)
    pad = node("Pad", ["x", "pads", *(["value"] if value is not None else [])], ["p"])
    return save(path, [pad, layer], {"x": [1, 3, 6, 6]}, ["y"], constants)


FOLDABLE = [
    (node("Conv", ["p", "w"], ["y"], pads=[1, 0, 0, 1]), None),
    (node("Conv", ["p", "w"], ["y"], auto_pad="VALID"), 0.0),
    (node("AveragePool", ["p"], ["y"], kernel_shape=[3, 3]), 0.0),
    (node("AveragePool", ["p"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1), 0.0),
    (node("MaxPool", ["p"], ["y"], kernel_shape=[3, 3]), -np.inf),
]


@pytest.mark.parametrize(("layer", "value"), FOLDABLE)
def test_padding_folds_into_the_layer(layer: NodeProto, value: float | None, tmp_path: Path) -> None:
    path = padded(tmp_path / "m.onnx", layer, value, [0, 0, 1, 2, 0, 0, 0, 1])
    assert operators(path) == [layer.op_type]
    agree(path)


UNFOLDABLE = [
    (node("Conv", ["p", "w"], ["y"]), 1.0, [0, 0, 1, 1, 0, 0, 1, 1]),
    (node("Conv", ["p", "w"], ["y"], auto_pad="SAME_UPPER"), 0.0, [0, 0, 1, 1, 0, 0, 1, 1]),
    (node("Conv", ["p", "w"], ["y"]), 0.0, [0, 0, -1, 1, 0, 0, 1, 1]),
    (node("MaxPool", ["p"], ["y"], kernel_shape=[3, 3]), 0.0, [0, 0, 1, 1, 0, 0, 1, 1]),
    (node("AveragePool", ["p"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]), 0.0, [0, 0, 1, 1, 0, 0, 1, 1]),
    (node("AveragePool", ["p"], ["y"], kernel_shape=[3, 3]), 0.0, [1, 0, 1, 1, 0, 0, 1, 1]),
]


@pytest.mark.parametrize(("layer", "value", "pads"), UNFOLDABLE)
def test_padding_that_a_layer_cannot_do_stays(layer: NodeProto, value: float, pads: list[int], tmp_path: Path) -> None:
    path = padded(tmp_path / "m.onnx", layer, value, pads)
    assert operators(path) == ["Pad", layer.op_type]
    agree(path)


def written_out(order: int, swap: bool, one: float, root: float) -> tuple[list[NodeProto], dict[str, np.ndarray]]:
    """Erf-GELU with its three factors multiplied in one of their orders."""
    constants = {"root": np.float32(root), "one": np.float32(one), "half": np.float32(0.5)}
    factors = [["x", "a", "half"], ["x", "half", "a"], ["a", "half", "x"]][order]
    first = [factors[1], factors[0]] if swap else factors[:2]
    nodes = [
        node("Div", ["x", "root"], ["d"]),
        node("Erf", ["d"], ["e"]),
        node("Add", ["one", "e"] if swap else ["e", "one"], ["a"]),
        node("Mul", first, ["m"]),
        node("Mul", ["m", factors[2]], ["y"]),
    ]
    return nodes, {name: np.asarray(value) for name, value in constants.items()}


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("swap", [False, True])
def test_gelu_in_every_order(order: int, swap: bool, tmp_path: Path) -> None:
    nodes, constants = written_out(order, swap, 1.0, 2**0.5)
    path = save(tmp_path / "m.onnx", nodes, {"x": [3, 8]}, ["y"], constants)
    assert operators(path) == ["Gelu"]
    agree(path)


@pytest.mark.parametrize(("one", "root"), [(1.01, 2**0.5), (1.0, 1.414)])
def test_almost_gelu_stays_what_it_is(one: float, root: float, tmp_path: Path) -> None:
    nodes, constants = written_out(0, False, one, root)
    path = save(tmp_path / "m.onnx", nodes, {"x": [3, 8]}, ["y"], constants)
    assert operators(path) == ["Div", "Erf", "Add", "Mul", "Mul"]
    agree(path)


def test_hard_swish_and_swish(tmp_path: Path) -> None:
    constants = {"three": 3.0, "zero": 0.0, "six": 6.0, "top": 5.0}
    nodes = [
        node("Add", ["x", "three"], ["a"]),
        node("Clip", ["a", "zero", "six"], ["b"]),
        node("Mul", ["x", "b"], ["m"]),
        node("Div", ["m", "six"], ["h"]),
        node("HardSigmoid", ["h"], ["g"], alpha=1 / 6, beta=0.5),
        node("Mul", ["g", "h"], ["i"]),
        node("Sigmoid", ["i"], ["s"]),
        node("Mul", ["i", "s"], ["j"]),
        node("Add", ["j", "three"], ["k"]),
        node("Clip", ["k", "zero", "top"], ["l"]),
        node("Mul", ["j", "l"], ["n"]),
        node("Div", ["n", "six"], ["y"]),
    ]
    arrays = {name: np.array(value, np.float32) for name, value in constants.items()}
    path = save(tmp_path / "m.onnx", nodes, {"x": [3, 8]}, ["y"], arrays)
    assert operators(path) == ["HardSwish", "HardSwish", "Swish", "Add", "Clip", "Mul", "Div"]
    agree(path)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.sampled_from(["Mul", "Add", "Sub", "Div", "Relu", "BatchNormalization", "Pad"]), max_size=5),
    groups=st.sampled_from([1, 2]),
    transpose=st.booleans(),
)
def test_law_values_stay(kinds: list[str], groups: int, transpose: bool, tmp_path: Path) -> None:
    """Whatever row of foldable nodes follows a convolution and precedes the next one."""
    constants = {f"n{i}": floats(4) for i in range(4)} | {"pads": np.array([0, 0, 1, 0, 0, 0, 0, 1])}
    nodes = []
    last = "x"
    for index, kind in enumerate(["layer", *kinds, "layer"]):
        name = f"v{index}"
        if kind == "layer":
            operator = "ConvTranspose" if transpose else "Conv"
            constants[f"w{index}"] = floats(4, 4 // groups, 3, 3)
            nodes.append(node(operator, [last, f"w{index}"], [name], group=groups))
        elif kind == "BatchNormalization":
            nodes.append(node(kind, [last, "n0", "n1", "n2", "n3"], [name]))
        elif kind == "Pad":
            nodes.append(node(kind, [last, "pads"], [name]))
        elif kind == "Relu":
            nodes.append(node(kind, [last], [name]))
        else:
            constants[f"k{index}"] = floats(4, 1, 1)
            nodes.append(node(kind, [last, f"k{index}"], [name]))
        last = name
    path = save(tmp_path / "m.onnx", nodes, {"x": [1, 4, 7, 7]}, [last], constants)
    agree(path, tolerance=1e-4)
