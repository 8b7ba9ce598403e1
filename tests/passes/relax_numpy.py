"""Runs the operators of a Relax function in numpy: the independent oracle of the graph passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tvm
from tvm import relax


def _mean(x: np.ndarray, attrs: Any) -> np.ndarray:
    return x.mean(_axis(attrs), keepdims=bool(attrs.keepdims))


def _softmax(x: np.ndarray, attrs: Any) -> np.ndarray:
    power = np.exp(x - x.max(int(attrs.axis), keepdims=True))
    return power / power.sum(int(attrs.axis), keepdims=True)


def _axis(attrs: Any) -> tuple[int, ...] | None:
    return None if attrs.axis is None else tuple(map(int, attrs.axis))


_WITH_ATTRIBUTES: dict[str, Callable[[np.ndarray, Any], np.ndarray]] = {
    "permute_dims": lambda x, attrs: x.transpose(None if attrs.axes is None else [int(axis) for axis in attrs.axes]),
    "sum": lambda x, attrs: x.sum(_axis(attrs), keepdims=bool(attrs.keepdims)),
    "max": lambda x, attrs: x.max(_axis(attrs), keepdims=bool(attrs.keepdims)),
    "mean": _mean,
    "variance": lambda x, attrs: x.var(_axis(attrs), keepdims=bool(attrs.keepdims)),
    "nn.softmax": _softmax,
    "astype": lambda x, attrs: x.astype(str(attrs.dtype)),
}
_PLAIN: dict[str, Callable[..., np.ndarray]] = {
    "nn.relu": lambda x: np.maximum(x, 0),
    "negative": np.negative,
    "tanh": np.tanh,
    "clip": np.clip,
    "add": np.add,
    "multiply": np.multiply,
    "maximum": np.maximum,
    "greater": np.greater,
    "where": np.where,
    "matmul": np.matmul,
}


def run(module: tvm.IRModule, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of `main`."""
    main = module["main"]
    values: dict[relax.Var, Any] = dict(zip(main.params, inputs, strict=True))

    def value(expr: tvm.ir.Expr) -> Any:
        if isinstance(expr, relax.Var):
            return values[expr]
        if isinstance(expr, tvm.ir.GenericConst):
            return expr.value.numpy()
        if isinstance(expr, tvm.ir.Tuple):
            return [value(field) for field in expr.fields]
        if isinstance(expr, tvm.ir.TupleGetItem):
            return value(expr.tuple_value)[expr.index]
        if isinstance(expr, tvm.ir.Call):
            return call(expr)
        return expr.value  # a plain number, as clip has them

    def call(expr: tvm.ir.Call) -> Any:
        name = expr.op.name.removeprefix("relax.")
        if name == "reshape":
            return value(expr.args[0]).reshape([int(extent) for extent in expr.ty.shape])
        operands = [value(arg) for arg in expr.args]
        if name == "concat":
            return np.concatenate(operands[0], int(expr.attrs.axis))
        if name == "split":
            return np.split(operands[0], [int(at) for at in expr.attrs.indices_or_sections], int(expr.attrs.axis))
        if name == "einsum":
            return np.einsum(str(expr.attrs.subscripts), *operands[0])
        if name in _WITH_ATTRIBUTES:
            return _WITH_ATTRIBUTES[name](operands[0], expr.attrs)
        return _PLAIN[name](*operands)

    for block in main.body.blocks:
        for binding in block.bindings:
            values[binding.var] = value(binding.value)
    result = value(main.body.body)
    return result if isinstance(result, list) else [result]
