"""Inputs and outputs of a quantized model, and what its calls say of scales."""

from __future__ import annotations

from dataclasses import replace

import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.errors import UnsupportedError
from edgetvm.importers.types import TensorInfo
from edgetvm.passes.integer.calls import SIGNED, name_of, parameters_of, shift_of
from edgetvm.passes.integer.context import dtype_of
from edgetvm.passes.integer.real import Integer, Quantized, Value


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
    meaning = replace(info, dtype=dtype, scale=scale, zero_point=zero - shift_of(str(users[0].ty.dtype)))
    return relax.Var(param.name, relax.TensorType(param.ty.shape, dtype)), meaning


def with_parameters(main: relax.Function, param: relax.Var, info: TensorInfo, operator: str) -> TensorInfo:
    """What the codes of an integer input mean, if its reader `operator` says it."""
    for user in _users(main, param):
        parameters = parameters_of(user) if name_of(user) == operator else None
        if parameters is not None:
            return replace(info, scale=parameters[0], zero_point=parameters[1])
    return info


def quantized_output(value: Value, info: TensorInfo) -> tuple[Expr, TensorInfo]:
    """The codes in place of a float output, and what they mean. Raises UnsupportedError if there are none."""
    if not isinstance(value, Quantized):
        raise UnsupportedError(
            f"output '{info.name}' is not quantized: integer output cannot be given", "leave --integer-io out"
        )
    return value.expr, replace(info, dtype=dtype_of(value.expr), scale=value.scale, zero_point=value.zero)


def described(value: Value, info: TensorInfo) -> TensorInfo:
    """What the codes of an integer output mean, if it was quantized."""
    if not isinstance(value, Integer) or value.scale is None:
        return info
    return replace(info, scale=value.scale, zero_point=value.zero)


def _users(main: relax.Function, param: relax.Var) -> list[tvm.ir.Call]:
    bindings = [binding.value for block in main.body.blocks for binding in block.bindings]
    calls = [value for value in bindings if isinstance(value, tvm.ir.Call)]
    return [call for call in calls if any(argument.same_as(param) for argument in call.args)]
