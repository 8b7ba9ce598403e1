"""Resize and Upsample: tables of taps made at import, one pass for each axis that changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import Expr

from .convert import Call, normal_axis
from .graph import RefusedError
from .resize_taps import Method, Taps, resize_taps
from .te_kernel import kernel


def upsample(call: Call) -> Expr:
    """Upsample: a Resize that maps by `asymmetric` and rounds down."""
    scales = call.attr("scales") if call.node.version < 9 else call.need(1, "scales").reshape(-1)
    method = Method(call.attr("mode", "nearest"), "asymmetric", "floor", -0.75, False, False)
    return _resize(call, method, [float(s) for s in scales], [(0.0, 1.0)] * len(scales))


def resize(call: Call) -> Expr:
    """Resize by scales or to sizes."""
    if call.node.version < 11:
        return upsample(call)
    rank = len(call.type().shape)
    mode = call.attr("mode", "nearest")
    method = Method(
        mode,
        call.attr("coordinate_transformation_mode", "half_pixel"),
        call.attr("nearest_mode", "round_prefer_floor"),
        call.attr("cubic_coeff_a", -0.75),
        bool(call.attr("antialias", 0)),
        bool(call.attr("exclude_outside", 0)),
    )
    if mode not in ("nearest", "linear", "cubic"):
        raise RefusedError(f"mode {mode} is not supported")
    axes = [normal_axis(axis, rank) for axis in call.attr("axes", range(rank))]
    roi = [(0.0, 1.0)] * rank
    if method.coordinates == "tf_crop_and_resize" and call.has(1):
        corners = call.need(1, "region of interest").reshape(-1)
        for place, axis in enumerate(axes):
            roi[axis] = (float(corners[place]), float(corners[place + len(axes)]))
    return _resize(call, method, _scales(call, axes), roi)


def _scales(call: Call, axes: list[int]) -> list[float]:
    """The factor of every axis, as given or as the output's shape has it."""
    shape, out = call.type().shape, call.out().shape
    scales = [1.0] * len(shape)
    given = call.type(2).size if call.has(2) else 0
    if given:
        for axis, scale in zip(axes, call.need(2, "scales").reshape(-1), strict=True):
            scales[axis] = float(scale)
        return scales
    policy = call.attr("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return [o / i for o, i in zip(out, shape, strict=True)]
    factors = [size / shape[axis] for axis, size in zip(axes, call.need(3, "sizes").reshape(-1).tolist(), strict=True)]
    for axis in axes:
        scales[axis] = min(factors) if policy == "not_larger" else max(factors)
    return scales


def _resize(call: Call, method: Method, scales: list[float], roi: list[tuple[float, float]]) -> Expr:
    shape, out = call.type().shape, call.out().shape
    crop = method.coordinates == "tf_crop_and_resize"
    taps = {
        axis: resize_taps(method, size, out[axis], scales[axis], roi[axis])
        for axis, size in enumerate(shape)
        if size != out[axis] or scales[axis] != 1.0 or (crop and roi[axis] != (0.0, 1.0))
    }
    if not taps:
        return call.x()
    if method.mode == "nearest":
        result = _pick(call, taps)
    else:
        dtype = call.out().dtype
        wide = dtype if dtype in ("float32", "float64") else "float32"
        result = call.x() if wide == dtype else call.emit(relax.op.astype(call.x(), wide))
        for axis, table in taps.items():
            result = _blend(call, result, axis, table, wide)
        result = result if wide == dtype else call.emit(relax.op.astype(result, dtype))
    if any(table.outside.any() for table in taps.values()):
        return _extrapolate(call, result, taps)
    return result


def _pick(call: Call, taps: dict[int, Taps]) -> Expr:
    """Every output element is one input element; tables that are a division are computed instead."""
    shape, out = call.type().shape, call.out().shape
    tables: dict[int, Expr] = {}
    for axis, table in taps.items():
        if not np.array_equal(table.places[:, 0], np.arange(out[axis]) * shape[axis] // out[axis]):
            tables[axis] = call.constant(table.places[:, 0], "int32")

    def compute(x: te.Tensor, *operands: te.Tensor) -> te.Tensor:
        loaded = dict(zip(tables, operands, strict=True))

        def place(axis: int, i: Any) -> Any:
            if axis in loaded:
                return loaded[axis](i).astype("int64")
            return te.indexdiv(i * shape[axis], out[axis]) if axis in taps else i

        return kernel(out, lambda *i: x(*[place(axis, v) for axis, v in enumerate(i)]), name="resize")

    return call.te(compute, call.x(), *tables.values(), name="resize")


def _blend(call: Call, x: Expr, axis: int, taps: Taps, dtype: str) -> Expr:
    """Weighted sums along one axis."""
    shape = [int(d) for d in x.ty.shape.values]
    shape[axis] = len(taps.places)
    count = taps.places.shape[1]

    def compute(x: te.Tensor, places: te.Tensor, weights: te.Tensor) -> te.Tensor:
        def element(i: tuple[Any, ...]) -> Any:
            total = tirx.const(0, dtype)
            for tap in range(count):
                source = places(i[axis], tap).astype("int64")
                total = total + weights(i[axis], tap) * x(*i[:axis], source, *i[axis + 1 :])
            return total

        return kernel(shape, lambda *i: element(i), name="resize")

    tables = call.constant(taps.places, "int32"), call.constant(taps.weights, dtype)
    return call.te(compute, x, *tables, name="resize", mark="Interpolate", axis=axis)


def _extrapolate(call: Call, x: Expr, taps: dict[int, Taps]) -> Expr:
    masks = {axis: call.constant(table.outside, "bool") for axis, table in taps.items()}
    value = call.attr("extrapolation_value", 0.0)

    def compute(x: te.Tensor, *operands: te.Tensor) -> te.Tensor:
        def element(i: tuple[Any, ...]) -> Any:
            outside = [mask(i[axis]) for axis, mask in zip(masks, operands, strict=True)]
            return tirx.Select(tirx.any(*outside), tirx.const(value, x.dtype), x(*i))

        return kernel(call.out().shape, lambda *i: element(i), name="extrapolate")

    return call.te(compute, x, *masks.values(), name="extrapolate")
