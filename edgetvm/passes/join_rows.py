"""Kernels that follow one another become a kernel of stages, which goes over rows (`cost/row_stages.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tvm
from tvm import relax

from edgetvm.cost.row_stages import STAGES, TILE
from edgetvm.cost.row_windows import nests
from edgetvm.passes.joined_function import is_kernel, joined_function


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
    calls = [binding for binding in bindings if is_kernel(binding.value)]
    for segment in segments:
        own = calls[segment.first : segment.end]
        kernels = [module[binding.value.args[0]] for binding in own]
        name = "_".join(["rows", *(binding.value.args[0].name_hint.removeprefix("fused_") for binding in own)])
        function, outside = joined_function(own, {TILE: segment.tile})
        joined = builder.add_func(function, name)  # the same as before, if one of equal structure was added
        blocks[joined.name_hint] = (tuple(len(nests(kernel)) for kernel in kernels), segment.tile)
        call = relax.Call(joined, outside, ret_ty=own[-1].var.ty)
        bindings = [relax.VarBinding(own[-1].var, call) if each is own[-1] else each for each in bindings]
        bindings = [each for each in bindings if not any(each is other for other in own)]
    body = relax.SeqExpr([relax.DataflowBlock(bindings)], main.body.body)
    builder.update_func(module.get_global_var("main"), relax.Function(main.params, body, main.ret_ty, attrs=main.attrs))
    return builder.get(), blocks
