"""One shift for many layers: as few as there can be, as precise as before, and equal layers are one function."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

import edgetvm
from edgetvm.importers.read import import_model
from edgetvm.operators.requantize import NAME
from edgetvm.passes.integer.calls import name_of
from edgetvm.passes.integer.lower import lower_to_integers
from edgetvm.passes.integer.share_shifts import fewest, scaled
from tests.passes.integer.qdq import Pair, Weights, write_model


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(33, 38), st.integers(0, 3)), max_size=4))
def test_law_as_few_as_there_can_be(drawn: list[tuple[int, int]]) -> None:
    ranges = [(low, low + more) for low, more in drawn]
    chosen = fewest(ranges)
    assert all(low <= one <= high for one, (low, high) in zip(chosen, ranges, strict=True))
    every = product(*(range(low, high + 1) for low, high in ranges))
    assert len(set(chosen)) == min(len(set(way)) for way in every)


def test_multipliers_are_rounded() -> None:
    assert scaled(np.array([5, 6, -6, -5, 1 << 30]), 2).tolist() == [1, 2, -1, -1, 1 << 28]


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dense layers of one shape and two of another, each of one scale that is its own."""
    rng = np.random.default_rng(0)
    constants: dict[str, object] = {"zero": np.int8(-128)}
    nodes, last = [], "x"
    for i, (inputs, outputs) in enumerate([(32, 48), (48, 32), (32, 48), (48, 32)]):
        weights = rng.integers(-128, 128, (inputs, outputs)).astype(np.int8)
        constants |= {f"w{i}": Weights(weights, Pair(0.004 * 3**i)), f"scale{i}": np.float32(0.1 * 1.4**i)}
        nodes += [
            helper.make_node("MatMul", [last, f"w{i}"], [f"sum{i}"]),
            helper.make_node("Relu", [f"sum{i}"], [f"positive{i}"]),
            helper.make_node("QuantizeLinear", [f"positive{i}", f"scale{i}", "zero"], [f"codes{i}"]),
            helper.make_node("DequantizeLinear", [f"codes{i}", f"scale{i}", "zero"], [f"numbers{i}"]),
        ]
        last = f"numbers{i}"
    nodes.append(helper.make_node("Relu", [last], ["y"]))
    folder = tmp_path_factory.mktemp("twins")
    return write_model(
        folder / "twins.onnx", {"x": ((1, 32), Pair(0.05, 3))}, nodes, {"y": Pair(0.1 * 1.4**3, -128)}, constants
    )


def test_layers_have_one_shift(twins: Path) -> None:
    module = lower_to_integers(import_model(twins), integer_io=True).model.module
    calls = [binding.value for block in module["main"].body.blocks for binding in block.bindings]
    requantized = [call for call in calls if name_of(call) == NAME]
    assert len(requantized) >= 4
    assert len({int(call.args[2].value.numpy().reshape(())) for call in requantized[:4]}) == 1
    assert len({int(call.args[1].value.numpy().reshape(())) for call in requantized[:4]}) == 4


@pytest.mark.parametrize("target", ["qemu-mps2-an386", "host"])
def test_layers_of_equal_shape_are_one_function(
    twins: Path, compiled: Callable[..., edgetvm.Package], target: str
) -> None:
    package = compiled(twins, target, integer_io=True)
    products = [call["kernel"] for call in package.manifest["calls"] if "matmul" in call["kernel"]]
    assert len(products) == 4
    assert len(set(products)) == 2
    assert len(package.manifest["kernels"]) == len({call["kernel"] for call in package.manifest["calls"]})
    assert package.verify(samples=3).integer_mismatches == 0
