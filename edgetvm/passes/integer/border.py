"""Inputs and outputs of a quantized model, and what its calls say of scales."""

from __future__ import annotations

from dataclasses import replace

import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.errors import UnsupportedError
from edgetvm.importers.types import TensorInfo
from edgetvm.passes.integer.context import dtype_of

# Codes are held signed: the kernels of every target know one kind.
SIGNED = {"int8": "int8", "uint8": "int8", "int16": "int16", "uint16": "int16"}


def quantized_input(main: relax.Function, param: relax.Var, info: TensorInfo) -> tuple[relax.Var, TensorInfo]:
    """The integer parameter in place of a float one, and what its codes mean.

    Raises UnsupportedError for an input that is read as float.
    """
    users = _users(main, param)
    kinds = {name_of(user) for user in users}
    parameters = {parameters_of(user) for user in users} if kinds == {"relax.quantize"} else set()
    if len(parameters) != 1 or None in parameters or str(users[0].ty.dtype) not in SIGNED:
        raise UnsupportedError(
            f"input '{info.name}' is not quantized where it enters: integer input cannot be given",
            "leave --integer-io out",
        )
    scale, zero = parameters_of(users[0]) or (0.0, 0)
    dtype = SIGNED[str(users[0].ty.dtype)]
    shift = 0 if dtype == str(users[0].ty.dtype) else 1 << (8 * tvm.DataType(dtype).itemsize - 1)
    meaning = replace(info, dtype=dtype, scale=scale, zero_point=zero - shift)
    return relax.Var(param.name, relax.TensorType(param.ty.shape, dtype)), meaning


def with_parameters(main: relax.Function, param: relax.Var, info: TensorInfo, operator: str) -> TensorInfo:
    """What the codes of an integer input mean, if its reader `operator` says it."""
    for user in _users(main, param):
        parameters = parameters_of(user) if name_of(user) == operator else None
        if parameters is not None:
            return replace(info, scale=parameters[0], zero_point=parameters[1])
    return info


def _users(main: relax.Function, param: relax.Var) -> list[tvm.ir.Call]:
    bindings = [binding.value for block in main.body.blocks for binding in block.bindings]
    calls = [value for value in bindings if isinstance(value, tvm.ir.Call)]
    return [call for call in calls if any(argument.same_as(param) for argument in call.args)]


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
