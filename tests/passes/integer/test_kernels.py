"""Kernels of the importer's own: functions of one element become tables, and moves move codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from tests.passes.integer.qdq import (
    Pair,
    Weights,
    assert_same_in_package,
    lowered,
    random_feed,
    run_interpreter,
    run_onnx,
    steps_from_onnx,
    write_model,
)

A, OUT = Pair(0.1, 3), Pair(0.07, -20)

FUNCTIONS: dict[str, dict[str, Any]] = {
    "Celu": {"alpha": 0.7},
    "Elu": {"alpha": 1.3},
    "HardSigmoid": {},
    "HardSwish": {},
    "LeakyRelu": {"alpha": 0.1},
    "Mish": {},
    "Selu": {},
    "Shrink": {"bias": 0.3, "lambd": 1.0},
    "Softplus": {},
    "Softsign": {},
    "ThresholdedRelu": {"alpha": 1.0},
}


def model(
    path: Path, op: str, shape: tuple[int, ...], pair: Pair, out: Pair, constants: dict[str, Any], **attributes: Any
) -> Path:
    names = ["x", *constants]
    nodes = [helper.make_node(op, [name if name != "none" else "" for name in names], ["y"], **attributes)]
    kept = {name: value for name, value in constants.items() if name != "none"}
    return write_model(path, {"x": (shape, pair)}, nodes, {"y": out}, kept)


def all_codes(pair: Pair) -> dict[str, np.ndarray]:
    info = np.iinfo(pair.dtype)
    codes = np.arange(info.min, info.max + 1)
    return {"x_in": ((codes - pair.zero) * np.float32(pair.scale)).astype(np.float32).reshape(1, 2, 2, -1)}


@pytest.mark.parametrize("op", FUNCTIONS)
@pytest.mark.parametrize("pair", [A, Pair(0.05, 200, "uint8"), Pair(1.5, -128)], ids=str)
def test_functions_of_every_code(tmp_path: Path, op: str, pair: Pair) -> None:
    path = model(tmp_path / "m.onnx", op, (1, 2, 2, 64), pair, OUT, {}, **FUNCTIONS[op])
    feed = all_codes(pair)
    assert max(steps_from_onnx(path, feed, [OUT])) <= 1
    assert np.mean(run_interpreter(path, feed)[0] != run_onnx(path, feed)[0]) <= 0.02  # ties, which go up here


def test_one_slope_of_prelu_is_a_table(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", "PRelu", (1, 2, 2, 64), A, OUT, {"s": np.full((1, 1, 1), 0.25, np.float32)})
    operators = [
        binding.value.op.name
        for block in lowered(path).model.module["main"].body.blocks
        for binding in block.bindings
        if hasattr(binding.value, "op")
    ]
    assert "edgetvm.lookup" in operators
    assert max(steps_from_onnx(path, all_codes(A), [OUT])) <= 1


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


MOVES: dict[str, tuple[str, tuple[int, ...], dict[str, np.ndarray], dict[str, Any]]] = {
    "nearest": (
        "Resize",
        (1, 3, 4, 5),
        {"none": ints(), "s": np.array([1, 1, 2, 1.6], np.float32)},
        {"mode": "nearest"},
    ),
    "backwards": ("Slice", (1, 3, 4, 5), {"a": ints(3), "b": ints(-100), "c": ints(2), "d": ints(-2)}, {}),
    "slice": ("Slice", (1, 3, 4, 5), {"a": ints(1), "b": ints(4), "c": ints(3), "d": ints(2)}, {}),
    "tile": ("Tile", (1, 3, 4, 5), {"r": ints(1, 2, 1, 3)}, {}),
    "gather": ("Gather", (7, 3), {"i": ints(1, -1, 6, 0)}, {}),
    "gather_elements": ("GatherElements", (7, 3), {"i": ints(1, 2, -1).reshape(1, 3)}, {}),
    "gather_nd": ("GatherND", (7, 3), {"i": ints(1, 2, 6, 0).reshape(2, 2)}, {}),
    "reflect": ("Pad", (1, 3, 4, 5), {"p": ints(0, 0, 1, 2, 0, 0, 2, 1)}, {"mode": "reflect"}),
    "edge": ("Pad", (1, 3, 4, 5), {"p": ints(0, 0, 1, 2, 0, 0, 2, 1)}, {"mode": "edge"}),
    "pad": ("Pad", (1, 3, 4, 5), {"p": ints(0, 0, 1, 2, 0, 0, 2, 1), "v": np.float32(0.7)}, {}),
    "crop": ("Pad", (1, 3, 4, 5), {"p": ints(0, 0, -1, 2, 0, 0, 2, 1), "v": np.float32(0.5)}, {}),
    "trilu": ("Trilu", (2, 4, 5), {}, {}),
    "depth_to_space": ("DepthToSpace", (1, 8, 3, 5), {}, {"blocksize": 2}),
    "space_to_depth": ("SpaceToDepth", (1, 3, 4, 6), {}, {"blocksize": 2}),
    "expand": ("Expand", (3, 1, 5), {"s": ints(2, 3, 4, 5)}, {}),
    "transpose": ("Transpose", (2, 3, 4), {}, {"perm": [2, 0, 1]}),
    "reverse": ("ReverseSequence", (4, 3), {"n": ints(1, 4, 2)}, {}),
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("pair", [A, Pair(0.1, 130, "uint8"), Pair(3e-4, 0, "int16")], ids=str)
def test_moves_are_exact(tmp_path: Path, move: str, pair: Pair) -> None:
    op, shape, constants, attributes = MOVES[move]
    if move == "pad" and pair.dtype == "int16":
        constants = {**constants, "v": np.float32(0.6)}
    path = model(tmp_path / "m.onnx", op, shape, pair, pair, constants, **attributes)
    feed = random_feed(np.random.default_rng(3), {"x": (shape, pair)})
    assert steps_from_onnx(path, feed, [pair]) == [0]


@pytest.mark.parametrize("move", ["nearest", "backwards", "reflect", "gather"])
def test_a_package_moves_codes(tmp_path: Path, move: str) -> None:
    op, shape, constants, attributes = MOVES[move]
    path = model(tmp_path / "m.onnx", op, shape, A, A, constants, **attributes)
    feed = random_feed(np.random.default_rng(3), {"x": (shape, A)})
    assert_same_in_package(path, feed, "host", tmp_path / "out")


def test_indices_of_run_time(tmp_path: Path) -> None:
    node = helper.make_node("Gather", ["x", "i"], ["y"])
    path = write_model(tmp_path / "m.onnx", {"x": ((7, 3), A), "i": ((4,), None)}, [node], {"y": A})
    feed = {**random_feed(np.random.default_rng(3), {"x": ((7, 3), A)}), "i": ints(1, -1, 6, 0)}
    assert steps_from_onnx(path, feed, [A]) == [0]


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_an_embedding_is_picked_from_in_codes(tmp_path: Path, dtype: str) -> None:
    rows = np.random.default_rng(0).integers(0, 100, (7, 3)).astype(dtype)
    node = helper.make_node("Gather", ["table", "i"], ["y"])
    constants = {"table": Weights(rows, Pair(0.03, 9, dtype))}
    path = write_model(tmp_path / "m.onnx", {"i": ((2, 2), None)}, [node], {"y": A}, constants)
    feed = {"i": ints(1, -1, 6, 0).reshape(2, 2)}
    assert max(steps_from_onnx(path, feed, [A])) <= 1
    assert_same_in_package(path, feed, "host", tmp_path / "out")


def test_an_embedding_of_floats_takes_the_quantization_of_what_is_picked(tmp_path: Path) -> None:
    node = helper.make_node("Gather", ["table", "i"], ["y"])
    constants = {"table": np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)}
    path = write_model(tmp_path / "m.onnx", {"i": ((2, 2), None)}, [node], {"y": A}, constants)
    assert steps_from_onnx(path, {"i": ints(1, -1, 6, 0).reshape(2, 2)}, [A]) == [0]


def test_a_table_moves_before_it_is_looked_up(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("HardSwish", ["x"], ["t"]),
        helper.make_node("Resize", ["t", "", "s"], ["y"], mode="nearest"),
    ]
    scales = {"s": np.array([1, 1, 2, 2], np.float32)}
    path = write_model(tmp_path / "m.onnx", {"x": ((1, 3, 4, 5), A)}, nodes, {"y": OUT}, scales)
    assert max(steps_from_onnx(path, random_feed(np.random.default_rng(3), {"x": ((1, 3, 4, 5), A)}), [OUT])) <= 1


def test_a_pad_with_a_number_that_no_code_stands_for_stays_in_float(tmp_path: Path) -> None:
    far = {"p": ints(0, 0, -1, 2, 0, 0, 2, 1), "v": np.float32(1e6)}
    path = model(tmp_path / "m.onnx", "Pad", (1, 3, 4, 5), A, A, far)
    assert [left.nodes for left in lowered(path).floats] == [("node0",)]


def test_a_function_of_16_bits_stays_in_float(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", "HardSwish", (3, 5), Pair(3e-4, 0, "int16"), OUT, {})
    (left,) = lowered(path).floats
    assert (left.operator, left.reason) == ("hard_swish", "it has no integer form")
