"""Integer layers whose activations are quantized at run time, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_node

import edgetvm
from edgetvm.errors import UnsupportedError
from edgetvm.importers.onnx import import_onnx
from tests.importers.execute import expected, imported
from tests.importers.models import save
from tests.importers.quantized_models import NETS, dynamic, operators, run_all, samples

BOUNDED = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CODES = st.sampled_from(["uint8", "int8"])


@pytest.mark.parametrize("weights", ["QInt8", "QUInt8"])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("net", ["dense", "residual"])
def test_as_onnx_runtime(net: str, weights: str, per_channel: bool, tmp_path: Path) -> None:
    path = dynamic(NETS[net](tmp_path / "float.onnx"), tmp_path / "model.onnx", weights, per_channel)
    assert "DynamicQuantizeLinear" in operators(path)
    package = edgetvm.compile(path, "host", tmp_path / "package", reference=False)
    data = list(samples(path, 10, seed=1))
    for inputs, have in zip(data, run_all(package, data), strict=True):
        want = expected(path, inputs)[0]
        # A sum in another order may tip the code of an activation: far less than the step of a weight's.
        np.testing.assert_allclose(have["y"], want, atol=2e-3 * float(np.abs(want).max()), rtol=0)


def test_a_dense_layer_is_five_kernels(tmp_path: Path) -> None:
    """The least and the largest of each row of its input, its range, its codes, and the product with what follows."""
    path = dynamic(NETS["dense"](tmp_path / "float.onnx"), tmp_path / "model.onnx", "QInt8", per_channel=True)
    package = edgetvm.compile(path, "host", tmp_path / "package", reference=False)
    calls = [call["nodes"] for call in package.manifest["calls"]]
    product = [nodes for nodes in calls if "bias" in nodes]
    assert len(product) == 1
    assert {"first_quant", "relu", "first_quant_output_scale_mul"} <= set(product[0])
    assert calls.index(product[0]) == 4


def test_layers_of_one_input_read_the_same_codes(tmp_path: Path) -> None:
    """uint8 codes are made signed once, in the kernel that makes them."""
    rng = np.random.default_rng(0)
    nodes, constants = [make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], name="quantize")], {}
    for name in "abc":
        constants[name] = codes(rng, "int8", 16, 8)
        nodes.append(make_node("MatMulInteger", ["q", name, "z"], [f"y{name}"], name=name))
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 16])],
        [helper.make_tensor_value_info(f"y{name}", TensorProto.INT32, [4, 8]) for name in "abc"],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    package = edgetvm.compile(path, "host", tmp_path / "package", reference=False)
    calls = [call["nodes"] for call in package.manifest["calls"]]
    assert [nodes for nodes in calls if "quantize" not in nodes] == [["a"], ["b"], ["c"]]
    x = {"x": rng.standard_normal((4, 16)).astype(np.float32)}
    (have,) = run_all(package, [x])
    for name, want in zip("abc", reference(path, x, 3), strict=True):
        np.testing.assert_array_equal(have[f"y{name}"], want)


@pytest.mark.parametrize(
    "x",
    [
        [[0.0, 0.0, 0.0]],
        [[1.0, 2.0, 3.0]],
        [[-1.0, -2.0, -3.0]],
        [[-1.0, 0.5, 1.5]],
        [[1e-30, -3e-30, 0.0]],
        [[3e38, -1e37, 1.0]],
    ],
)
def test_dynamic_quantization(x: list[list[float]], tmp_path: Path) -> None:
    nodes = [make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], name="quantize")]
    path = save(tmp_path / "m.onnx", nodes, {"x": [1, 3]}, [])
    model = onnx.load(path)
    types = (TensorProto.UINT8, TensorProto.FLOAT, TensorProto.UINT8)
    model.graph.output.extend(helper.make_tensor_value_info(n, t, None) for n, t in zip("qsz", types, strict=True))
    onnx.save(model, path)
    data = {"x": np.array(x, np.float32)}
    for have, want in zip(imported(path, data), expected(path, data), strict=True):
        np.testing.assert_array_equal(have, want)


def write(path: Path, node: onnx.NodeProto, given: dict[str, np.ndarray], constants: dict[str, np.ndarray]) -> Path:
    graph = helper.make_graph(
        [node],
        "integers",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in given.items()],
        [helper.make_tensor_value_info("y", TensorProto.INT32, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def exact(path: Path, node: onnx.NodeProto, arrays: dict[str, np.ndarray], fixed: str) -> None:
    given = {n: a for n, a in arrays.items() if n not in fixed}
    path = write(path, node, given, {n: a for n, a in arrays.items() if n in fixed})
    np.testing.assert_array_equal(imported(path, given)[0], reference(path, given)[0])


def reference(path: Path, given: dict[str, np.ndarray], outputs: int = 1) -> list[np.ndarray]:
    """ONNX's own implementation: ONNX Runtime lacks some pairs of types."""
    results = onnx.reference.ReferenceEvaluator(str(path)).run(None, given)
    return [np.asarray(result) for result in results[:outputs]]


def codes(rng: np.random.Generator, dtype: str, *shape: int) -> np.ndarray:
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


@BOUNDED
@given(
    a=CODES,
    b=CODES,
    zeros=st.sampled_from(["", "p", "q", "pq"]),
    fixed=st.sampled_from(["", "b", "bq", "pbq"]),
    wide=st.booleans(),
)
def test_products_of_integers(a: str, b: str, zeros: str, fixed: str, wide: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"a": codes(rng, a, 2, 3, 7), "b": codes(rng, b, 7, 5)}
    if "p" in zeros:
        arrays["p"] = codes(rng, a)
    if "q" in zeros:
        arrays["q"] = codes(rng, b, 5) if wide else codes(rng, b)
    node = make_node(
        "MatMulInteger", ["a", "b", *("p" if "p" in zeros else [""]), *("q" if "q" in zeros else [])], ["y"]
    )
    exact(tmp_path / "m.onnx", node, arrays, fixed)


@BOUNDED
@given(
    a=CODES,
    zeros=st.sampled_from(["", "p", "q", "pq"]),
    fixed=st.sampled_from(["", "b", "bq", "pbq"]),
    groups=st.sampled_from([1, 2, 4]),
    spatial=st.sampled_from([1, 2]),
    pad=st.integers(0, 1),
)
def test_convolutions_of_integers(
    a: str, zeros: str, fixed: str, groups: int, spatial: int, pad: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    arrays = {"a": codes(rng, a, 1, 4, *[6] * spatial), "b": codes(rng, "uint8", 8, 4 // groups, *[3] * spatial)}
    if "p" in zeros:
        arrays["p"] = codes(rng, a)
    if "q" in zeros:
        arrays["q"] = codes(rng, "uint8")
    inputs = ["a", "b", *("p" if "p" in zeros else [""]), *("q" if "q" in zeros else [])]
    node = make_node("ConvInteger", inputs, ["y"], group=groups, pads=[pad, 0] * spatial, strides=[2] * spatial)
    given = {n: x for n, x in arrays.items() if n not in fixed}
    path = write(tmp_path / "m.onnx", node, given, {n: x for n, x in arrays.items() if n in fixed})
    real = {n: x.astype(np.float64) for n, x in arrays.items()}
    x, w = real["a"] - real.get("p", 0.0), real["b"] - real.get("q", 0.0)
    graph = helper.make_graph(
        [make_node("Conv", ["x", "w"], ["y"], group=groups, pads=[pad, 0] * spatial, strides=[2] * spatial)],
        "real",
        [helper.make_tensor_value_info(n, TensorProto.DOUBLE, v.shape) for n, v in (("x", x), ("w", w))],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    want = onnx.reference.ReferenceEvaluator(model).run(None, {"x": x, "w": w})[0]
    np.testing.assert_array_equal(imported(path, given)[0], np.asarray(want).astype(np.int32))


def test_zero_point_of_another_type(tmp_path: Path) -> None:
    arrays = {"a": np.zeros((2, 3), np.uint8), "b": np.zeros((3, 2), np.int8), "p": np.zeros((), np.int8)}
    path = write(tmp_path / "m.onnx", make_node("MatMulInteger", ["a", "b", "p"], ["y"], name="product"), arrays, {})
    with pytest.raises(UnsupportedError, match="product"):
        import_onnx(path)
