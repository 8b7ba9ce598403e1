"""Where pairs go, which values share a scale, and what the quantize-dequantize model looks like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import NodeProto, numpy_helper
from onnx.helper import make_node as node

from edgetvm.oracle.dataset import Dataset
from edgetvm.passes.quantize.affine import Affine
from edgetvm.passes.quantize.layers import find_layers
from edgetvm.passes.quantize.options import QuantizeOptions
from edgetvm.passes.quantize.places import Places, place
from edgetvm.passes.quantize.post_training import quantize_model
from tests.importers.models import save
from tests.passes.quantize.models import dataset, graph_of, separable

FLOATS = {"w": np.ones((4, 4), np.float32), "v": np.ones((4, 3, 1, 1), np.float32), "k": np.float32(0.25).reshape(())}


def placed(path: Path, **arguments: object) -> Places:
    graph = graph_of(path)
    return place(graph, find_layers(graph), **arguments)  # type: ignore[arg-type]


def test_no_pair_inside_a_kernel(tmp_path: Path) -> None:
    """c0, c1: before a rectifier; a: an addition before one. c2 has two readers, so it is a tensor of its own."""
    places = placed(separable(tmp_path / "m.onnx", clip=6.0))
    assert set(places.group) == {"x", "r0", "r1", "c2", "p", "r", "m", "f", "l", "y"}


def test_moves_share_the_scale_of_what_they_move(tmp_path: Path) -> None:
    places = placed(separable(tmp_path / "m.onnx"))
    assert places.group["p"] == places.group["c2"] and places.sources[places.group["p"]] == ["c2"]
    assert places.group["f"] == places.group["m"]
    assert places.fixed == {places.group["y"]: places.fixed[places.group["y"]]}
    assert (places.fixed[places.group["y"]].scale, places.fixed[places.group["y"]].zero_point) == (1 / 256, -128)


def test_activations_that_are_no_rectifiers_have_pairs_on_both_sides(tmp_path: Path) -> None:
    nodes = [node("Conv", ["x", "v"], ["c"]), node("HardSwish", ["c"], ["h"]), node("Clip", ["h", "k"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, {"x": [1, 3, 4, 4]}, ["y"], FLOATS)
    assert set(placed(path).group) == {"x", "c", "h", "y"}


def concat(path: Path, extra: bool) -> Path:
    """Two branches joined; with `extra` the first has another reader."""
    nodes = [
        node("Conv", ["x", "v"], ["a"], name="a"),
        node("Relu", ["x"], ["b"], name="b"),
        node("Concat", ["a", "b"], ["c"], axis=1, name="c"),
        *([node("Mul", ["a", "k"], ["z"], name="z")] if extra else []),
    ]
    return save(path, nodes, {"x": [1, 3, 4, 4]}, ["c", "z"] if extra else ["c"], FLOATS)


def test_inputs_of_concat_take_its_scale_if_nobody_else_minds(tmp_path: Path) -> None:
    places = placed(concat(tmp_path / "m.onnx", extra=False))
    assert places.group["a"] == places.group["b"] == places.group["c"]
    assert sorted(places.sources[places.group["c"]]) == ["a", "b"]
    places = placed(concat(tmp_path / "n.onnx", extra=True))
    assert places.group["a"] != places.group["c"] == places.group["b"]


def test_matmul_with_bias_is_one_layer(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["m"]),
        node("Add", ["b", "m"], ["a"]),
        node("MatMul", ["a", "a"], ["y"]),
    ]
    path = save(tmp_path / "m.onnx", nodes, {"x": [4, 4]}, ["y"], {**FLOATS, "b": np.ones(4, np.float32)})
    assert set(placed(path).group) == {"x", "a", "y"}


def test_float_nodes_read_and_write_float(tmp_path: Path) -> None:
    places = placed(separable(tmp_path / "m.onnx"), float_nodes=frozenset(["l", "y"]))
    assert {"l", "y"}.isdisjoint(places.group) and "f" in places.group


def logits(path: Path, *behind: NodeProto, outputs: Sequence[str]) -> Places:
    """A convolution whose result a Softmax reads, through a Transpose."""
    nodes = [node("Conv", ["x", "v"], ["c"]), node("Transpose", ["c"], ["t"]), node("Softmax", ["t"], ["s"]), *behind]
    return placed(save(path, nodes, {"x": [1, 3, 4, 4]}, outputs, FLOATS))


def test_what_the_last_softmax_reads_is_int16(tmp_path: Path) -> None:
    """Logits of 8 bits tie where two classes are close; the input and the probabilities stay int8."""
    places = logits(tmp_path / "m.onnx", outputs=["s"])
    assert places.wide == {places.group["t"]} == {places.group["c"]}
    assert places.fixed[places.group["s"]] == Affine(1 / 256, -128)


@pytest.mark.parametrize(
    ("behind", "outputs"),
    [
        ([node("Relu", ["s"], ["y"])], ["y"]),  # no output of the model: attention
        ([node("Relu", ["t"], ["y"])], ["s", "y"]),  # another kernel reads the logits
        ([], ["s", "t"]),  # they are an output themselves
    ],
)
def test_other_softmaxes_read_int8(behind: list[NodeProto], outputs: list[str], tmp_path: Path) -> None:
    assert not logits(tmp_path / "m.onnx", *behind, outputs=outputs).wide


def test_moves_at_the_border_stay_float(tmp_path: Path) -> None:
    """Alone, a Transpose gains nothing from integers; before a convolution it moves a quarter of the bytes."""
    nodes = [node("Transpose", ["x"], ["t"]), node("Exp", ["t"], ["y"])]
    assert placed(save(tmp_path / "m.onnx", nodes, {"x": [2, 3]}, ["y"])).group == {}


def parts(path: Path) -> tuple[onnx.ModelProto, dict[str, onnx.NodeProto], dict[str, np.ndarray]]:
    model = onnx.load(str(path))
    onnx.checker.check_model(model, full_check=True)
    makers = {output: n for n in model.graph.node for output in n.output}
    return model, makers, {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


@pytest.mark.parametrize("scheme", ["int8", "int8x16"])
def test_the_written_model(scheme: str, tmp_path: Path) -> None:
    made = quantize_model(
        separable(tmp_path / "m.onnx"), tmp_path / "q.onnx", dataset(), QuantizeOptions(scheme, equalize=False)
    )
    model, makers, constants = parts(made.path)
    assert model.opset_import[0].version == 21
    for n in model.graph.node:
        if n.op_type == "QuantizeLinear":
            wide = scheme == "int8x16" or n.input[0] == "l"
            assert constants[n.input[2]].dtype == (np.int16 if wide else np.int8)
            assert not wide or constants[n.input[2]] == 0
        if n.op_type in ("Conv", "Gemm"):
            weights, bias = (makers[name] for name in n.input[1:])
            held = constants[weights.input[0]]
            assert held.dtype == np.int8 and held.min() >= -127 and makers[n.input[0]].op_type == "DequantizeLinear"
            assert constants[bias.input[0]].dtype == np.int32 and not constants[bias.input[2]].any()
            scale = constants[makers[n.input[0]].input[1]] * constants[weights.input[1]]
            np.testing.assert_allclose(constants[bias.input[1]], scale, rtol=1e-6)
    assert makers["y"].op_type == "DequantizeLinear"


def test_operands_that_are_constant_are_int8(tmp_path: Path) -> None:
    nodes = [node("Mul", ["x", "k"], ["m"]), node("Conv", ["m", "v"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, {"x": [1, 3, 8, 8]}, ["y"], FLOATS)
    made = quantize_model(path, tmp_path / "q.onnx", dataset())
    model, makers, constants = parts(made.path)
    (mul,) = [n for n in model.graph.node if n.op_type == "Mul"]
    held = makers[mul.input[1]]
    value = (constants[held.input[0]].astype(float) - constants[held.input[2]]) * constants[held.input[1]]
    assert constants[held.input[0]].dtype == np.int8 and value == pytest.approx(0.25, rel=1e-6)


def test_dynamic_quantizes_dense_layers_only(tmp_path: Path) -> None:
    data: Dataset = dataset()
    made = quantize_model(separable(tmp_path / "m.onnx"), tmp_path / "q.onnx", data, QuantizeOptions("int8-dynamic"))
    model, _, _ = parts(made.path)
    operators = Counter(n.op_type for n in model.graph.node)
    assert operators["MatMulInteger"] == operators["DynamicQuantizeLinear"] == 1
    assert operators["Conv"] == 3 and "Gemm" not in operators and "QuantizeLinear" not in operators
    assert any(note.startswith("c0 (Conv) stays float") for note in made.notes)
