"""How an operator of ours becomes one of Relax."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tvm
from tvm import relax, te, tirx
from tvm.ir import Expr

# Attribute of a kernel whose elements depend on the elements at their own place alone, and on constants: it may
# follow another in the same loops, whatever TVM's analysis of it says.
ELEMENTWISE = "edgetvm.elementwise"

Attributes = Mapping[str, Any]
Infer = Callable[[Sequence[relax.TensorType], Attributes], relax.TensorType]


def define(name: str, infer: Infer) -> tvm.ir.Op:
    """Register the pure operator `name`; `infer` gives the type of its result."""

    def infer_call(call: tvm.ir.Call, _context: relax.BlockBuilder) -> relax.TensorType:
        return infer([argument.ty for argument in call.args], call.attrs)

    tvm.ir.op._ffi_api.RegisterOp(name, "")
    tvm.ir.op.register_op_attr(name, "FInferType", infer_call)
    tvm.ir.op.register_op_attr(name, "FPurity", True)
    return tvm.ir.Op.get(name)


def call(operator: tvm.ir.Op, arguments: Sequence[Expr], **attributes: Any) -> tvm.ir.Call:
    """Apply an operator of ours."""
    return relax.Call(operator, list(arguments), tvm.ir.make_node("ir.DictAttrs", **attributes))


def shape_of(type_: relax.TensorType) -> list[int]:
    """The static shape."""
    return [int(extent) for extent in type_.shape]


def broadcast_shape(types: Sequence[relax.TensorType]) -> list[int]:
    """The shape to which all broadcast, by numpy's rule."""
    return list(np.broadcast_shapes(*[tuple(shape_of(type_)) for type_ in types]))


def broadcast_type(types: Sequence[relax.TensorType], attributes: Attributes) -> relax.TensorType:
    """The type of a result to which all operands broadcast, of the element type `dtype` among the attributes."""
    return relax.TensorType(broadcast_shape(types), attributes["dtype"])


def immediate(argument: Expr) -> Expr | int:
    """A constant of one element as a number, which kernels hold as an immediate; others as they are."""
    if isinstance(argument, tvm.ir.GenericConst) and argument.value.numpy().size == 1:
        return int(argument.value.numpy().reshape(()))
    return argument


def element(operand: te.Tensor | int, index: Sequence[Any], dtype: str) -> Any:
    """Element of an operand that broadcasts to the result, as `dtype`."""
    if not isinstance(operand, te.Tensor):
        return tirx.const(int(operand), dtype)
    own = list(index)[len(index) - len(operand.shape) :]
    place = [0 if int(extent) == 1 else i for i, extent in zip(own, operand.shape, strict=True)]
    return operand(*place).astype(dtype)


def clamp(value: Any, low: int, high: int) -> Any:
    """`value` kept in low..high, in its own type."""
    dtype = str(value.ty.dtype)
    return tirx.max(tirx.min(value, tirx.const(high, dtype)), tirx.const(low, dtype))
