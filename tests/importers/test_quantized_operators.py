"""Every operator on quantized tensors against ONNX Runtime, whose domain com.microsoft most of them are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.helper import make_node

import edgetvm
from edgetvm.errors import UnsupportedError
from edgetvm.importers.onnx import import_onnx, read_graph
from edgetvm.importers.unfold_operators import MICROSOFT, UNFOLD
from tests.importers.execute import expected
from tests.importers.quantized_models import run_all

X, Y, Z = ("x", "xs", "xz"), ("y", "ys", "yz"), ("os", "oz")  # two inputs, and scale and zero point of outputs


def write(
    path: Path,
    nodes: list[onnx.NodeProto],
    dtype: str,
    outputs: list[str],
    constants: dict[str, np.ndarray] | None = None,
    opset: int = 13,
) -> Path:
    """A model of the inputs x and y [1, 4, 6, 6], c (bool), m [5, 8] of codes."""
    rng = np.random.default_rng(0)
    shift = 128 if dtype == "uint8" else 0
    made = {
        **{name: np.array(value, np.float32) for name, value in (("xs", 0.03), ("ys", 0.05), ("os", 0.047))},
        **{name: np.array(value + shift, dtype) for name, value in (("xz", -7), ("yz", 11), ("oz", 3))},
        "w": rng.integers(0 + shift - 128, shift + 128, (6, 2, 3, 3)).astype(dtype),
        "ws": rng.uniform(0.002, 0.004, 6).astype(np.float32),
        "wz": np.full(6, shift, dtype),
        "b": rng.integers(-9000, 9000, 6).astype(np.int32),
        "k": rng.integers(0 + shift - 128, shift + 128, (8, 3)).astype(dtype),
        "ks": np.array(0.004, np.float32),
        "kz": np.array(shift + 5, dtype),
        "kb": rng.integers(-9000, 9000, 3).astype(np.int32),
        "softmax_s": np.array(1 / 256, np.float32),
        "softmax_z": np.array(shift - 128, dtype),
        **(constants or {}),
    }
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        nodes,
        "operators",
        [
            *[helper.make_tensor_value_info(name, kind, [1, 4, 6, 6]) for name in "xy"],
            helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, [1, 4, 6, 6]),
            helper.make_tensor_value_info("m", kind, [5, 8]),
        ],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in made.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def own(operator: str, inputs: tuple[str, ...], name: str, **attributes: Any) -> onnx.NodeProto:
    """A node of com.microsoft that writes `name`."""
    return make_node(operator, inputs, [name], name=name, domain=MICROSOFT, **attributes)


NODES = [
    own("QLinearAdd", (*X, *Y, *Z), "add"),
    own("QLinearMul", (*X, *Y, *Z), "mul"),
    own("QLinearSigmoid", (*X, "softmax_s", "softmax_z"), "sigmoid"),
    own("QLinearLeakyRelu", (*X, *Z), "leaky", alpha=0.1),
    own("QLinearAveragePool", (*X, *Z), "pool", kernel_shape=[3, 3], strides=[2, 1], pads=[1, 0, 0, 0]),
    own("QLinearAveragePool", (*X, *Z), "pool_last", kernel_shape=[3, 1], channels_last=1),
    own("QLinearGlobalAveragePool", (*X, *Z), "global", channels_last=0),
    own("QLinearGlobalAveragePool", (*X, *Z), "global_last", channels_last=1),
    own("QLinearConcat", (*Z, *X, *Y), "joined", axis=1),
    own("QLinearSoftmax", (*X, "softmax_s", "softmax_z"), "softmax", axis=-1, opset=13),
    own("QLinearSoftmax", (*X, "softmax_s", "softmax_z"), "softmax_rows", axis=2, opset=12),
    own("QLinearWhere", ("c", *X, *Y, *Z), "where"),
    own("QGemm", ("m", "xs", "xz", "k", "ks", "kz", "kb", *Z), "gemm"),
    own("QGemm", ("m", "xs", "xz", "k", "ks", "kz"), "gemm_real", alpha=0.5),
    own("DequantizeLinear", X, "real"),
    own("QuantizeLinear", ("real", "ys", "yz"), "codes"),
    make_node("QLinearConv", [*X, "w", "ws", "wz", *Z, "b"], ["conv"], name="conv", group=2, pads=[1, 0, 1, 2]),
    make_node("QLinearMatMul", ["m", "xs", "xz", "k", "ks", "kz", *Z], ["matmul"], name="matmul"),
    make_node("MaxPool", ["x"], ["largest"], name="largest", kernel_shape=[2, 2]),
    make_node("Transpose", ["x"], ["turned"], name="turned", perm=[0, 2, 3, 1]),
]


def test_every_operator_is_here() -> None:
    assert {(node.domain, node.op_type) for node in NODES} >= set(UNFOLD)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_as_onnx_runtime(dtype: str, tmp_path: Path) -> None:
    names = [node.output[0] for node in NODES]
    path = write(tmp_path / "model.onnx", NODES, dtype, names)
    package = edgetvm.compile(path, "host", tmp_path / "package", reference=False)
    rng = np.random.default_rng(1)
    info = np.iinfo(dtype)
    wrong = total = 0
    data = [
        {n: rng.integers(info.min, info.max + 1, s).astype(dtype) for n, s in package_inputs(package)}
        | {"c": rng.integers(0, 2, (1, 4, 6, 6)).astype(bool)}
        for _ in range(20)
    ]
    for inputs, have in zip(data, run_all(package, data), strict=True):
        for name, want in zip(names, expected(path, inputs), strict=True):
            assert (have[name].dtype, have[name].shape) == (want.dtype, want.shape)
            if want.dtype == np.float32:
                np.testing.assert_allclose(have[name], want, rtol=1e-6, atol=1e-6)
                continue
            units = np.abs(have[name].astype(int) - want.astype(int))
            assert units.max() <= 1, name
            wrong, total = wrong + int(units.sum()), total + units.size
    assert wrong < 1e-3 * total


def package_inputs(package: edgetvm.Package) -> list[tuple[str, list[int]]]:
    return [(entry["name"], entry["shape"]) for entry in package.manifest["inputs"] if entry["name"] != "c"]


def codes_of(path: Path, dtype: str) -> None:
    """Random codes give what they give in ONNX Runtime, but for a unit."""
    package = edgetvm.compile(path, "host", path.parent / "package", reference=False)
    rng = np.random.default_rng(1)
    info = np.iinfo(dtype)
    inputs = {n: rng.integers(info.min, info.max + 1, s).astype(dtype) for n, s in package_inputs(package)}
    if any(entry["name"] == "c" for entry in package.manifest["inputs"]):
        inputs["c"] = np.zeros((1, 4, 6, 6), bool)
    have = list(package.run(inputs).values())
    for found, want in zip(have, expected(path, inputs), strict=True):
        assert np.abs(found.astype(int) - want.astype(int)).max() <= 1


def test_old_opset_with_a_scale_for_each_channel(tmp_path: Path) -> None:
    node = next(node for node in NODES if node.op_type == "QLinearConv")
    path = write(tmp_path / "model.onnx", [node], "uint8", ["conv"], opset=10)
    graph, refusals = read_graph(path, {})
    assert not refusals
    assert {source for node in graph.nodes for source in node.sources} == {"conv"}
    codes_of(path, "uint8")


def test_in_a_branch(tmp_path: Path) -> None:
    """Inside an If; its weights stay integers."""
    conv = next(node for node in NODES if node.op_type == "QLinearConv")
    largest = make_node("ReduceMax", ["c_int"], ["any"], keepdims=0)
    bodies = [
        helper.make_graph([node], name, [], [onnx.ValueInfoProto(name=node.output[0])])
        for name, node in (("then", conv), ("else", onnx.NodeProto.FromString(conv.SerializeToString())))
    ]
    bodies[1].node[0].output[0] = bodies[1].output[0].name = "other"
    bodies[1].node[0].input[6] = "xs"
    nodes = [
        make_node("Cast", ["c"], ["c_int"], to=onnx.TensorProto.INT32),
        largest,
        make_node("Cast", ["any"], ["condition"], to=onnx.TensorProto.BOOL),
        make_node("If", ["condition"], ["out"], name="choose", then_branch=bodies[0], else_branch=bodies[1]),
    ]
    path = write(tmp_path / "model.onnx", nodes, "int8", ["out"])
    graph, refusals = read_graph(path, {})
    assert not refusals
    assert any(array.dtype == np.int8 and array.ndim == 4 for array in graph.constants.values())
    codes_of(path, "int8")


def test_sixteen_bits(tmp_path: Path) -> None:
    """What ONNX Runtime's domain quantizes to 16 bits in old opsets."""
    wide = {"ws16": np.array(2e-4, np.float32), "wz16": np.array(30000, np.uint16)}
    nodes = [
        own("DequantizeLinear", X, "real"),
        own("QuantizeLinear", ("real", "ws16", "wz16"), "wide"),
        own("DequantizeLinear", ("wide", "ws16", "wz16"), "again"),
        own("QuantizeLinear", ("again", "os", "oz"), "codes"),
    ]
    codes_of(write(tmp_path / "model.onnx", nodes, "uint8", ["wide", "codes"], wide), "uint8")


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (own("QLinearAdd", (*X, *Y), "add"), "malformed"),
        (own("QLinearAdd", ("x", "xs", "yz", *Y, "rows", "oz"), "add"), "more than one scale"),
        (own("QLinearMul", ("x", "grid", "xz", *Y, *Z), "mul"), "shape [6, 6]"),
        (own("QLinearAveragePool", (*X, *Z), "pool"), "kernel_shape"),
        (own("QLinearConcat", (*Z, *X, *Y), "joined"), "axis"),
        (own("QEmbedLayerNormalization", X, "other"), "no such operator"),
    ],
)
def test_refused_by_name(node: onnx.NodeProto, words: str, tmp_path: Path) -> None:
    constants = {"rows": np.full(6, 0.1, np.float32), "grid": np.full((6, 6), 0.1, np.float32)}
    path = write(tmp_path / "model.onnx", [node], "int8", [node.output[0]], constants)
    with pytest.raises(UnsupportedError) as caught:
        import_onnx(path)
    assert words in caught.value.message
    assert node.name in caught.value.message


def test_the_page_of_operators_lists_them_all() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "operators.md").read_text(encoding="utf-8")
    rows = page.partition("## Operators of quantized models")[2].splitlines()
    for domain, title in (("", "ai.onnx"), (MICROSOFT, MICROSOFT)):
        (row,) = [line for line in rows if line.endswith(f"| {title} |")]
        assert row.split("|")[1].strip().split(", ") == sorted(name for own, name in UNFOLD if own == domain)
