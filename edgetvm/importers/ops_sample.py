"""Sampling an image at real coordinates: GridSample, DeformConv, RoiAlign."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from typing import Any

from tvm import te, tirx
from tvm.ir import Expr

from .convert import Call
from .graph import RefusedError
from .te_kernel import kernel, reduce_axis
from .te_pointwise import like
from .te_reducers import maximum

Load = Callable[[list[Any]], Any]


def linear(x: Any) -> list[tuple[Any, Any]]:
    """The two neighbours of `x` and their weights."""
    base = te.floor(x)
    return [(base, like(x, 1) - (x - base)), (base + like(x, 1), x - base)]


def cubic(x: Any) -> list[tuple[Any, Any]]:
    """The four neighbours of `x` and their weights by Keys' kernel with a = -0.75."""
    a, base = -0.75, te.floor(x)
    taps = []
    for offset in (-1, 0, 1, 2):
        place = base + like(x, offset)
        d = te.abs(x - place)
        if offset in (0, 1):
            weight = (like(x, a + 2) * d - like(x, a + 3)) * d * d + like(x, 1)
        else:
            weight = ((like(x, a) * d - like(x, 5 * a)) * d + like(x, 8 * a)) * d - like(x, 4 * a)
        taps.append((place, weight))
    return taps


def blended(load: Load, taps: Sequence[Sequence[tuple[Any, Any]]]) -> Any:
    """Sum of ``load(places)`` over every combination of one tap for each dimension."""
    total = None
    for combination in product(*taps):
        weight = combination[0][1]
        for _, factor in combination[1:]:
            weight = weight * factor
        term = weight * load([place for place, _ in combination])
        total = term if total is None else total + term
    return total


def inner(places: Sequence[Any], extents: Sequence[int]) -> tuple[Any, list[Any]]:
    """Whether real-valued `places` lie in the image, and as indices that are safe to load."""
    checks, safe = [], []
    for place, extent in zip(places, extents, strict=True):
        checks += [place >= like(place, 0), place <= like(place, extent - 1)]
        safe.append(tirx.max(tirx.min(place, like(place, extent - 1)), like(place, 0)).astype("int64"))
    return tirx.all(*checks), safe


def reflected(x: Any, low: float, high: float) -> Any:
    """`x` folded back and forth into low..high."""
    span = like(x, high - low)
    distance = te.abs(x - like(x, low))
    turns = te.floor(distance / span)
    rest = distance - turns * span
    even = turns - te.floor(turns / like(x, 2)) * like(x, 2) == like(x, 0)
    return tirx.Select(even, rest + like(x, low), like(x, high) - rest)


def grid_sample(call: Call) -> Expr:
    """GridSample in any number of dimensions."""
    shape = call.type().shape
    extents, dtype = shape[2:], call.out().dtype
    corners = bool(call.attr("align_corners", 0))
    padding = call.attr("padding_mode", "zeros")
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(call.attr("mode", "linear"), call.attr("mode", "linear"))
    if mode not in ("linear", "nearest", "cubic") or padding not in ("zeros", "border", "reflection"):
        raise RefusedError(f"mode {mode} with padding {padding} is not supported")

    def border(extent: int) -> tuple[float, float]:
        return (0.0, extent - 1.0) if corners else (-0.5, extent - 0.5)

    def kept(x: Any, extent: int) -> Any:
        if padding == "border":
            return tirx.max(tirx.min(x, like(x, extent - 1)), like(x, 0))
        if padding == "zeros" or (extent == 1 and corners):
            return x
        return reflected(x, *border(extent))

    def element(x: te.Tensor, grid: te.Tensor, index: tuple[Any, ...]) -> Any:
        coordinates = []
        for d, extent in enumerate(extents):
            g = grid(index[0], *index[2:], len(extents) - 1 - d)
            if corners:
                place = (g + like(g, 1)) * like(g, (extent - 1) / 2)
            else:
                place = ((g + like(g, 1)) * like(g, extent) - like(g, 1)) * like(g, 0.5)
            place = tirx.nearbyint(place) if mode == "nearest" else place
            outside = tirx.any(place < like(g, border(extent)[0]), place > like(g, border(extent)[1]))
            coordinates.append(place if padding == "zeros" else tirx.Select(outside, kept(place, extent), place))

        def load(places: list[Any]) -> Any:
            within, safe = inner([kept(p, e) for p, e in zip(places, extents, strict=True)], extents)
            return tirx.Select(within, x(*index[:2], *safe), tirx.const(0, dtype)).astype(coordinates[0].ty.dtype)

        if mode == "nearest":
            return load(coordinates).astype(dtype)
        method = linear if mode == "linear" else cubic
        return blended(load, [method(c) for c in coordinates]).astype(dtype)

    def compute(x: te.Tensor, grid: te.Tensor) -> te.Tensor:
        return kernel(call.out().shape, lambda *i: element(x, grid, i), name="grid_sample")

    return call.te(compute, call.x(), call.x(1), name="grid_sample")


def deform_conv(call: Call) -> Expr:
    """DeformConv in two dimensions: every tap of the kernel is displaced by its own offset."""
    shape, weights = call.type().shape, call.type(1).shape
    if len(shape) != 4:
        raise RefusedError("only two dimensions are supported")
    extents, taps = shape[2:], weights[2:]
    strides, dilations = call.attr("strides", [1, 1]), call.attr("dilations", [1, 1])
    pads, groups, offset_groups = call.attr("pads", [0] * 4), call.attr("group", 1), call.attr("offset_group", 1)
    per_group, per_offset = weights[1], shape[1] // offset_groups
    filters = weights[0] // groups

    def compute(x: te.Tensor, w: te.Tensor, offset: te.Tensor, *rest: te.Tensor) -> te.Tensor:
        mask = rest[-1] if call.has(4) else None
        c = reduce_axis(per_group, name="c")
        ks = [reduce_axis(k, name=f"k{d}") for d, k in enumerate(taps)]

        def term(n: Any, m: Any, oh: Any, ow: Any) -> Any:
            channel = c.var + te.indexdiv(m, filters) * per_group
            tap = te.indexdiv(channel, per_offset) * prod(taps) + ks[0].var * taps[1] + ks[1].var
            places = []
            for d, o in enumerate((oh, ow)):
                start = o * strides[d] - pads[d] + ks[d].var * dilations[d]
                places.append(start.astype("float32") + offset(n, tap * 2 + d, oh, ow))

            def load(at: list[Any]) -> Any:
                within, safe = inner(at, extents)
                return tirx.Select(within, x(n, channel, *safe), tirx.const(0, x.dtype))

            value = blended(load, [linear(p) for p in places]) * w(m, c.var, ks[0].var, ks[1].var)
            return value * mask(n, tap, oh, ow) if mask is not None else value

        total = kernel(call.out().shape, lambda *i: te.sum(term(*i), axis=[c, *ks]), name="deform_conv")
        if not call.has(3):
            return total
        return kernel(call.out().shape, lambda *i: total(*i) + rest[0](i[1]), name="biased")

    if call.out().dtype != "float32":
        raise RefusedError(f"element type {call.out().dtype} is not supported")
    return call.te(compute, *[call.x(i) for i in range(call.count) if call.has(i)], name="deform_conv")


def roi_align(call: Call) -> Expr:
    """RoiAlign with a fixed number of samples for each bin."""
    height, width = call.type().shape[2:]
    out = call.out().shape
    grid = call.attr("sampling_ratio", 0)
    if grid <= 0:
        raise RefusedError("sampling_ratio 0, whose number of samples depends on the regions, is not supported")
    half = call.attr("coordinate_transformation_mode", "half_pixel" if call.node.version >= 16 else "output_half_pixel")
    shift, scale = (0.5 if half == "half_pixel" else 0.0), call.attr("spatial_scale", 1.0)
    average = call.attr("mode", "avg") == "avg"

    def coordinate(rois: te.Tensor, n: Any, d: int, bin_: Any, sample: Any) -> Any:
        """Along width (0) or height (1)."""
        first, last = (rois(n, d + 2 * end) * like(rois(n, 0), scale) - like(rois(n, 0), shift) for end in (0, 1))
        size = last - first if shift else tirx.max(last - first, like(first, 1))
        step = size / like(size, out[3 - d])
        fraction = (sample.astype(first.ty.dtype) + like(first, 0.5)) / like(first, grid)
        return first + (bin_.astype(first.ty.dtype) + fraction) * step

    def taps(x: Any, extent: int) -> list[tuple[Any, Any]]:
        x = tirx.max(x, like(x, 0))
        low = tirx.min(te.floor(x), like(x, extent - 1))
        rest = tirx.Select(low >= like(x, extent - 1), like(x, 0), x - low)
        return [(low, like(x, 1) - rest), (tirx.min(low + like(x, 1), like(x, extent - 1)), rest)]

    def compute(x: te.Tensor, rois: te.Tensor, batches: te.Tensor) -> te.Tensor:
        sy, sx = reduce_axis(grid, name="sy"), reduce_axis(grid, name="sx")

        def sample(n: Any, c: Any, ph: Any, pw: Any) -> Any:
            xx, yy = coordinate(rois, n, 0, pw, sx.var), coordinate(rois, n, 1, ph, sy.var)
            batch = tirx.max(tirx.min(batches(n), like(batches(n), int(x.shape[0]) - 1)), like(batches(n), 0))
            zero = like(xx, 0)
            within = tirx.all(yy >= like(yy, -1), yy <= like(yy, height), xx >= like(xx, -1), xx <= like(xx, width))
            pairs = product(taps(yy, height), taps(xx, width))
            values = [wy * wx * x(batch, c, y.astype("int64"), x_.astype("int64")) for (y, wy), (x_, wx) in pairs]
            if average:
                return tirx.Select(within, values[0] + values[1] + values[2] + values[3], zero)
            top = tirx.max(tirx.max(values[0], values[1]), tirx.max(values[2], values[3]))
            return tirx.Select(within, top, zero)

        reducer = te.sum if average else maximum
        pooled = kernel(out, lambda *i: reducer(sample(*i), axis=[sy, sx]), name="roi_align")
        if not average:
            return pooled
        return kernel(out, lambda *i: pooled(*i) / like(pooled(*i), grid * grid), name="mean")

    return call.te(compute, call.x(), call.x(1), call.x(2), name="roi_align")
