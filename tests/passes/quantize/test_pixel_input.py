"""Bytes of a camera as the codes of the first layer: float models against what became of them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgetvm.importers.graph import Graph
from edgetvm.importers.onnx import import_onnx, read_graph
from edgetvm.oracle.dataset import Dataset
from edgetvm.oracle.pixels import Pixels
from edgetvm.passes.integer.calls import name_of
from edgetvm.passes.pipeline import optimize
from edgetvm.passes.quantize.layers import normalise_layers
from edgetvm.passes.quantize.options import QuantizeOptions
from edgetvm.passes.quantize.pixel_input import fold_pixels
from edgetvm.passes.quantize.post_training import quantize_model
from edgetvm.passes.quantize.session import Session

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integer"))
from qdq import run_interpreter, run_onnx

SHAPE = (1, 3, 9, 8)
ONE = Pixels("RGB", 1, (127.5,) * 3, (127.5,) * 3)
WHOLE = Pixels("RGB", 1, (128.0,) * 3, (64.0,) * 3)
MEANS = Pixels("BGR", 1, (104.0, 117.0, 123.0), (1.0,) * 3)
EACH = Pixels("RGB", 1, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


def write_net(path: Path, kind: str, seed: int = 0) -> Path:
    """A net of `kind` with random weights; its input is `image`, NHWC for the kind `nhwc`."""
    rng = np.random.default_rng(seed)
    values: dict[str, np.ndarray] = {}

    def weights(name: str, *shape: int) -> str:
        values[name] = rng.standard_normal(shape).astype(np.float32)
        return name

    def conv(x: str, out: str, pads: int = 0, **attributes: int) -> onnx.NodeProto:
        names = [x, weights(f"{out}_w", 6, 3 // attributes.get("group", 1), 3, 3), weights(f"{out}_b", 6)]
        return helper.make_node("Conv", names, [out], pads=[pads] * 4, **attributes)

    shape = SHAPE
    match kind:
        case "conv":
            nodes = [conv("image", "y")]
        case "padded":
            nodes = [conv("image", "y", pads=1)]
        case "grouped":
            nodes = [conv("image", "y", group=3)]
        case "nhwc":
            shape = (1, 9, 8, 3)
            nodes = [helper.make_node("Transpose", ["image"], ["t"], perm=[0, 3, 1, 2]), conv("t", "y")]
        case "gemm":
            nodes = [
                helper.make_node("Flatten", ["image"], ["f"]),
                helper.make_node("Gemm", ["f", weights("w", 10, 216), weights("b", 10)], ["y"], transB=1),
            ]
        case "matmul":
            nodes = [
                helper.make_node("Flatten", ["image"], ["f"]),
                helper.make_node("MatMul", ["f", weights("w", 216, 10)], ["m"]),
                helper.make_node("Add", ["m", weights("b", 10)], ["y"]),
            ]
        case "readers":
            nodes = [conv("image", "a"), conv("image", "b"), helper.make_node("Concat", ["a", "b"], ["y"], axis=1)]
        case "residual":
            values["w"] = rng.standard_normal((3, 3, 1, 1)).astype(np.float32)
            nodes = [helper.make_node("Conv", ["image", "w"], ["a"]), helper.make_node("Add", ["a", "image"], ["y"])]
        case "pool":
            nodes = [helper.make_node("AveragePool", ["image"], ["y"], kernel_shape=[3, 3])]
    graph = helper.make_graph(
        nodes,
        kind,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model, strict_mode=True), path)
    return path


def in_layout(pixels: Pixels, kind: str) -> Pixels:
    """The same for the layout of the net."""
    return Pixels(pixels.channels, 3, pixels.mean, pixels.std) if kind == "nhwc" else pixels


def pictures(kind: str, count: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (1, 9, 8, 3) if kind == "nhwc" else SHAPE).astype(np.uint8) for _ in range(count)]


def quantized(model: Path, kind: str, pixels: Pixels, scheme: str = "int8") -> Path:
    images = pictures(kind, 20, 1)
    data = Dataset("random", len(images), lambda index: {"image": pixels.numbers(images[index])})
    path = model.with_suffix(".int8.onnx")
    quantize_model(model, path, data, QuantizeOptions(scheme=scheme, calibrator="minmax", pixels=pixels))
    return path


def kernels(path: Path) -> list[str]:
    """The kernels of the compiled graph, in order."""
    module = optimize(import_onnx(path)).module
    bindings = [binding.value for block in module["main"].body.blocks for binding in block.bindings]
    calls = [value for value in bindings if name_of(value) == "relax.call_tir"]
    return [call.args[0].name_hint for call in calls]


@pytest.mark.parametrize("pixels", [ONE, WHOLE, MEANS, EACH], ids=["one", "whole", "means", "each"])
@pytest.mark.parametrize("kind", ["conv", "padded", "grouped", "nhwc", "gemm", "matmul", "readers", "residual", "pool"])
def test_integers_follow_the_float_model(tmp_path: Path, kind: str, pixels: Pixels) -> None:
    pixels = in_layout(pixels, kind)
    model = write_net(tmp_path / "net.onnx", kind)
    path = quantized(model, kind, pixels)
    assert onnx.load(path).graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    found, wanted, simulated = [], [], []
    for image in pictures(kind, 20, 1):  # those of calibration: nothing saturates
        found.append(run_interpreter(path, {"image": image})[0])  # nothing is left in float
        simulated.append(run_onnx(path, {"image": image})[0])
        wanted.append(run_onnx(model, {"image": pixels.numbers(image)})[0])
    step = (np.max(wanted) - np.min(wanted)) / 255
    assert np.abs(np.array(found) - np.array(wanted)).max() <= 2 * step
    assert np.abs(np.array(found) - np.array(simulated)).max() <= 2.01 * step  # the mean 127.5 makes ties of all pixels


@pytest.mark.parametrize(
    ("kind", "pixels", "folded"),
    [
        ("padded", ONE, True),
        ("padded", WHOLE, True),
        ("padded", EACH, False),
        ("padded", MEANS, False),
        ("conv", EACH, True),
        ("gemm", EACH, True),
        ("readers", EACH, True),
        ("residual", ONE, False),
        ("residual", WHOLE, True),
        ("pool", ONE, False),
    ],
)
def test_where_the_first_layer_takes_mean_and_std(tmp_path: Path, kind: str, pixels: Pixels, folded: bool) -> None:
    model = write_net(tmp_path / "net.onnx", kind)
    graph = float_graph(model)
    assert fold_pixels(graph, pixels).folded == folded
    path = quantized(model, kind, pixels)
    # Either way one kernel reads the bytes, and none computes in float but at the output.
    made = kernels(path)
    assert sum("scaled_sum" in name for name in made) <= (2 if kind == "residual" else 1), made
    assert not any(name.startswith(("quantize", "subtract", "divide")) for name in made), made


def test_the_bytes_are_the_codes(tmp_path: Path) -> None:
    """No rounding on the way in: scale and zero point are those of the pixels."""
    path = quantized(write_net(tmp_path / "net.onnx", "padded"), "padded", ONE)
    values = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    assert values["image_scale"] == np.float32(1 / 127.5)
    assert (values["image_zero_point"], values["image_pixel_zero"]) == (0, 128)


def test_sixteen_bits(tmp_path: Path) -> None:
    model = write_net(tmp_path / "net.onnx", "padded")
    path = quantized(model, "padded", ONE, "int8x16")
    image = pictures("padded", 1, 1)[0]
    found = run_interpreter(path, {"image": image})[0]
    wanted = run_onnx(model, {"image": ONE.numbers(image)})[0]
    assert np.abs(found - wanted).max() <= (wanted.max() - wanted.min()) / 255


def float_graph(model: Path) -> Graph:
    graph, refusals = read_graph(model, {})
    assert not refusals
    normalise_layers(graph)
    return graph


channel = st.tuples(st.floats(-50, 300), st.floats(0.01, 500))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.one_of(channel.map(lambda row: [row] * 3), st.lists(channel, min_size=3, max_size=3)),
    kind=st.sampled_from(["conv", "grouped", "nhwc", "gemm", "matmul", "readers"]),
)
def test_folding_changes_no_number(
    rows: list[tuple[float, float]], kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Without padding the rewritten float graph computes of pixels what the model computes of their numbers."""
    mean, std = zip(*rows, strict=True)
    pixels = in_layout(Pixels("RGB", 1, mean, std), kind)
    graph = float_graph(write_net(tmp_path_factory.mktemp("law") / "net.onnx", kind))
    image = pictures(kind, 1, 4)[0]
    wanted = Session(graph, graph.nodes, graph.inputs, ["y"]).run({"image": pixels.numbers(image)})["y"]
    entry = fold_pixels(graph, pixels)
    assert entry.folded
    sample = entry.samples(Dataset("one", 1, lambda _: {"image": pixels.numbers(image)})).fetch(0)
    np.testing.assert_allclose(sample["image"], (image - np.float32(entry.zero)) * np.float32(entry.scale), rtol=1e-6)
    found = Session(graph, graph.nodes, graph.inputs, ["y"]).run(sample)["y"]
    # Sums of as large terms as means far from the pixels make, in single precision.
    largest = float(np.abs(pixels.numbers(image)).max()) + float(np.max((np.abs(mean) + 255) / np.array(std)))
    np.testing.assert_allclose(found, wanted, atol=2e-4 * largest)


@settings(max_examples=40, deadline=None)
@given(mean=st.floats(0, 255), std=st.floats(0.5, 300))
def test_padding_is_off_by_half_a_pixel_at_most(
    mean: float, std: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    graph = float_graph(write_net(tmp_path_factory.mktemp("law") / "net.onnx", "padded"))
    pixels = Pixels("RGB", 1, (mean,) * 3, (std,) * 3)
    image = pictures("padded", 1, 5)[0]
    weights = graph.constants[graph.nodes[0].inputs[1]]
    wanted = Session(graph, graph.nodes, graph.inputs, ["y"]).run({"image": pixels.numbers(image)})["y"]
    entry = fold_pixels(graph, pixels)
    assert entry.folded
    sample = entry.samples(Dataset("one", 1, lambda _: {"image": pixels.numbers(image)})).fetch(0)
    found = Session(graph, graph.nodes, graph.inputs, ["y"]).run(sample)["y"]
    exact = 2e-4 * 255 / std
    np.testing.assert_allclose(found[:, :, 1:-1, 1:-1], wanted[:, :, 1:-1, 1:-1], atol=exact)
    assert np.abs(found - wanted).max() <= 0.5 / std * np.abs(weights).sum((1, 2, 3)).max() + exact
