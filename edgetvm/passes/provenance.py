"""Which ONNX nodes a fused kernel call computes.

FuseOps gives calls new names and shares one fused function among layers of equal structure, so
names alone do not say which layer a call belongs to. Walking the fused and the unfused graph
together from the outputs does: both have the same shape.
"""

from __future__ import annotations

from collections.abc import Mapping

import tvm
from tvm import relax

Bindings = dict[relax.Var, tvm.ir.Expr]


def trace_sources(
    before: tvm.IRModule, after: tvm.IRModule, sources: Mapping[relax.Var, tuple[str, ...]]
) -> dict[relax.Var, tuple[str, ...]]:
    """The ONNX nodes of every binding in ``after``'s main.

    ``before`` is the module that FuseOps or FuseTIR was given, ``after`` what it returned;
    ``sources`` has the nodes of the bindings of ``before``.
    """
    origin, main = bindings_of(before["main"]), bindings_of(after["main"])
    inner = {g: bindings_of(f) for g, f in after.functions.items() if isinstance(f, relax.Function)}
    found: dict[relax.Var, dict[str, None]] = {}
    # Work list of (expression of main, its twin in `before`): recursion would follow the model's depth.
    work = [(after["main"].body.body, before["main"].body.body)]
    done: set[tuple[relax.Var, relax.Var]] = set()

    def pair_fused(call: tvm.ir.Call, old: tvm.ir.Expr, names: dict[str, None]) -> None:
        func = after[call.op]
        arguments = dict(zip(func.params, call.args, strict=True))
        local = inner[call.op]
        pairs = [(func.body.body, old)]
        while pairs:
            new, twin = pairs.pop()
            if isinstance(new, relax.Var) and new in arguments:
                work.append((arguments[new], twin))
            elif isinstance(new, relax.Var):
                if isinstance(twin, relax.Var) and twin in origin:
                    names.update(dict.fromkeys(sources.get(twin, ())))
                    pairs.append((local[new], origin[twin]))
            else:
                pairs += zip(operands(new), operands(twin), strict=False)

    while work:
        new, old = work.pop()
        if not isinstance(new, relax.Var):
            work += zip(operands(new), operands(old), strict=False)
        elif isinstance(old, relax.Var) and new in main and old in origin and (new, old) not in done:
            done.add((new, old))
            names = found.setdefault(new, {})
            value = main[new]
            if isinstance(value, tvm.ir.Call) and isinstance(value.op, tvm.ir.GlobalVar):
                pair_fused(value, old, names)
            else:
                names.update(dict.fromkeys(sources.get(old, ())))
                work += zip(operands(value), operands(origin[old]), strict=False)
    return {var: tuple(names) for var, names in found.items()}


def bindings_of(func: relax.Function) -> Bindings:
    """What every variable of `func` is bound to; a name for another variable is seen through."""
    bound: Bindings = {}
    for block in func.body.blocks:
        for binding in block.bindings:
            value = binding.value
            bound[binding.var] = bound.get(value, value) if isinstance(value, relax.Var) else value
    return bound


def operands(expr: tvm.ir.Expr) -> list[tvm.ir.Expr]:
    """The tensor operands of an expression, in order."""
    if isinstance(expr, tvm.ir.Call):
        arguments = list(expr.args)
        if expr.op == tvm.ir.Op.get("relax.call_tir"):
            return list(arguments[1].fields)
        return arguments
    if isinstance(expr, tvm.ir.Tuple):
        return list(expr.fields)
    if isinstance(expr, tvm.ir.TupleGetItem):
        return [expr.tuple_value]
    return [expr] if isinstance(expr, relax.Var) else []
