"""Weights of 4 bits: which layers get them, how they are rounded, and that every kernel computes with them exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from onnx.helper import make_node as node

import edgetvm
from edgetvm.errors import DataError, EdgeTVMError, UnsupportedError
from edgetvm.oracle.dataset import Dataset
from edgetvm.passes.quantize.options import QuantizeOptions
from edgetvm.passes.quantize.post_training import quantize_model
from edgetvm.passes.quantize.weights import channel_scales, round_weights
from tests.importers.models import save
from tests.passes.quantize.models import SHAPE, dataset, outputs, separable, sqnr
from tests.tools import require_tool

INT4 = QuantizeOptions("int4")


def widths(path: Path) -> dict[str, int]:
    """Element types of integer weights, by name."""
    found = {tensor.name: tensor.data_type for tensor in onnx.load(path).graph.initializer}
    return {
        name.removesuffix("_weights_quantized"): kind for name, kind in found.items() if "weights_quantized" in name
    }


def test_dense_layers_and_pointwise_convolutions(tmp_path: Path) -> None:
    path = separable(tmp_path / "m.onnx")
    made = quantize_model(path, tmp_path / "q.onnx", dataset(), INT4)
    int4, int8 = onnx.TensorProto.INT4, onnx.TensorProto.INT8
    assert widths(made.path) == {"c0": int8, "c1": int8, "c2": int4, "l": int4}
    assert [(layer.node, layer.operator, layer.weights, layer.int4) for layer in made.int4] == [
        ("c2", "Conv", 48, True),
        ("l", "Gemm", 30, True),
    ]
    onnx.checker.check_model(str(made.path), full_check=True)
    held = dataset(8, seed=1)
    assert sqnr(outputs(path, held), outputs(made.path, held)) > 20
    assert made.sqnr_db is not None and made.sqnr_db > 15


def test_what_costs_too_much_keeps_int8(tmp_path: Path) -> None:
    """Weights that are small beside one that meets zeros: in 4 bits nothing would be left of them."""
    weights = np.random.default_rng(0).uniform(-1, 1, (16, 8)).astype(np.float32)
    weights[0] = 40
    nodes = [node("MatMul", ["x", "w"], ["h"], name="hard"), node("MatMul", ["h", "v"], ["y"], name="easy")]
    constants = {"w": weights, "v": np.random.default_rng(1).uniform(-1, 1, (8, 4)).astype(np.float32)}
    path = save(tmp_path / "m.onnx", nodes, {"x": [1, 16]}, ["y"], constants)

    def fetch(index: int) -> dict[str, np.ndarray]:
        x = np.random.default_rng(index).standard_normal((1, 16)).astype(np.float32)
        x[:, 0] = 0
        return {"x": x}

    made = quantize_model(path, tmp_path / "q.onnx", Dataset("rows", 16, fetch), INT4)
    hard, easy = made.int4
    assert (hard.node, hard.int4, easy.node, easy.int4) == ("hard", False, "easy", True)
    assert hard.sqnr_db < 15 < easy.sqnr_db
    assert widths(made.path)["hard"] == onnx.TensorProto.INT8


def test_named_layers_keep_int8(tmp_path: Path) -> None:
    options = QuantizeOptions("int4", int8_weights=frozenset(["c2"]))
    made = quantize_model(separable(tmp_path / "m.onnx"), tmp_path / "q.onnx", dataset(), options)
    assert [layer.int4 for layer in made.int4] == [False, True]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 20), rows=st.integers(1, 5), columns=st.integers(1, 40), zero=st.booleans())
def test_law_scales_err_no_more_than_those_of_the_largest_weight(
    seed: int, rows: int, columns: int, zero: bool
) -> None:
    weights = np.random.default_rng(seed).standard_normal((rows, columns))
    weights[0] *= 0 if zero else 1

    def error(scale: np.ndarray) -> np.ndarray:
        integers = round_weights(weights, scale, 0, bits=4)
        assert np.abs(integers).max() <= 7
        return ((integers * scale[:, None].astype(np.float64) - weights) ** 2).sum(1)

    widest = np.maximum(np.abs(weights).max(1) / 7, 2.0**-60).astype(np.float32)
    assert (error(channel_scales(weights, 0, None, 1.0, bits=4)) <= error(widest) * (1 + 1e-5) + 1e-12).all()


@pytest.mark.parametrize(
    ("target", "tool"),
    [
        ("host", None),
        ("cortex-a53", "qemu-aarch64"),
        *((board, "qemu-system-arm") for board in ("qemu-mps2-an385", "qemu-mps2-an386", "qemu-mps3-an547")),
    ],
)
def test_every_kernel_is_exact(target: str, tool: str | None, tmp_path: Path) -> None:
    if tool is not None:
        require_tool(tool)
    made = quantize_model(separable(tmp_path / "m.onnx"), tmp_path / "q.onnx", dataset(), INT4)
    assert edgetvm.compile(made.path, target, tmp_path / "package").verify(samples=3).integer_mismatches == 0


@pytest.mark.parametrize("target", ["cortex-m0plus", "cortex-m4", "cortex-m55"])
def test_flash_is_saved_unless_it_is_to_buy_speed(target: str, tmp_path: Path) -> None:
    weights = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    path = save(
        tmp_path / "m.onnx", [node("MatMul", ["x", "w"], ["y"], name="d")], {"x": [1, 64]}, ["y"], {"w": weights}
    )
    made = quantize_model(path, tmp_path / "q.onnx", dataset(shape=(1, 64)), INT4)
    size, speed = (
        edgetvm.compile(made.path, target, tmp_path / optimize, optimize=optimize).manifest["weight_bytes"]
        for optimize in ("balanced", "speed")
    )
    assert size < 64 * 64 / 2 + 1000 <= 64 * 64 <= speed


def test_a_model_without_such_layers(tmp_path: Path) -> None:
    weights = np.ones((4, 3, 3, 3), np.float32)
    path = save(
        tmp_path / "m.onnx", [node("Conv", ["x", "w"], ["y"], name="c")], {"x": list(SHAPE)}, ["y"], {"w": weights}
    )
    with pytest.raises(UnsupportedError, match=r"m\.onnx has no dense layer and no 1x1 convolution") as error:
        quantize_model(path, tmp_path / "q.onnx", dataset(), INT4)
    assert error.value.hint == "give --quantize int8" and "\n" not in error.value.message


def test_options_that_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="weights that stay int8 are for int4, int8 has no others"):
        QuantizeOptions(int8_weights=frozenset(["c2"]))
    path = separable(tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match=r"m\.onnx has no node 'nobody'"):
        quantize_model(
            path, tmp_path / "q.onnx", dataset(), QuantizeOptions("int4", int8_weights=frozenset(["nobody"]))
        )
    arguments = {"quantize": "int4", "calibration": "data.npz", "max_drop": 1.0}
    with pytest.raises(EdgeTVMError, match="--max-drop is for int8 and int8x16: which layers get int4"):
        edgetvm.compile(path, "host", tmp_path / "package", **arguments)  # type: ignore[arg-type]


def test_the_package_tells_which_layers(tmp_path: Path) -> None:
    path = separable(tmp_path / "m.onnx")
    np.savez(tmp_path / "data.npz", x=np.concatenate([sample["x"] for sample in dataset()]))
    package = edgetvm.compile(path, "host", tmp_path / "package", quantize="int4", calibration=tmp_path / "data.npz")
    assert [(layer["node"], layer["int4"]) for layer in package.manifest["options"]["int4"]["layers"]] == [
        ("c2", True),
        ("l", True),
    ]
    (held,) = (
        t
        for t in onnx.load(package.path / "reference" / "quantized.onnx").graph.initializer
        if t.name.startswith("l_weights_q")
    )
    assert np.abs(numpy_helper.to_array(held).astype(np.int8)).max() <= 7
