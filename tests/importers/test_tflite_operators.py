"""Every supported TensorFlow Lite operator against LiteRT's reference kernels, and the Relax module against both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetvm.importers.read import import_model
from edgetvm.importers.tflite_converters import TFLITE_CONVERTERS
from tests.importers.tflite_models import Writer, litert, onnx_form, random_inputs
from tools.onnx_backend_tests import relax_vm

BOUNDED = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID
RELU, RELU6 = tflite.ActivationFunctionType.RELU, tflite.ActivationFunctionType.RELU6
IMAGE = (1, 6, 5, 4)


def agree(path: Path, units: int = 1, reference: bool = True) -> None:
    """Integers within `units` of LiteRT's, floats close to them; the imported module as the ONNX form."""
    inputs = random_inputs(path)
    form = onnx_form(path, inputs)
    for have, want in zip(form, litert(path, inputs, reference), strict=True):
        assert (have.dtype, have.shape) == (want.dtype, want.shape)
        if have.dtype.kind in "iu":
            assert np.abs(have.astype(np.int64) - want.astype(np.int64)).max(initial=0) <= units
        else:
            np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-5)
    for have, want in zip(relax_vm(path, {}, [inputs])[0], form, strict=True):
        assert (have.dtype, have.shape) == (want.dtype, want.shape)
        if have.dtype.kind in "iu":  # a sum in another order may tip a rounding
            assert np.abs(have.astype(np.int64) - want.astype(np.int64)).max(initial=0) <= 1
        else:
            np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-5)


def unary(
    kind: str,
    options: str = "",
    out: tuple[float, int] = (0.04, 5),
    scale: float = 0.05,
    zero: int = -10,
    **fields: Any,
) -> Callable[[str], Writer]:
    """One operator from [1, 6, 5, 4] to itself."""

    def build(dtype: str) -> Writer:
        w = Writer()
        x, y = w.typed("x", IMAGE, dtype, scale, zero), w.typed("y", IMAGE, dtype, *out)
        w.operator(kind, [w.input(x)], [w.output(y)], options, **fields)
        return w

    return build


def moved(
    kind: str,
    out: list[tuple[int, ...]],
    constants: list[Any] = (),
    options: str = "",
    shape: tuple[int, ...] = IMAGE,
    first: bool = True,
    scale: float = 0.05,
    **fields: Any,
) -> Callable[[str], Writer]:
    """An operator from one shape to others; `constants` are int32 inputs behind the tensor, or in front of it."""

    def build(dtype: str) -> Writer:
        w = Writer()
        x = w.input(w.typed("x", shape, dtype, 0.05, 3))
        given = [w.constant(f"c{i}", c) for i, c in enumerate(constants)]
        outputs = [w.output(w.typed(f"y{i}", s, dtype, scale, 3)) for i, s in enumerate(out)]
        w.operator(kind, [x, *given] if first else [*given, x], outputs, options, **fields)
        return w

    return build


def binary(
    kind: str,
    options: str = "",
    shapes: tuple[tuple[int, ...], ...] = (IMAGE, IMAGE, IMAGE),
    scales: tuple[float, ...] = (0.05, 0.03, 0.1),
    zeros: tuple[int, ...] = (-10, 20, 4),
    **fields: Any,
) -> Callable[[str], Writer]:
    """An operator of two tensors."""

    def build(dtype: str) -> Writer:
        w = Writer()
        a, b, y = (w.typed(n, *t) for n, *t in zip("aby", shapes, [dtype] * 3, scales, zeros, strict=True))
        w.operator(kind, [w.input(a), w.input(b)], [w.output(y)], options, **fields)
        return w

    return build


SIGMOID = (1 / 256, -128)
ALIKE: dict[str, Any] = {"scales": (0.05,) * 3, "zeros": (3,) * 3}
CASES: dict[str, tuple[Callable[[str], Writer], str]] = {
    "ABS": (unary("ABS", "AbsOptions"), "float32 int8"),
    "ADD": (binary("ADD", "AddOptions", FusedActivationFunction=RELU), "float32 int8 uint8"),
    "ADD broadcast": (binary("ADD", "AddOptions", (IMAGE, (4,), IMAGE)), "float32 int8"),
    "AVERAGE_POOL_2D": (
        moved(
            "AVERAGE_POOL_2D",
            [(1, 3, 3, 4)],
            [],
            "Pool2DOptions",
            Padding=SAME,
            StrideH=2,
            StrideW=2,
            FilterHeight=3,
            FilterWidth=2,
        ),
        "float32 int8 uint8",
    ),
    "BATCH_MATMUL": (
        binary(
            "BATCH_MATMUL",
            "BatchMatMulOptions",
            ((2, 3, 8), (2, 5, 8), (2, 3, 5)),
            (0.05, 0.03, 0.5),
            AdjY=True,
        ),
        "float32 int8",
    ),
    "CEIL": (unary("CEIL"), "float32"),
    "CONCATENATION": (
        binary("CONCATENATION", "ConcatenationOptions", ((2, 3), (2, 3), (2, 6)), **ALIKE, Axis=-1),
        "float32 int8 uint8",
    ),
    "COS": (unary("COS", "CosOptions"), "float32"),
    "DEPTH_TO_SPACE": (
        moved("DEPTH_TO_SPACE", [(1, 12, 10, 1)], [], "DepthToSpaceOptions", BlockSize=2),
        "float32 int8",
    ),
    "DIV": (binary("DIV", "DivOptions"), "float32"),
    "ELU": (unary("ELU"), "float32 int8"),
    "EXP": (unary("EXP", "ExpOptions"), "float32"),
    "EXPAND_DIMS": (moved("EXPAND_DIMS", [(1, 1, 6, 5, 4)], [1], "ExpandDimsOptions"), "float32 int8"),
    "FLOOR": (unary("FLOOR"), "float32"),
    "GATHER": (moved("GATHER", [(1, 2, 5, 4)], [[4, 1]], "GatherOptions", Axis=1), "float32 int8"),
    "GELU": (unary("GELU", "GeluOptions", Approximate=False), "float32 int8"),
    "HARD_SWISH": (unary("HARD_SWISH"), "float32 int8 uint8"),
    "LEAKY_RELU": (unary("LEAKY_RELU", "LeakyReluOptions", Alpha=0.2), "float32 int8 uint8"),
    "LOG": (unary("LOG"), "float32"),
    "LOGISTIC": (unary("LOGISTIC", out=SIGMOID), "float32 int8 uint8"),
    "LOG_SOFTMAX": (unary("LOG_SOFTMAX", "LogSoftmaxOptions", out=(16 / 256, 127)), "float32 int8"),
    "MAXIMUM": (binary("MAXIMUM", "MaximumMinimumOptions"), "float32"),
    "MAX_POOL_2D": (
        moved(
            "MAX_POOL_2D",
            [(1, 3, 2, 4)],
            [],
            "Pool2DOptions",
            Padding=VALID,
            StrideH=2,
            StrideW=2,
            FilterHeight=2,
            FilterWidth=2,
        ),
        "float32 int8 uint8",
    ),
    "MEAN": (moved("MEAN", [(1, 1, 1, 4)], [[1, 2]], "ReducerOptions", KeepDims=True), "float32 int8 uint8"),
    "MEAN flat": (moved("MEAN", [(1, 4)], [[1, 2]], "ReducerOptions", KeepDims=False), "float32 int8"),
    "MINIMUM": (binary("MINIMUM", "MaximumMinimumOptions"), "float32"),
    "MIRROR_PAD": (
        moved("MIRROR_PAD", [(1, 9, 5, 4)], [[[0, 0], [1, 2], [0, 0], [0, 0]]], "MirrorPadOptions", Mode=0),
        "float32 int8",
    ),
    "MUL": (binary("MUL", "MulOptions", FusedActivationFunction=RELU6), "float32 int8 uint8"),
    "NEG": (unary("NEG", "NegOptions"), "float32"),
    "PACK": (
        binary("PACK", "PackOptions", ((2, 3), (2, 3), (2, 2, 3)), **ALIKE, Axis=1, ValuesCount=2),
        "float32 int8",
    ),
    "PAD": (moved("PAD", [(1, 9, 5, 5)], [[[0, 0], [1, 2], [0, 0], [0, 1]]], "PadOptions"), "float32 int8 uint8"),
    "REDUCE_MAX": (moved("REDUCE_MAX", [(1, 4)], [[1, 2]], "ReducerOptions", KeepDims=False), "float32 int8"),
    "REDUCE_MIN": (moved("REDUCE_MIN", [(1, 4)], [[1, 2]], "ReducerOptions", KeepDims=False), "float32 int8"),
    "RELU": (unary("RELU"), "float32 int8 uint8"),
    "RELU6": (unary("RELU6", scale=0.1), "float32 int8"),
    "RELU_0_TO_1": (unary("RELU_0_TO_1"), "float32"),
    "RELU_N1_TO_1": (unary("RELU_N1_TO_1"), "float32 int8"),
    "RESHAPE": (moved("RESHAPE", [(1, 120)], [[1, 120]], "ReshapeOptions", NewShape=[1, 120]), "float32 int8 uint8"),
    "RESIZE_BILINEAR": (moved("RESIZE_BILINEAR", [(1, 11, 7, 4)], [[11, 7]], "ResizeBilinearOptions"), "float32 int8"),
    "RESIZE_BILINEAR half pixel": (
        moved("RESIZE_BILINEAR", [(1, 12, 3, 4)], [[12, 3]], "ResizeBilinearOptions", HalfPixelCenters=True),
        "float32 int8",
    ),
    "RESIZE_BILINEAR corners": (
        moved("RESIZE_BILINEAR", [(1, 11, 9, 4)], [[11, 9]], "ResizeBilinearOptions", AlignCorners=True),
        "float32 int8",
    ),
    "RESIZE_NEAREST_NEIGHBOR": (
        moved("RESIZE_NEAREST_NEIGHBOR", [(1, 12, 3, 4)], [[12, 3]], "ResizeNearestNeighborOptions"),
        "float32 int8",
    ),
    "RESIZE_NEAREST_NEIGHBOR half pixel": (
        moved(
            "RESIZE_NEAREST_NEIGHBOR", [(1, 3, 10, 4)], [[3, 10]], "ResizeNearestNeighborOptions", HalfPixelCenters=True
        ),
        "float32 int8",
    ),
    "RESIZE_NEAREST_NEIGHBOR corners": (
        moved("RESIZE_NEAREST_NEIGHBOR", [(1, 11, 9, 4)], [[11, 9]], "ResizeNearestNeighborOptions", AlignCorners=True),
        "float32 int8",
    ),
    "ROUND": (unary("ROUND"), "float32"),
    "RSQRT": (unary("RSQRT", scale=0.05, zero=-128), "int8"),
    "SIN": (unary("SIN"), "float32"),
    "SLICE": (moved("SLICE", [(1, 3, 4, 4)], [[0, 2, 1, 0], [1, 3, -1, 4]], "SliceOptions"), "float32 int8"),
    "SOFTMAX": (unary("SOFTMAX", "SoftmaxOptions", out=SIGMOID, Beta=1.0), "float32 int8 uint8"),
    "SOFTMAX beta": (unary("SOFTMAX", "SoftmaxOptions", out=SIGMOID, Beta=0.5), "float32 int8"),
    "SPACE_TO_DEPTH": (
        moved("SPACE_TO_DEPTH", [(1, 3, 2, 16)], [], "SpaceToDepthOptions", shape=(1, 6, 4, 4), BlockSize=2),
        "float32 int8",
    ),
    "SPLIT": (moved("SPLIT", [(1, 3, 5, 4)] * 2, [1], "SplitOptions", first=False, NumSplits=2), "float32 int8"),
    "SPLIT_V": (
        moved("SPLIT_V", [(1, 6, 5, 3), (1, 6, 5, 1)], [[3, 1], -1], "SplitVOptions", NumSplits=2),
        "float32 int8",
    ),
    "SQUARED_DIFFERENCE": (binary("SQUARED_DIFFERENCE", "SquaredDifferenceOptions"), "float32 int8"),
    "SQRT": (unary("SQRT"), "float32"),
    "SQUARE": (unary("SQUARE", "SquareOptions"), "float32"),
    "SQUEEZE": (moved("SQUEEZE", [(6, 5, 4)], [], "SqueezeOptions", SqueezeDims=[0]), "float32 int8"),
    "STRIDED_SLICE backwards": (
        moved(
            "STRIDED_SLICE",
            [(1, 2, 5, 4)],
            [[0, 1, 4, 0], [0, 5, 0, 0], [1, 2, -1, 1]],
            "StridedSliceOptions",
            BeginMask=8,
            EndMask=13,
        ),
        "float32 int8",
    ),
    "STRIDED_SLICE shrunk": (
        moved(
            "STRIDED_SLICE", [(1, 5, 4)], [[0, -2, 0], [1, 0, 5], [1, 1, 1]], "StridedSliceOptions", ShrinkAxisMask=2
        ),
        "float32 int8",
    ),
    "SUB": (binary("SUB", "SubOptions"), "float32 int8 uint8"),
    "SUM": (moved("SUM", [(1, 1, 1, 4)], [[1, 2]], "ReducerOptions", scale=0.5, KeepDims=True), "float32 int8"),
    "TANH": (unary("TANH", out=(1 / 128, 0)), "float32 int8 uint8"),
    "TRANSPOSE": (moved("TRANSPOSE", [(1, 4, 6, 5)], [[0, 3, 1, 2]], "TransposeOptions"), "float32 int8"),
    "UNPACK": (moved("UNPACK", [(1, 5, 4)] * 6, [], "UnpackOptions", Axis=1, Num=6), "float32 int8"),
}


@pytest.mark.parametrize(("case", "dtype"), [(c, d) for c, (_, dtypes) in CASES.items() for d in dtypes.split()])
def test_operator(case: str, dtype: str, tmp_path: Path) -> None:
    # LiteRT's reference kernel of SUM answers -1 to any int8 tensor; its other kernel sums.
    agree(CASES[case][0](dtype).write(tmp_path / "m.tflite"), reference=case != "SUM")


def layer(
    kind: str,
    options: str,
    weights: tuple[int, ...],
    out: tuple[int, ...],
    image: tuple[int, ...] = IMAGE,
    axis: int = 0,
    dtype: str = "int8",
    per_channel: bool = True,
    first: Any = None,
    **fields: Any,
) -> Writer:
    """A layer with weights, bias and a fused activation; `first` is an input in front of the weights."""
    rng = np.random.default_rng(1)
    w = Writer()
    channels = weights[axis]
    if dtype == "float32":
        x, y = w.tensor("x", image, dtype), w.tensor("y", out, dtype)
        kernel = w.constant("w", rng.standard_normal(weights), dtype)
        bias = w.constant("b", rng.standard_normal(channels), dtype)
    else:
        stored = "uint8" if dtype == "uint8" else "int8"
        low, high, zero = (0, 256, 120) if stored == "uint8" else (-127, 128, 0)
        scale = rng.uniform(0.005, 0.02, channels if per_channel else 1).astype(np.float32)
        x = w.quantized(
            "x", image, 0.001 if dtype == "int16" else 0.05, {"int8": -10, "uint8": 118}.get(dtype, 0), dtype
        )
        y = w.quantized("y", out, 0.005 if dtype == "int16" else 0.2, {"int8": -20, "uint8": 10}.get(dtype, 0), dtype)
        kernel = w.constant("w", rng.integers(low, high, weights), stored, scale=scale, zero_point=[zero], axis=axis)
        bias = w.constant(
            "b",
            rng.integers(-2000, 2000, channels),
            "int64" if dtype == "int16" else "int32",
            scale=scale * np.float32(w.tensors[x].scale[0]),
        )
    inputs = [x, kernel, bias] if first is None else [w.constant("shape", first), kernel, x, bias]
    w.input(x)
    w.operator(kind, inputs, [w.output(y)], options, **fields)
    return w


@BOUNDED
@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilations=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.sampled_from([SAME, VALID]),
    activation=st.sampled_from([0, RELU, RELU6]),
    dtype=st.sampled_from(["float32", "int8", "int8", "uint8", "int16"]),
    multiplier=st.sampled_from([None, 1, 2]),
)
def test_convolutions(
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    padding: int,
    activation: int,
    dtype: str,
    multiplier: int | None,
    tmp_path: Path,
) -> None:
    out = []
    for size, k, s, d in zip(IMAGE[1:3], kernel, strides, dilations, strict=True):
        out.append(-(-size // s) if padding == SAME else -(-(size - (k - 1) * d) // s))
    fields = {
        "Padding": padding,
        "StrideH": strides[0],
        "StrideW": strides[1],
        "DilationHFactor": dilations[0],
        "DilationWFactor": dilations[1],
        "FusedActivationFunction": activation,
    }
    more: dict[str, Any] = {"dtype": dtype, "per_channel": dtype != "uint8"}
    if multiplier is None:
        w = layer("CONV_2D", "Conv2DOptions", (6, *kernel, 4), (1, *out, 6), **more, **fields)
    else:
        channels = 4 * multiplier
        w = layer(
            "DEPTHWISE_CONV_2D",
            "DepthwiseConv2DOptions",
            (1, *kernel, channels),
            (1, *out, channels),
            axis=3,
            **more,
            **fields,
            DepthMultiplier=multiplier,
        )
    agree(w.write(tmp_path / "m.tflite"))


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int16"])
@pytest.mark.parametrize(("image", "keep"), [((3, 8), False), ((3, 2, 4), False), ((3, 2, 8), True)])
def test_dense(image: tuple[int, ...], keep: bool, dtype: str, tmp_path: Path) -> None:
    rows = (3, 2) if keep else (3,)
    more: dict[str, Any] = {"image": image, "dtype": dtype, "per_channel": False}
    w = layer(
        "FULLY_CONNECTED",
        "FullyConnectedOptions",
        (5, 8),
        (*rows, 5),
        **more,
        KeepNumDims=keep,
        FusedActivationFunction=RELU,
    )
    agree(w.write(tmp_path / "m.tflite"))


def test_dense_with_a_scale_for_each_channel(tmp_path: Path) -> None:
    w = layer("FULLY_CONNECTED", "FullyConnectedOptions", (5, 8), (3, 5), (3, 8))
    agree(w.write(tmp_path / "m.tflite"))


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize(
    ("padding", "kernel", "stride", "out"),
    [
        (SAME, 3, 2, (12, 10)),
        (SAME, 3, 2, (11, 9)),
        (VALID, 3, 2, (13, 11)),
        (SAME, 2, 1, (6, 5)),
        (SAME, 1, 2, (12, 10)),
    ],
)
def test_transposed_convolutions(
    padding: int, kernel: int, stride: int, out: tuple[int, int], dtype: str, tmp_path: Path
) -> None:
    fields = {"Padding": padding, "StrideH": stride, "StrideW": stride}
    shape = (1, *out, 3)
    w = layer(
        "TRANSPOSE_CONV",
        "TransposeConvOptions",
        (3, kernel, kernel, 4),
        shape,
        dtype=dtype,
        first=shape,
        **fields,
    )
    agree(w.write(tmp_path / "m.tflite"))


@pytest.mark.parametrize(
    ("source", "target"), [("float32", "int8"), ("int8", "uint8"), ("uint8", "int8"), ("int8", "int16")]
)
def test_quantize(source: str, target: str, tmp_path: Path) -> None:
    w = Writer()
    x = w.tensor("x", IMAGE, source) if source == "float32" else w.quantized("x", IMAGE, 0.05, 3, source)
    y = w.quantized("y", IMAGE, 0.03, 0 if target == "int16" else 7, target)
    w.operator("QUANTIZE", [w.input(x)], [w.output(y)], "QuantizeOptions")
    agree(w.write(tmp_path / "m.tflite"))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_dequantize(dtype: str, tmp_path: Path) -> None:
    w = Writer()
    x = w.quantized("x", IMAGE, 0.05, 0 if dtype == "int16" else 3, dtype)
    w.operator("DEQUANTIZE", [w.input(x)], [w.output(w.tensor("y", IMAGE, "float32"))], "DequantizeOptions")
    agree(w.write(tmp_path / "m.tflite"))


def test_half_precision_weights(tmp_path: Path) -> None:
    w = Writer()
    half, full = w.constant("half", np.linspace(-1, 1, 4), "float16"), w.tensor("full", (4,), "float32")
    x, y = w.tensor("x", IMAGE, "float32"), w.tensor("y", IMAGE, "float32")
    w.operator("DEQUANTIZE", [half], [full], "DequantizeOptions")
    w.operator("MUL", [w.input(x), full], [w.output(y)], "MulOptions")
    agree(w.write(tmp_path / "m.tflite"))


@pytest.mark.parametrize(("kind", "dtype"), [("ARG_MAX", "int8"), ("ARG_MIN", "float32")])
def test_index_of_the_extreme(kind: str, dtype: str, tmp_path: Path) -> None:
    w = Writer()
    x = w.tensor("x", IMAGE, dtype, **({} if dtype == "float32" else {"scale": [0.05], "zero_point": [3]}))
    options = "ArgMaxOptions" if kind == "ARG_MAX" else "ArgMinOptions"
    y = w.output(w.tensor("y", IMAGE[:3], "int32"))
    w.operator(kind, [w.input(x), w.constant("axis", 3)], [y], options, OutputType=tflite.TensorType.INT32)
    agree(w.write(tmp_path / "m.tflite"), units=0)


def test_prelu_and_fill_are_dequantized_constants(tmp_path: Path) -> None:
    w = Writer()
    x, p = w.quantized("x", IMAGE, 0.05, 3), w.quantized("p", (1, 8, 5, 4), 0.05, 3)
    fill = w.constant("fill", 77, "int8", scale=[0.05], zero_point=[3])
    slope = w.constant("slope", np.array([[[10, -20, 30, 40]]]), "int8", scale=[0.01], zero_point=[5])
    w.operator("PADV2", [w.input(x), w.constant("pads", [[0, 0], [2, 0], [0, 0], [0, 0]]), fill], [p], "PadV2Options")
    w.operator("PRELU", [p, slope], [w.output(w.quantized("y", (1, 8, 5, 4), 0.04, -2))])
    agree(w.write(tmp_path / "m.tflite"))


def test_operators_on_other_integers_stay_as_they_are(tmp_path: Path) -> None:
    w = Writer()
    a, b, y = (w.tensor(name, (2, 3), "int32") for name in "aby")
    w.operator("MUL", [w.input(a), w.input(b)], [w.output(y)], "MulOptions")
    f = w.output(w.tensor("f", (2, 3), "float32"))
    w.operator("CAST", [y], [f], "CastOptions")
    path = w.write(tmp_path / "m.tflite")
    inputs = {name: np.arange(6, dtype=np.int32).reshape(2, 3) - 3 for name in "ab"}
    for have, want in zip(onnx_form(path, inputs), litert(path, inputs), strict=True):
        np.testing.assert_array_equal(have, want)


def test_every_operator_has_a_case() -> None:
    elsewhere = {"ARG_MAX", "ARG_MIN", "CAST", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE", "FULLY_CONNECTED", "PADV2"}
    elsewhere |= {"PRELU", "QUANTIZE", "TRANSPOSE_CONV"}
    assert {case.split()[0] for case in CASES} | elsewhere == set(TFLITE_CONVERTERS)


def test_border_and_sources(tmp_path: Path) -> None:
    model = import_model(CASES["ADD"][0]("uint8").write(tmp_path / "my model.bin"))
    assert [(i.name, i.shape, i.dtype) for i in model.inputs] == [("a", IMAGE, "uint8"), ("b", IMAGE, "uint8")]
    assert [(o.name, o.shape, o.dtype) for o in model.outputs] == [("y", IMAGE, "uint8")]
    assert model.name == "my_model"
    assert set(model.sources.values()) == {("ADD_0",)}
