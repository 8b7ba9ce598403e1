"""All passes of one compile, in order: reading this file is reading the compiler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tvm
from tvm import relax

from edgetvm.importers.types import ImportedModel
from edgetvm.passes.elementwise_kernel import MarkElementwise
from edgetvm.passes.provenance import trace_sources
from edgetvm.passes.sink_transposes import SinkTransposes

# Reshapes cost nothing: they stay operators, which the memory planner turns into views.
_VIEWS = ["relax.reshape"]


@dataclass(frozen=True)
class OptimizedModel:
    """A module of fused TIR kernels, and the ONNX nodes of every binding of its main function."""

    module: tvm.IRModule
    sources: Mapping[relax.Var, tuple[str, ...]]


def graph_passes() -> list[tvm.transform.Pass]:
    """Passes on operators."""
    return [
        SinkTransposes(),
        relax.transform.LegalizeOps(skip_ops=_VIEWS),
        relax.transform.AnnotateTIROpPattern(),
        MarkElementwise(),
        relax.transform.DeadCodeElimination(),
    ]


def optimize(model: ImportedModel) -> OptimizedModel:
    """Run the pipeline on an imported model: operators in, fused kernels out."""
    with tvm.transform.PassContext(opt_level=3):
        before = tvm.transform.Sequential(graph_passes())(model.module)
        after = relax.transform.FuseOps(fuse_opt_level=2)(before)
        fused = relax.transform.FuseTIR()(after)
    named: dict[relax.Var, tuple[str, ...]] = {}
    for block in before["main"].body.blocks:
        for binding in block.bindings:  # a second name for a value, as outputs have, is no node
            named[binding.var] = named.get(binding.value, model.sources.get(binding.var.name, ()))
    sources = trace_sources(after, fused, trace_sources(before, after, named))
    return OptimizedModel(fused, sources)
