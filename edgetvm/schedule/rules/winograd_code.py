"""What the parts of a Winograd kernel write alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tvm import tirx

from edgetvm.schedule.rules.winograd_transform import Algebra
from edgetvm.schedule.rules.write_code import Code, constant, lanes_of


def algebra(code: Code) -> Algebra:
    """That of vectors of float32."""
    return Algebra(
        lambda value: code.let("v", value), lambda value, factor: value * constant(factor, "float32", lanes_of(value))
    )


@contextmanager
def where(code: Code, condition: tirx.Expr, always: bool) -> Iterator[None]:
    """Statements that run where `condition` holds, which it may `always`."""
    if always:
        yield
        return
    with code.when(condition):
        yield
