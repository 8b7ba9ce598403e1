"""Reducers that TE lacks. Its own max starts at the lowest finite number, and so loses an all -inf row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import te, tirx

from .graph import FLOATS

product = te.comm_reducer(lambda x, y: x * y, lambda dtype: tirx.const(1, dtype), name="product")


def lowest(dtype: str) -> Any:
    """The identity of max."""
    return tirx.const(float("-inf"), dtype) if dtype in FLOATS else te.min_value(dtype)


def highest(dtype: str) -> Any:
    """The identity of min."""
    return tirx.const(float("inf"), dtype) if dtype in FLOATS else te.max_value(dtype)


maximum: Callable[..., Any] = te.comm_reducer(
    lambda x, y: tirx.max(x, y), lambda dtype: lowest(str(dtype)), name="maximum"
)
minimum: Callable[..., Any] = te.comm_reducer(
    lambda x, y: tirx.min(x, y), lambda dtype: highest(str(dtype)), name="minimum"
)
