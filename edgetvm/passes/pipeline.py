"""All passes of one compile, in order: reading this file is reading the compiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import tvm
from tvm import relax

from edgetvm.errors import UnsupportedError
from edgetvm.importers.types import ImportedModel
from edgetvm.operators.legalize import LEGALIZE
from edgetvm.passes.absorb_transposes import AbsorbTransposes
from edgetvm.passes.dead_channels.remove import DeadChannels, remove_dead_channels
from edgetvm.passes.elementwise_kernel import MarkElementwise
from edgetvm.passes.half import ToHalf
from edgetvm.passes.integer.in_float import FloatOperator
from edgetvm.passes.integer.lower import is_quantized, lower_to_integers
from edgetvm.passes.join_concat import join_concat
from edgetvm.passes.join_rows import Segment, join_rows
from edgetvm.passes.joined_function import is_kernel
from edgetvm.passes.provenance import trace_sources
from edgetvm.passes.sink_transposes import SinkTransposes

# Reshapes cost nothing: they stay operators, which the memory planner turns into views.
_VIEWS = ["relax.reshape"]


@dataclass(frozen=True)
class OptimizedModel:
    """A module of fused TIR kernels, and the ONNX nodes of every binding of its main function.

    operators  the model before its operators became loops, dead channels included: what an interpreter runs
    computes   for every binding of the fused main function, the bindings of `operators` behind it, its result first
    floats     what a quantized model was left to compute in float; None for a float model
    model      the model whose operators these are: its inputs and outputs
    dead       the channels that the kernels do without; None if they were not looked for
    """

    module: tvm.IRModule
    sources: Mapping[relax.Var, tuple[str, ...]]
    operators: tvm.IRModule
    computes: Mapping[relax.Var, tuple[str, ...]]
    floats: tuple[FloatOperator, ...] | None
    model: ImportedModel
    dead: DeadChannels | None = None


def graph_passes(half: bool = False) -> list[tvm.transform.Pass]:
    """Passes on operators."""
    return [SinkTransposes(), *([ToHalf()] * half), AbsorbTransposes(), relax.transform.DeadCodeElimination()]


def loop_passes() -> list[tvm.transform.Pass]:
    """Operators become loops."""
    return [
        relax.transform.LegalizeOps(LEGALIZE, skip_ops=_VIEWS),
        relax.transform.AnnotateTIROpPattern(),
        MarkElementwise(),
        relax.transform.DeadCodeElimination(),
    ]


def optimize(
    model: ImportedModel, integer_io: bool = False, half: bool = False, channel_multiple: int | None = None
) -> OptimizedModel:
    """Run the pipeline on an imported model: operators in, fused kernels out. Quantized ones become integer.

    `integer_io` gives the border of a quantized model integers too. Raises UnsupportedError for a float model then.
    `half` computes floats in half precision. Dead channels of a quantized model are removed so that others stay in
    multiples of `channel_multiple`, and not at all without it.
    """
    lowered = lower_to_integers(model, integer_io) if is_quantized(model.module) else None
    if lowered is None and integer_io:
        raise UnsupportedError(f"{model.name} is a float model: it has no integer inputs", "give --quantize int8 too")
    if lowered is not None and half:
        raise UnsupportedError(f"{model.name} is a quantized model: half precision is for float ones", "leave it fp32")
    model = model if lowered is None else lowered.model
    with tvm.transform.PassContext(opt_level=3):
        operators = tvm.transform.Sequential(graph_passes(half))(model.module)
        live, named, dead = operators, model.sources, None
        if lowered is not None and channel_multiple is not None:
            live, named, dead = remove_dead_channels(operators, model.sources, channel_multiple)
        before = tvm.transform.Sequential(loop_passes())(live)
        after = relax.transform.FuseOps(fuse_opt_level=2)(before)
        fused = relax.transform.FuseTIR()(after)
        grouped, joined = join_concat(fused)
    nodes: dict[relax.Var, tuple[str, ...]] = {}
    names: dict[relax.Var, tuple[str, ...]] = {}
    for block in before["main"].body.blocks:
        for binding in block.bindings:  # a second name for a value, as outputs have, is no node
            nodes[binding.var] = nodes.get(binding.value, named.get(binding.var.name, ()))
            names[binding.var] = names.get(binding.value, (binding.var.name,))
    sources, computes = (_trace([before, after, fused, grouped, joined], found) for found in (nodes, names))
    floats = None if lowered is None else lowered.floats
    return OptimizedModel(joined, sources, operators, computes, floats, model, dead)


def with_rows(model: OptimizedModel, segments: Sequence[Segment]) -> OptimizedModel:
    """The model with each of `segments`, numbers of kernel calls, joined to one kernel that goes over rows."""
    if not segments:
        return model
    grouped, joined = join_rows(model.module, segments)
    sources, computes = (_trace([model.module, grouped, joined], found) for found in (model.sources, model.computes))
    return replace(model, module=joined, sources=sources, computes=computes)


def _trace(
    modules: Sequence[tvm.IRModule], found: Mapping[relax.Var, tuple[str, ...]]
) -> Mapping[relax.Var, tuple[str, ...]]:
    """What is `found` of the bindings of the first module, of those of the last; each was fused from that before it."""
    for before, after in pairwise(modules):
        found = trace_sources(before, after, found)
    return found


def kernel_results(model: OptimizedModel) -> tuple[str, ...]:
    """The binding of `operators` that each kernel call computes, in the order of the calls."""
    bindings = [binding for block in model.module["main"].body.blocks for binding in block.bindings]
    return tuple(model.computes[binding.var][0] for binding in bindings if is_kernel(binding.value))
