"""Convolutions read unsigned codes as they come in: no kernel makes signed ones of a whole image first."""

from __future__ import annotations

from collections.abc import Mapping

import tvm
from tvm import relax
from tvm.relax.dpl import DFPattern, is_op, rewrite_call, wildcard

from edgetvm.operators import convolve, scaled_sum


@relax.transform.function_pass(opt_level=0, name="ReadBytes")
class ReadBytes:
    """``convolve(scaled_sum(x, 1, -128), w)`` of an x of uint8 becomes ``convolve(x, w, less=128)``.

    A sum that something else reads too stays, and so do the convolutions of it. Dead bindings are left behind.
    """

    def transform_function(
        self, func: relax.Function, _module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> relax.Function:
        """Rewrite one function."""
        signed = is_op(scaled_sum.NAME)(wildcard(), wildcard(), wildcard())
        bindings = [binding for block in func.body.blocks for binding in block.bindings]
        kept = {var for b in bindings if _name(b.value) != convolve.NAME for var in relax.analysis.free_vars(b.value)}
        kept |= set(relax.analysis.free_vars(func.body.body))
        wanted = {b.var for b in bindings if _is_signed(b.value)} - kept

        def rewrite(call: tvm.ir.Call, found: Mapping[DFPattern, tvm.ir.Expr]) -> tvm.ir.Expr:
            if call.args[0] not in wanted:
                return call
            at = call.attrs
            strides, padding, dilation = ([int(v) for v in at[key]] for key in ("strides", "padding", "dilation"))
            return convolve.convolve(
                found[signed].args[0],
                call.args[1],
                strides=strides,
                padding=padding,
                dilation=dilation,
                groups=int(at["groups"]),
                pad_value=int(at["pad_value"]),
                dtype=str(at["dtype"]),
                less=128,
            )

        return rewrite_call(is_op(convolve.NAME)(signed, wildcard()), rewrite, func) if wanted else func


def _is_signed(value: tvm.ir.Expr) -> bool:
    """Whether it is the signed form of unsigned 8-bit codes."""
    if _name(value) != scaled_sum.NAME or len(value.args) != 3 or str(value.args[0].ty.dtype) != "uint8":
        return False
    factor, offset = (argument.value.numpy() for argument in value.args[1:])
    kept = tuple(int(value.attrs[name]) for name in ("shift", "low", "high")) == (0, -128, 127)
    return kept and factor.size == offset.size == 1 and (int(factor.item()), int(offset.item())) == (1, -128)


def _name(value: tvm.ir.Expr) -> str:
    return str(value.op.name) if isinstance(value, tvm.ir.Call) and isinstance(value.op, tvm.ir.Op) else ""
