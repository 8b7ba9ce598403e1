"""What loops read."""

from __future__ import annotations

import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad


def loads_in(node: tirx.Stmt | tirx.Expr) -> list[TensorLoad]:
    """Every element that a statement or an expression reads."""
    found: list[TensorLoad] = []
    tvm_ffi.structural_walk(node, (TensorLoad, found.append))
    return found
