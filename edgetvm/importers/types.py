"""What the importers hand to the layers to their right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import tvm


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of a model, as the model itself names it. Shapes are static.

    Of quantized integers ``scale * (code - zero_point)`` is the number that a code stands for.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class ImportedModel:
    """A model as one Relax function ``main`` with one dataflow block.

    Parameters of ``main`` stand in the order of ``inputs``; it returns the single output, or a
    tuple in the order of ``outputs``. Weights are constants inside. ``name`` is a C identifier.
    ``sources`` says which ONNX nodes a Relax binding came from, by the name of its variable:
    variable names survive LegalizeOps, and FuseOps keeps them inside its fused functions.
    """

    module: tvm.IRModule
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    name: str
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """A node that cannot be compiled, and why."""

    node: str
    operator: str
    reason: str


@dataclass(frozen=True)
class NodeSummary:
    """One node of the cleaned graph: what it computes and what it costs."""

    name: str
    operator: str
    shapes: tuple[tuple[int, ...], ...]
    macs: int
    parameters: int


@dataclass(frozen=True)
class ModelSummary:
    """What `edgetvm inspect` prints."""

    name: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    nodes: tuple[NodeSummary, ...]
    refusals: tuple[Refusal, ...]
    macs: int
    parameters: int
    parameter_bytes: int
