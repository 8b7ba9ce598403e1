"""TensorFlow Lite's resizes of images, in ONNX's terms of coordinates."""

from __future__ import annotations

from .graph import RefusedError
from .tflite_call import TfliteCall
from .tflite_layers import FIRST, LAST, image_shape


def resize_bilinear(call: TfliteCall) -> None:
    """RESIZE_BILINEAR."""
    options = call.options("ResizeBilinearOptions")
    coordinates = _coordinates(options.AlignCorners(), options.HalfPixelCenters())
    call.give(_resize(call, call.real(), mode="linear", coordinate_transformation_mode=coordinates))


def resize_nearest(call: TfliteCall) -> None:
    """RESIZE_NEAREST_NEIGHBOR: floor of the coordinate; with corners aligned or half pixels, half goes up."""
    options = call.options("ResizeNearestNeighborOptions")
    coordinates = _coordinates(options.AlignCorners(), options.HalfPixelCenters())
    nearest = "floor" if coordinates == "asymmetric" else "round_prefer_ceil"
    call.give_moved(
        _resize(call, call.moved(), mode="nearest", coordinate_transformation_mode=coordinates, nearest_mode=nearest)
    )


def _coordinates(align_corners: bool, half_pixel_centers: bool) -> str:
    if align_corners and half_pixel_centers:
        raise RefusedError("it both aligns corners and centers pixels")
    if align_corners:
        return "align_corners"
    return "half_pixel" if half_pixel_centers else "asymmetric"


def _resize(call: TfliteCall, value: str, **attributes: str) -> str:
    batch, _, _, channels = image_shape(call.tensor())
    size = call.ints(1, "size")
    if len(size) != 2 or min(size) < 1:
        raise RefusedError(f"its size is {size}")
    value = call.node("Transpose", value, perm=FIRST)
    sizes = call.constant([batch, channels, *size], "sizes", "int64")
    value = call.node("Resize", value, "", "", sizes, **attributes)
    return call.node("Transpose", value, perm=LAST)
