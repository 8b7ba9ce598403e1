"""TensorFlow Lite operators that move values, or pick some of them: what they store stays as it is."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from .convert import normal_axis
from .graph import RefusedError
from .tflite_activation import activate
from .tflite_call import TfliteCall, TfliteConverter
from .tflite_layers import FIRST, LAST, image_shape

_TO_THE_END = np.iinfo(np.int64).max


def reshape(call: TfliteCall) -> None:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: to the shape that the file notes for the output."""
    call.give_moved(call.node("Reshape", call.moved(), call.constant(call.out().shape, "shape", "int64")))


def transpose(call: TfliteCall) -> None:
    """TRANSPOSE."""
    call.give_moved(call.node("Transpose", call.moved(), perm=call.ints(1, "permutation")))


def pad(call: TfliteCall) -> None:
    """PAD with zero, PADV2 with a given number; widths [rank, 2]."""
    _pad(call, call.number(0.0, "fill") if call.operator.kind == "PAD" else _scalar(call, 2), "constant")


def mirror_pad(call: TfliteCall) -> None:
    """MIRROR_PAD without the border itself."""
    if call.options("MirrorPadOptions").Mode() != 0:
        raise RefusedError("its mode SYMMETRIC is not supported")
    _pad(call, "", "reflect")


def _pad(call: TfliteCall, fill: str, mode: str) -> None:
    rank = len(call.tensor().shape)
    widths = np.array(call.ints(1, "padding"), np.int64)
    if widths.size != 2 * rank or widths.min(initial=0) < 0:
        raise RefusedError(f"its padding {widths.tolist()} does not fit rank {rank}")
    if not call.tensor().is_quantized and call.tensor().dtype != "float32":
        raise RefusedError(f"it pads {call.tensor().dtype}, which is not supported")
    pads = call.constant(widths.reshape(rank, 2).T.reshape(-1), "pads")
    call.give_moved(call.node("Pad", call.moved(), pads, *([fill] if fill else []), mode=mode))


def _scalar(call: TfliteCall, index: int) -> str:
    return call.node("Reshape", call.moved(index), call.constant([], "scalar", "int64"))


def concatenate(call: TfliteCall) -> None:
    """CONCATENATION: its inputs may have scales of their own."""
    options = call.options("ConcatenationOptions")
    axis = normal_axis(options.Axis(), len(call.out().shape))
    value = call.node("Concat", *[call.moved(index) for index in range(call.count)], axis=axis)
    _give_joined(call, activate(call, value, options.FusedActivationFunction()))


def pack(call: TfliteCall) -> None:
    """PACK: along a new axis."""
    axis = normal_axis(call.options("PackOptions").Axis(), len(call.out().shape))
    where = call.constant([axis], "axis", "int64")
    parts = [call.node("Unsqueeze", call.moved(index), where) for index in range(call.count)]
    _give_joined(call, call.node("Concat", *parts, axis=axis))


def _give_joined(call: TfliteCall, value: str) -> None:
    if call.out().is_quantized:
        call.give(value)
    else:
        call.give_moved(value)


def split(call: TfliteCall) -> None:
    """SPLIT: inputs are the axis and the tensor; all parts are equal."""
    count = len(call.operator.outputs)
    axis = normal_axis(_single(call, 0, "axis"), len(call.tensor(1).shape))
    if call.tensor(1).shape[axis] % count:
        raise RefusedError(f"its axis of extent {call.tensor(1).shape[axis]} does not split into {count}")
    _split(call, 1, axis, [call.tensor(1).shape[axis] // count] * count)


def split_by_sizes(call: TfliteCall) -> None:
    """SPLIT_V: inputs are the tensor, the sizes, one of which may be -1, and the axis."""
    axis = normal_axis(_single(call, 2, "axis"), len(call.tensor().shape))
    sizes = call.ints(1, "sizes")
    rest = call.tensor().shape[axis] - sum(size for size in sizes if size >= 0)
    _split(call, 0, axis, [rest if size == -1 else size for size in sizes])


def unpack(call: TfliteCall) -> None:
    """UNPACK: the slices along an axis, without it."""
    axis = normal_axis(call.options("UnpackOptions").Axis(), len(call.tensor().shape))
    _split(call, 0, axis, [1] * len(call.operator.outputs), squeezed=True)


def _split(call: TfliteCall, source: int, axis: int, sizes: list[int], squeezed: bool = False) -> None:
    if len(sizes) != len(call.operator.outputs) or min(sizes) < 1:
        raise RefusedError(f"its sizes {sizes} do not fit its {len(call.operator.outputs)} outputs")
    given = call.constant(sizes, "sizes", "int64")
    parts = call.split_node("Split", call.moved(source), given, count=len(sizes), axis=axis)
    for index, part in enumerate(parts):
        value = call.node("Squeeze", part, call.constant([axis], "axis", "int64")) if squeezed else part
        call.give_moved(value, index, source)


def slice_(call: TfliteCall) -> None:
    """SLICE: begin and size of each axis; -1 is the rest."""
    begin, size = call.ints(1, "begin"), call.ints(2, "size")
    if len(begin) != len(size) or len(begin) != len(call.tensor().shape):
        raise RefusedError(f"its begin {begin} and size {size} do not fit its input")
    end = [_TO_THE_END if s == -1 else b + s for b, s in zip(begin, size, strict=True)]
    call.give_moved(_slice(call, begin, end, [1] * len(begin)))


def strided_slice(call: TfliteCall) -> None:
    """STRIDED_SLICE with masks for begin, end, and axes that it removes."""
    options = call.options("StridedSliceOptions")
    if options.EllipsisMask() or options.NewAxisMask() or options.Offset():
        raise RefusedError("an ellipsis, a new axis or an offset in its slice is not supported")
    begin, end, strides = call.ints(1, "begin"), call.ints(2, "end"), call.ints(3, "strides")
    if not len(begin) == len(end) == len(strides) <= len(call.tensor().shape) or 0 in strides:
        raise RefusedError(f"its begin {begin}, end {end} and strides {strides} do not fit its input")
    for axis, stride in enumerate(strides):
        extent = call.tensor().shape[axis]
        if options.ShrinkAxisMask() >> axis & 1:
            place = normal_axis(begin[axis], extent)
            begin[axis], end[axis], strides[axis] = place, place + 1, 1
            continue
        if options.BeginMask() >> axis & 1:
            begin[axis] = 0 if stride > 0 else extent - 1
        if options.EndMask() >> axis & 1:
            end[axis] = _TO_THE_END if stride > 0 else -_TO_THE_END
    value = _slice(call, begin, end, strides)
    if options.ShrinkAxisMask():
        value = call.node("Reshape", value, call.constant(call.out().shape, "shape", "int64"))
    call.give_moved(value)


def _slice(call: TfliteCall, begin: list[int], end: list[int], strides: list[int]) -> str:
    lists = [("begin", begin), ("end", end), ("axes", list(range(len(begin)))), ("strides", strides)]
    return call.node("Slice", call.moved(), *[call.constant(values, name, "int64") for name, values in lists])


def gather(call: TfliteCall) -> None:
    """GATHER along one axis."""
    options = call.options("GatherOptions")
    if options.BatchDims():
        raise RefusedError("its batch dimensions are not supported")
    axis = normal_axis(options.Axis(), len(call.tensor().shape))
    call.give_moved(call.node("Gather", call.moved(0), call.moved(1), axis=axis))


def blocks(operator: str, options: str) -> TfliteConverter:
    """DEPTH_TO_SPACE or SPACE_TO_DEPTH: the block's place counts before the channel."""

    def convert(call: TfliteCall) -> None:
        image_shape(call.tensor())
        value = call.node("Transpose", call.moved(), perm=FIRST)
        value = call.node(operator, value, blocksize=call.options(options).BlockSize())
        call.give_moved(call.node("Transpose", value, perm=LAST))

    return convert


def cast(call: TfliteCall) -> None:
    """CAST of what is stored; a quantized number is no number yet."""
    if call.tensor().is_quantized or call.out().is_quantized:
        raise RefusedError("a cast of quantized numbers is not supported")
    target = helper.np_dtype_to_tensor_dtype(np.dtype(call.out().dtype))
    value = call.node("Cast", call.stored(), to=target)
    call.give(value)


def reduce(operator: str, moves: bool = False) -> TfliteConverter:
    """MEAN, SUM, REDUCE_MAX, REDUCE_MIN over constant axes; an extreme is one of the values stored."""

    def convert(call: TfliteCall) -> None:
        keep = int(call.options("ReducerOptions").KeepDims())
        axes = [normal_axis(axis, len(call.tensor().shape)) for axis in call.ints(1, "axes")]
        value = call.moved() if moves else call.real()
        value = call.node(operator, value, call.constant(sorted(set(axes)), "axes", "int64"), keepdims=keep)
        (call.give_moved if moves else call.give)(value)

    return convert


def extreme_index(operator: str) -> TfliteConverter:
    """ARG_MAX or ARG_MIN: the first of equal values; int64 in ONNX, mostly int32 here."""

    def convert(call: TfliteCall) -> None:
        axis = normal_axis(_single(call, 1, "axis"), len(call.tensor().shape))
        value = call.node(operator, call.moved(), axis=axis, keepdims=0)
        if call.out().dtype != "int64":
            value = call.node("Cast", value, to=TensorProto.INT32)
        call.give(value)

    return convert


def _single(call: TfliteCall, index: int, what: str) -> int:
    values = call.ints(index, what)
    if len(values) != 1:
        raise RefusedError(f"its {what} is {values}")
    return values[0]
