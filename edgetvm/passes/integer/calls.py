"""What a call of Relax says: its operator, its tensors, its scale and zero point."""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.passes.integer.context import dtype_of

# Codes are held signed: the kernels of every target know one kind.
SIGNED = {"int8": "int8", "uint8": "int8", "int16": "int16", "uint16": "int16"}


def shift_of(dtype: str) -> int:
    """What is taken off codes of `dtype` to hold them signed."""
    return int(np.iinfo(dtype).max) - int(np.iinfo(SIGNED[dtype]).max)


def name_of(expr: Expr) -> str:
    """The name of the operator that a call applies; empty for anything else."""
    return str(expr.op.name) if isinstance(expr, tvm.ir.Call) and isinstance(expr.op, tvm.ir.Op) else ""


def parameters_of(expr: tvm.ir.Call) -> tuple[float, int] | None:
    """Scale and zero point of a whole tensor; None where they are not constant, or one a channel."""
    if not all(isinstance(argument, tvm.ir.GenericConst) for argument in expr.args[1:]):
        return None
    scale, zero = (argument.value.numpy() for argument in expr.args[1:])
    if scale.size != 1 or zero.size != 1:
        return None
    return float(scale.reshape(())), int(zero.reshape(()))


def is_float(expr: Expr) -> bool:
    """Whether the tensor is one of floats."""
    return dtype_of(expr).startswith("float")


def tensors(argument: Expr) -> list[Expr]:
    """The tensors that an argument of a call holds."""
    if isinstance(argument, tvm.ir.Tuple):
        return [tensor for field in argument.fields for tensor in tensors(field)]
    return [argument] if isinstance(argument, relax.Var | tvm.ir.GenericConst) else []
