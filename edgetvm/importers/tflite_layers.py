"""TensorFlow Lite layers with weights, and pools: channels last there, channels first in ONNX.

The transposes on both sides meet those of the ONNX importer and cancel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tflite

from .graph import RefusedError
from .tflite_activation import activate
from .tflite_call import TfliteCall, TfliteConverter
from .tflite_file import Quantization, TfliteTensor

FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def convolution(call: TfliteCall) -> None:
    """CONV_2D: weights [out, height, width, in / groups]."""
    options = call.options("Conv2DOptions")
    _, height, width, channels = image_shape(call.tensor())
    kernel = image_shape(call.tensor(1))
    if not kernel[3] or channels % kernel[3]:
        raise RefusedError(f"its weights take {kernel[3]} channels, its input has {channels}")
    strides, dilations = [options.StrideH(), options.StrideW()], _dilations(options)
    weights, scale = _weights(call, 1, (0, 3, 1, 2))
    _convolve(call, weights, scale, (height, width), kernel[1:3], strides, dilations, options, channels // kernel[3])


def depthwise(call: TfliteCall) -> None:
    """DEPTHWISE_CONV_2D: weights [1, height, width, in * multiplier]."""
    options = call.options("DepthwiseConv2DOptions")
    _, height, width, channels = image_shape(call.tensor())
    kernel = image_shape(call.tensor(1))
    if kernel[0] != 1 or kernel[3] % channels:
        raise RefusedError(f"its weights of shape {list(kernel)} do not fit {channels} channels")
    strides, dilations = [options.StrideH(), options.StrideW()], _dilations(options)
    weights, scale = _weights(call, 1, (3, 0, 1, 2))
    _convolve(call, weights, scale, (height, width), kernel[1:3], strides, dilations, options, channels)


def transposed(call: TfliteCall) -> None:
    """TRANSPOSE_CONV: inputs are the output's shape, weights [out, height, width, in], the image, a bias."""
    options = call.options("TransposeConvOptions")
    size = call.ints(0, "output shape")
    image, kernel = image_shape(call.tensor(2)), image_shape(call.tensor(1))
    if len(size) != 4:
        raise RefusedError(f"its output shape {size} is no image")
    strides = [options.StrideH(), options.StrideW()]
    before, after, more = [], [], []
    for axis in (0, 1):
        extent = (image[axis + 1] - 1) * strides[axis] + kernel[axis + 1]
        total = max(extent - size[axis + 1], 0)
        if options.Padding() == tflite.Padding.VALID and total:
            raise RefusedError(f"its output shape {size} does not fit its input")
        before.append(total // 2)
        after.append(total - total // 2)
        more.append(max(size[axis + 1] - extent, 0))
    weights, scale = _weights(call, 1, (3, 0, 1, 2), image=2)
    value = call.node("Transpose", call.real(2), perm=FIRST)
    inputs = [value, weights, *_bias(call, 3, scale)]
    attributes = {"strides": strides, "pads": [*before, *after], "output_padding": more}
    value = call.node("ConvTranspose", *inputs, **attributes)
    value = activate(call, value, options.FusedActivationFunction())
    call.give(call.node("Transpose", value, perm=LAST))


def dense(call: TfliteCall) -> None:
    """FULLY_CONNECTED: weights [out, in], constant or not."""
    options = call.options("FullyConnectedOptions")
    if options.WeightsFormat() != tflite.FullyConnectedOptionsWeightsFormat.DEFAULT:
        raise RefusedError("its weights are shuffled")
    shape, weights_shape = call.tensor().shape, call.tensor(1).shape
    if len(weights_shape) != 2:
        raise RefusedError(f"its weights have the shape {list(weights_shape)}")
    out, depth = weights_shape
    weights, scale = _weights(call, 1, (0, 1))
    value = call.real()
    if len(shape) != 2 or shape[1] != depth:
        value = call.node("Reshape", value, call.constant([-1, depth], "shape", "int64"))
    value = call.node("Gemm", value, weights, *_bias(call, 2, scale), transB=1)
    value = activate(call, value, options.FusedActivationFunction())
    if options.KeepNumDims() and len(shape) != 2:
        value = call.node("Reshape", value, call.constant([*shape[:-1], out], "shape", "int64"))
    call.give(value)


def matmul(call: TfliteCall) -> None:
    """BATCH_MATMUL of two tensors, either of them transposed."""
    options = call.options("BatchMatMulOptions")
    _check_mixture([call.tensor(0), call.tensor(1), call.out()])
    values = []
    for index, swapped in enumerate((options.AdjX(), options.AdjY())):
        order = list(range(len(call.tensor(index).shape)))
        if len(order) < 2:
            raise RefusedError("its operands are no matrices")
        value = call.real(index)
        values.append(call.node("Transpose", value, perm=[*order[:-2], order[-1], order[-2]]) if swapped else value)
    call.give(call.node("MatMul", *values))


def pool(operator: str) -> TfliteConverter:
    """AVERAGE_POOL_2D, whose padding does not count, or MAX_POOL_2D."""

    def convert(call: TfliteCall) -> None:
        options = call.options("Pool2DOptions")
        _, height, width, _ = image_shape(call.tensor())
        kernel = [options.FilterHeight(), options.FilterWidth()]
        strides = [options.StrideH(), options.StrideW()]
        value = call.node("Transpose", call.real(), perm=FIRST)
        pads = _pads((height, width), kernel, strides, [1, 1], options.Padding())
        value = call.node(operator, value, kernel_shape=kernel, strides=strides, pads=pads)
        value = activate(call, value, options.FusedActivationFunction())
        call.give(call.node("Transpose", value, perm=LAST))

    return convert


def image_shape(tensor: TfliteTensor) -> tuple[int, int, int, int]:
    """Shape of a tensor of rank 4."""
    if len(tensor.shape) != 4:
        raise RefusedError(f"tensor '{tensor.name}' of shape {list(tensor.shape)} has not four dimensions")
    a, b, c, d = tensor.shape
    return a, b, c, d


def _convolve(
    call: TfliteCall,
    weights: str,
    scale: Quantization | None,
    size: tuple[int, int],
    kernel: Sequence[int],
    strides: list[int],
    dilations: list[int],
    options: tflite.Conv2DOptions | tflite.DepthwiseConv2DOptions,
    groups: int,
) -> None:
    value = call.node("Transpose", call.real(), perm=FIRST)
    pads = _pads(size, kernel, strides, dilations, options.Padding())
    inputs = [value, weights, *_bias(call, 2, scale)]
    value = call.node("Conv", *inputs, strides=strides, dilations=dilations, pads=pads, group=groups)
    value = activate(call, value, options.FusedActivationFunction())
    call.give(call.node("Transpose", value, perm=LAST))


def _dilations(options: tflite.Conv2DOptions | tflite.DepthwiseConv2DOptions) -> list[int]:
    return [options.DilationHFactor(), options.DilationWFactor()]


def _pads(
    size: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], padding: int
) -> list[int]:
    """Padding before each dimension, then after each: SAME puts the odd element behind."""
    if min([*kernel, *strides, *dilations]) < 1:
        raise RefusedError("its kernel, strides or dilations are below 1")
    if padding == tflite.Padding.VALID:
        return [0, 0, 0, 0]
    if padding != tflite.Padding.SAME:
        raise RefusedError(f"padding {padding} does not exist")
    before, after = [], []
    for extent, k, stride, dilation in zip(size, kernel, strides, dilations, strict=True):
        total = max((-(-extent // stride) - 1) * stride + (k - 1) * dilation + 1 - extent, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return [*before, *after]


def _weights(call: TfliteCall, index: int, order: Sequence[int], image: int = 0) -> tuple[str, Quantization | None]:
    """Input `index` with its axes in `order`, and the scale of one step of the accumulator, if it has one.

    That scale is the image's times the weights', for each output channel if the weights have several.
    """
    tensor, activations = call.tensor(index), call.tensor(image)
    _check_mixture([activations, tensor, call.out()])
    if not tensor.is_quantized or tensor.quantization is None or activations.quantization is None:
        if tensor.data is None:
            return call.node("Transpose", call.real(index), perm=order), None
        return call.constant(np.ascontiguousarray(tensor.data.transpose(order)), "weights"), None
    product = activations.quantization.scale.astype(np.float64) * tensor.quantization.scale.astype(np.float64)
    step = Quantization(product.astype(np.float32), np.zeros(product.shape, np.int64), 0)
    if tensor.data is None:
        return call.node("Transpose", call.real(index), perm=order), step
    if tensor.quantization.scale.size > 1 and tensor.shape[tensor.quantization.axis] != call.out().shape[-1]:
        raise RefusedError("its weights have several scales, but not one for each output channel")
    stored = call.constant(np.ascontiguousarray(tensor.data.transpose(order)), "weights")
    axis = list(order).index(tensor.quantization.axis) if tensor.quantization.scale.size > 1 else 0
    return call.dequantize(stored, tensor.dtype, tensor.quantization, axis), step


def _bias(call: TfliteCall, index: int, step: Quantization | None) -> list[str]:
    """The bias, in steps of the accumulator: kernels add it there, whatever scale the file notes beside it."""
    if not call.has(index):
        return []
    tensor = call.tensor(index)
    if step is None:
        return [call.real(index)]
    values = call.value(index, "bias")
    if values.dtype.name not in ("int32", "int64"):
        raise RefusedError(f"its bias has element type {values.dtype}")
    limits = np.iinfo(np.int32)
    if values.size and (values.min() < limits.min or values.max() > limits.max):
        raise RefusedError(f"its bias '{tensor.name}' does not fit 32 bits")
    return [call.dequantize(call.constant(values, "bias", "int32"), "int32", step)]


def _check_mixture(tensors: Sequence[TfliteTensor]) -> None:
    """Refuse kernels that quantize at run time: float activations, 8-bit weights."""
    if len({tensor.is_quantized for tensor in tensors}) > 1:
        kinds = ", ".join(f"'{t.name}' {t.dtype}{'' if t.is_quantized else ' without a scale'}" for t in tensors)
        raise RefusedError(f"it mixes quantized and other tensors: {kinds}")
