"""Random data: reproducible, of the right dtype, and harmless as indices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgetvm.errors import DataError, ModelError
from edgetvm.oracle.float import reference_outputs
from edgetvm.oracle.random_data import random_data
from edgetvm.oracle.ranges import index_ranges
from tests.oracle.test_data import Input


def test_same_seed_same_bytes_in_any_order() -> None:
    inputs = [Input("a", (2, 3)), Input("b", (4,), "int8")]
    one, two = random_data(inputs, 5, seed=1), random_data(inputs, 9, seed=1)
    assert one.fetch(4)["a"].tobytes() == [s["a"].tobytes() for s in two][4]
    assert one.fetch(3)["b"].tobytes() == two.fetch(3)["b"].tobytes()
    assert one.fetch(0)["a"].tobytes() != one.fetch(1)["a"].tobytes()
    assert one.fetch(0)["a"].tobytes() != random_data(inputs, 1, seed=2).fetch(0)["a"].tobytes()


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("int8", -128, 127), ("uint8", 0, 255), ("int32", 0, 1), ("int64", 0, 1), ("uint16", 0, 1), ("bool", 0, 1)],
)
def test_integers_span_their_interval(dtype: str, low: int, high: int) -> None:
    values = random_data([Input("i", (10_000,), dtype)], 1).fetch(0)["i"]
    assert values.dtype == dtype
    assert (values.min(), values.max()) == (low, high)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_are_standard_normal(dtype: str) -> None:
    values = random_data([Input("i", (10_000,), dtype)], 1).fetch(0)["i"]
    assert values.dtype == dtype
    assert abs(values.mean(dtype=np.float64)) < 0.05
    assert abs(values.std(dtype=np.float64) - 1) < 0.05


def test_ranges() -> None:
    data = random_data([Input("t", (5000,), "int64"), Input("f", (5000,))], 1, ranges={"t": (3, 7), "f": (-2, -1)})
    assert set(data.fetch(0)["t"].tolist()) == {3, 4, 5, 6, 7}
    assert -2 <= data.fetch(0)["f"].min() < -1.99 < -1.01 < data.fetch(0)["f"].max() <= -1


def test_no_samples() -> None:
    with pytest.raises(DataError, match="0 random samples"):
        random_data([Input("i", (1,))], 0)


def lookup(path: Path, rows: int) -> Path:
    table = numpy_helper.from_array(np.ones((rows, 4), np.float32).astype(np.float16), "table")
    nodes = [
        helper.make_node("Cast", ["table"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["tokens"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["wide", "index"], ["out"], axis=0),
    ]
    graph = helper.make_graph(
        nodes,
        "lookup",
        [helper.make_tensor_value_info("tokens", TensorProto.INT32, [1, 50])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 50, 4])],
        [table],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def test_tokens_stay_in_the_table(tmp_path: Path) -> None:
    model = lookup(tmp_path / "lookup.onnx", rows=9)
    ranges = index_ranges(model)
    assert ranges == {"tokens": (0.0, 8.0)}
    tokens = Input("tokens", (1, 50), "int32")
    assert len(reference_outputs(model, random_data([tokens], 20, ranges=ranges))) == 20
    with pytest.raises(DataError, match="sample 0"):  # one more row and the reference itself refuses
        reference_outputs(model, random_data([tokens], 1, ranges={"tokens": (9, 9)}))


def test_range_of_an_embedding_model(assets: Path) -> None:
    assert index_ranges(assets / "minilm_l6" / "model.onnx")["input_ids"] == (0.0, 7373.0)  # rows of its table


def test_no_onnx_file(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_text("hello")
    with pytest.raises(ModelError, match=r"m\.onnx"):
        index_ranges(tmp_path / "m.onnx")
