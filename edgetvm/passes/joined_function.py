"""Calls of kernels as one primitive function, which `FuseTIR` makes one kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tvm
from tvm import relax


def is_kernel(value: tvm.ir.Expr) -> bool:
    """Whether a value is the call of a kernel."""
    return isinstance(value, tvm.ir.Call) and value.op == tvm.ir.Op.get("relax.call_tir")


def joined_function(
    bindings: Sequence[relax.Binding], attributes: Mapping[str, int] | None = None
) -> tuple[relax.Function, list[tvm.ir.Expr]]:
    """What some bindings compute, the last one's result, as a function of what they read; and that.

    Every call has constants of its own, so that each may be laid out as its call wants it.
    """
    values: dict[tvm.ir.Expr, relax.Var] = {}
    params: list[relax.Var] = []
    outside: list[tvm.ir.Expr] = []

    def inside(argument: tvm.ir.Expr) -> relax.Var:
        if argument in values:
            return values[argument]
        params.append(relax.Var(f"x{len(params)}", argument.ty))
        outside.append(argument)
        if isinstance(argument, relax.Var):
            values[argument] = params[-1]
        return params[-1]

    copies = []
    for binding in bindings:
        call = binding.value
        arguments = [inside(argument) for argument in call.args[1].fields]
        last = binding is bindings[-1]
        values[binding.var] = (relax.Var if last else relax.DataflowVar)(binding.var.name, binding.var.ty)
        copies.append(relax.VarBinding(values[binding.var], relax.call_tir(call.args[0], arguments, binding.var.ty)))
    result = values[bindings[-1].var]
    body = relax.SeqExpr([relax.DataflowBlock(copies)], result)
    attrs = tvm.ir.make_node("ir.DictAttrs", **{"Primitive": 1, **(attributes or {})})
    return relax.Function(params, body, result.ty, attrs=attrs), outside
