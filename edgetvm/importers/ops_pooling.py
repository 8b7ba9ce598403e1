"""Pooling. Max and average pools of one or two dimensions run channels last, as Relax operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import relax, te, tirx
from tvm.ir import Expr

from .convert import Call, Converter
from .graph import RefusedError
from .ops_convolution import channels_first, channels_last, check_same, explicit_pads
from .te_kernel import kernel, reduce_axis
from .te_reducers import lowest, maximum


@dataclass(frozen=True)
class Window:
    """Geometry of a pool: one entry for each spatial dimension.

    `after` pads up to the last window, whatever rule of rounding led to the output's shape;
    `declared_after` is what the model asks for and what counts as padding.
    """

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    before: list[int]
    after: list[int]
    declared_after: list[int]


def _window(call: Call) -> Window:
    sizes, out = call.type().shape[2:], call.out().shape[2:]
    spatial = len(sizes)
    kernel = [int(k) for k in call.attr("kernel_shape")]
    strides = [int(s) for s in call.attr("strides", [1] * spatial)]
    dilations = [int(d) for d in call.attr("dilations", [1] * spatial)]
    before, after = explicit_pads(call, sizes, kernel, strides, dilations)
    if len(kernel) != spatial or min([*before, *after]) < 0 or min([*kernel, *strides, *dilations]) < 1:
        raise RefusedError("its kernel or padding does not fit its input")
    if call.attr("auto_pad", "NOTSET").startswith("SAME"):
        check_same(out, [-(-size // stride) for size, stride in zip(sizes, strides, strict=True)])
    reach = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in zip(out, strides, kernel, dilations, strict=True)]
    needed = [max(r - i - b, 0) for r, i, b in zip(reach, sizes, before, strict=True)]
    return Window(kernel, strides, dilations, before, needed, after)


def max_pool(call: Call) -> Expr | list[Expr | None]:
    """MaxPool, with the flat index of each maximum if that is asked for."""
    window = _window(call)
    if call.wants(1):
        return [_over_window(call, window, _maximum), _arg_max(call, window)]
    if len(window.kernel) > 2:
        return _over_window(call, window, _maximum)
    return _relax_pool(call, window, relax.op.nn.max_pool2d, counted=False)


def average_pool(call: Call) -> Expr:
    """AveragePool, padding counted or not; windows cut short by ceil_mode count what lies inside."""
    window = _window(call)
    counted = bool(call.attr("count_include_pad", 0))
    beyond = any(n > a for n, a in zip(window.after, window.declared_after, strict=True))
    if len(window.kernel) > 2 or (counted and beyond) or call.out().dtype == "float16":
        return _over_window(call, window, _average(counted))
    return _relax_pool(call, window, relax.op.nn.avg_pool2d, counted)


def lp_pool(call: Call) -> Expr:
    """LpPool: the p-norm of each window."""
    return _over_window(call, _window(call), _norm(call.attr("p", 2)))


def global_pool(operator: Callable[[Call, Expr, list[int], bool], Expr]) -> Converter:
    """A converter of a pool over every spatial dimension by a reduction."""

    def convert(call: Call) -> Expr:
        rank, dtype = len(call.type().shape), call.out().dtype
        x = channels_last(call, call.x(), rank)
        x = call.emit(relax.op.astype(x, "float32")) if dtype == "float16" else x
        result = operator(call, x, list(range(1, rank - 1)), True)
        result = call.emit(relax.op.astype(result, dtype)) if dtype == "float16" else result
        return channels_first(call, result, rank)

    return convert


def global_lp_pool(call: Call) -> Expr:
    """GlobalLpPool."""
    sizes = list(call.type().shape[2:])
    ones, zeros = [1] * len(sizes), [0] * len(sizes)
    return _over_window(call, Window(sizes, ones, ones, zeros, zeros, zeros), _norm(call.attr("p", 2)))


def _relax_pool(call: Call, window: Window, operator: Callable[..., Expr], counted: bool) -> Expr:
    rank = len(call.type().shape)
    x = channels_last(call, call.x(), rank)
    kernel, strides, dilations = window.kernel, window.strides, window.dilations
    before, after = window.before, window.after
    if rank == 3:
        x = call.emit(relax.op.expand_dims(x, 1))
        kernel, strides, dilations = [1, *kernel], [1, *strides], [1, *dilations]
        before, after = [0, *before], [0, *after]
    pads = [*before, *after]
    result = call.emit(operator(x, kernel, strides, pads, dilations, False, counted, "NHWC", "NHWC"))
    result = call.emit(relax.op.squeeze(result, [1])) if rank == 3 else result
    return channels_first(call, result, rank)


Pool = Callable[[Call, Window, te.Tensor], te.Tensor]


def _over_window(call: Call, window: Window, pool: Pool) -> Expr:
    return call.te(lambda x: pool(call, window, x), call.x(), name="pool")


def _taps(window: Window, name: str = "k") -> list[Any]:
    return [reduce_axis(k, name=f"{name}{d}") for d, k in enumerate(window.kernel)]


def _places(window: Window, index: Sequence[Any], taps: Sequence[Any]) -> list[Any]:
    """Input coordinates of each tap of the window at spatial `index`; they may lie outside."""
    return [
        i * s + k.var * d - b
        for i, k, s, d, b in zip(index, taps, window.strides, window.dilations, window.before, strict=True)
    ]


def _load(x: te.Tensor, index: Sequence[Any], places: Sequence[Any], outside: Any) -> Any:
    extents = [int(e) for e in x.shape[2:]]
    inside = [c for p, e in zip(places, extents, strict=True) for c in (p >= 0, p < e)]
    safe = [
        tirx.max(tirx.min(p, tirx.const(e - 1, "int64")), tirx.const(0, "int64"))
        for p, e in zip(places, extents, strict=True)
    ]
    return tirx.if_then_else(tirx.all(*inside), x(*index[:2], *safe), outside)


def _maximum(call: Call, window: Window, x: te.Tensor) -> te.Tensor:
    taps, outside = _taps(window), lowest(str(x.dtype))
    return kernel(
        call.out().shape,
        lambda *i: maximum(_load(x, i, _places(window, i[2:], taps), outside), axis=taps),
        name="max_pool",
    )


def _arg_max(call: Call, window: Window) -> Expr:
    """Flat index into the whole input of the first maximum, rows or (storage_order 1) columns first."""
    shape = call.type().shape
    by_column = bool(call.attr("storage_order", 0))

    def compute(x: te.Tensor) -> te.Tensor:
        best = _maximum(call, window, x)
        taps, far = _taps(window, "j"), te.max_value("int64")

        def number(index: tuple[Any, ...]) -> Any:
            places = _places(window, index[2:], taps)
            flat = tirx.const(0, "int64")
            for p, extent in zip(places, shape[2:], strict=True):
                flat = flat * extent + p
            hit = _load(x, index, places, lowest(str(x.dtype))) == best(*index)
            inside = [c for p, e in zip(places, shape[2:], strict=True) for c in (p >= 0, p < e)]
            return te.min(tirx.Select(tirx.all(hit, *inside), flat, far), axis=taps)

        first = kernel(call.out().shape, lambda *i: number(i), name="first")

        def element(index: tuple[Any, ...]) -> Any:
            flat, size = first(*index), call.type().size // (shape[0] * shape[1])
            if by_column:
                coordinates = []
                for extent in reversed(shape[2:]):
                    coordinates.append(te.indexmod(flat, extent))
                    flat = te.indexdiv(flat, extent)
                flat = tirx.const(0, "int64")
                for c, extent in zip(coordinates, reversed(shape[2:]), strict=True):
                    flat = flat * extent + c
            return (index[0] * shape[1] + index[1]) * size + flat

        return kernel(call.out(1).shape, lambda *i: element(i), name="arg_max_pool")

    return call.te(compute, call.x(), name="arg_max_pool")


def _average(counted: bool) -> Pool:
    def pool(call: Call, window: Window, x: te.Tensor) -> te.Tensor:
        dtype = call.out().dtype
        wide = "float32" if dtype == "float16" else dtype
        taps = _taps(window)
        total = kernel(
            call.out().shape,
            lambda *i: te.sum(_load(x, i, _places(window, i[2:], taps), tirx.const(0, dtype)).astype(wide), axis=taps),
            name="total",
        )

        def mean(index: tuple[Any, ...]) -> Any:
            count = tirx.const(1, "int64")
            for d, i in enumerate(index[2:]):
                low = -window.before[d] if counted else 0
                high = int(x.shape[d + 2]) + (window.declared_after[d] if counted else 0)
                count = count * _inside(i * window.strides[d] - window.before[d], window, d, low, high)
            return (total(*index) / count.astype(wide)).astype(dtype)

        return kernel(call.out().shape, lambda *i: mean(i), name="average_pool")

    return pool


def _inside(start: Any, window: Window, d: int, low: int, high: int) -> Any:
    """How many taps ``start + k * dilation`` of dimension `d` lie in low..high."""
    dilation = window.dilations[d]
    first = tirx.max(te.floordiv(low - start + dilation - 1, dilation), tirx.const(0, "int64"))
    last = tirx.min(te.floordiv(high - 1 - start, dilation), tirx.const(window.kernel[d] - 1, "int64"))
    return tirx.max(last - first + 1, tirx.const(1, "int64"))


def _norm(p: int) -> Pool:
    def pool(call: Call, window: Window, x: te.Tensor) -> te.Tensor:
        dtype = call.out().dtype
        wide = "float32" if dtype == "float16" else dtype
        taps = _taps(window)

        def power(value: Any, exponent: float) -> Any:
            if exponent in (1, 2):
                return value if exponent == 1 else value * value
            return te.sqrt(value) if exponent == 0.5 else te.power(value, tirx.const(exponent, wide))

        def term(index: tuple[Any, ...]) -> Any:
            return power(
                te.abs(_load(x, index, _places(window, index[2:], taps), tirx.const(0, dtype)).astype(wide)), p
            )

        total = kernel(call.out().shape, lambda *i: te.sum(term(i), axis=taps), name="total")
        return kernel(call.out().shape, lambda *i: power(total(*i), 1 / p).astype(dtype), name="lp_pool")

    return pool


def max_unpool(call: Call) -> Expr:
    """MaxUnpool: put every value where its index says, zero elsewhere."""
    shape, full = call.type().shape, call.out().shape
    size, spatial = shape[2:], len(shape) - 2
    strides, pads = call.attr("strides", [1] * spatial), call.attr("pads", [0] * 2 * spatial)
    # Indices count in the shape that the pool undone here had; a larger output_shape pads it.
    pooled = [
        (size[d] - 1) * strides[d] + call.attr("kernel_shape")[d] - pads[d] - pads[d + spatial] for d in range(spatial)
    ]

    def compute(x: te.Tensor, indices: te.Tensor) -> te.Tensor:
        taps = [reduce_axis(e, name=f"k{d}") for d, e in enumerate(size)]

        def term(index: tuple[Any, ...]) -> Any:
            flat = tirx.const(0, "int64")
            for i, extent in zip(index, [*shape[:2], *pooled], strict=True):
                flat = flat * extent + i
            place = (*index[:2], *[k.var for k in taps])
            inside = [i < e for i, e in zip(index[2:], pooled, strict=True)]
            return tirx.Select(tirx.all(indices(*place) == flat, *inside), x(*place), tirx.const(0, x.dtype))

        return kernel(full, lambda *i: te.sum(term(i), axis=taps), name="max_unpool")

    return call.te(compute, call.x(), call.x(1), name="max_unpool")
