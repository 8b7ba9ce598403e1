"""Kernels that follow one another become a kernel of stages, which goes over rows (`cost/row_stages.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tvm
from tvm import relax

from edgetvm.cost.row_stages import STAGES, TILE
from edgetvm.cost.row_windows import nests


@dataclass(frozen=True)
class Segment:
    """The calls of kernels from number `first` to `end` in main, of which only the last one's result is read elsewhere.

    The kernel that they become computes `tile` rows of it at a step.
    """

    first: int
    end: int
    tile: int


def join_rows(module: tvm.IRModule, segments: Sequence[Segment]) -> tuple[tvm.IRModule, tvm.IRModule]:
    """(with a call of a primitive function for each segment, with the kernels that these become)."""
    grouped, blocks = _group(module, segments)
    joined = relax.transform.FuseTIR()(grouped)
    for name, (counts, tile) in blocks.items():
        variable = joined.get_global_var(name)
        joined[variable] = joined[variable].with_attrs({STAGES: list(counts), TILE: tile})
    return grouped, joined


def _group(
    module: tvm.IRModule, segments: Sequence[Segment]
) -> tuple[tvm.IRModule, dict[str, tuple[tuple[int, ...], int]]]:
    """The functions, and by their names how many blocks the stages of each have and its rows a step."""
    main = module["main"]
    (block,) = main.body.blocks
    bindings = list(block.bindings)
    builder = relax.BlockBuilder(module)
    blocks: dict[str, tuple[tuple[int, ...], int]] = {}
    calls = [binding for binding in bindings if _is_kernel(binding.value)]
    for segment in segments:
        own = calls[segment.first : segment.end]
        kernels = [module[binding.value.args[0]] for binding in own]
        name = "_".join(["rows", *(binding.value.args[0].name_hint.removeprefix("fused_") for binding in own)])
        function, outside = _function(own, segment.tile)
        joined = builder.add_func(function, name)  # the same as before, if one of equal structure was added
        blocks[joined.name_hint] = (tuple(len(nests(kernel)) for kernel in kernels), segment.tile)
        call = relax.Call(joined, outside, ret_ty=own[-1].var.ty)
        bindings = [relax.VarBinding(own[-1].var, call) if each is own[-1] else each for each in bindings]
        bindings = [each for each in bindings if not any(each is other for other in own)]
    body = relax.SeqExpr([relax.DataflowBlock(bindings)], main.body.body)
    builder.update_func(module.get_global_var("main"), relax.Function(main.params, body, main.ret_ty, attrs=main.attrs))
    return builder.get(), blocks


def _is_kernel(value: tvm.ir.Expr) -> bool:
    return isinstance(value, tvm.ir.Call) and value.op == tvm.ir.Op.get("relax.call_tir")


def _function(bindings: Sequence[relax.Binding], tile: int) -> tuple[relax.Function, list[tvm.ir.Expr]]:
    """What some bindings compute as a function of what they read, and that."""
    values: dict[tvm.ir.Expr, relax.Var] = {}
    results = {binding.var for binding in bindings}
    copies = []
    for binding in bindings:
        call = binding.value
        arguments = []
        for argument in call.args[1].fields:
            if argument not in values:
                values[argument] = relax.Var(f"x{len(values)}", argument.ty)
            arguments.append(values[argument])
        last = binding is bindings[-1]
        values[binding.var] = (relax.Var if last else relax.DataflowVar)(binding.var.name, binding.var.ty)
        copies.append(relax.VarBinding(values[binding.var], relax.call_tir(call.args[0], arguments, binding.var.ty)))
    result = values[bindings[-1].var]
    outside = [value for value in values if value not in results]
    body = relax.SeqExpr([relax.DataflowBlock(copies)], result)
    attributes = tvm.ir.make_node("ir.DictAttrs", **{"Primitive": 1, TILE: tile})
    return relax.Function([values[value] for value in outside], body, result.ty, attrs=attributes), outside
