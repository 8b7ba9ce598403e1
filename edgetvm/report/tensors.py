"""Float and integer activations of one model, tensor by tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgetvm.importers.graph import Graph
from edgetvm.oracle.dataset import Array, Dataset
from edgetvm.passes.quantize.quantization import Quantization
from edgetvm.passes.quantize.session import Session


@dataclass(frozen=True)
class TensorError:
    """How far the integers of one activation are from the floats, over all samples.

    sqnr_db        signal to noise in dB
    cosine         between the two as vectors; 1 where both are 0
    max_abs_error  in real units
    calibrator     which chose the range; "fixed" where the operator does
    """

    name: str
    node: str
    dtype: str
    scale: float
    zero_point: int
    calibrator: str
    sqnr_db: float
    cosine: float
    max_abs_error: float


def compare_tensors(made: Quantization, data: Dataset) -> tuple[TensorError, ...]:
    """Every quantized activation, in the order of the graph: the float graph against the integers of the whole model.

    The codes are those of ONNX Runtime on the quantize-dequantize form; the integer operators differ from it by no
    more than roundings at ties.
    """
    codes = quantized_values(made.result)
    names = [value for value in codes if value in made.places.group]
    computed = [value for value in names if value not in made.graph.inputs]
    floats = Session(made.graph, made.graph.nodes, made.graph.inputs, computed)
    integers = Session(made.result, made.result.nodes, made.result.inputs, [codes[value] for value in names])
    sums = {value: _Sums() for value in names}
    for sample in data:
        real = {**sample, **floats.run(sample)}
        held = integers.run(sample)
        for value in names:
            affine = made.affines[made.places.group[value]]
            got = (held[codes[value]].astype(np.float64) - affine.zero_point) * affine.scale
            sums[value].add(real[value].astype(np.float64), got)
    return tuple(_error(made, value, sums[value]) for value in names)


def quantized_values(graph: Graph) -> dict[str, str]:
    """The value that holds the codes of each quantized value."""
    return {node.inputs[0]: node.outputs[0] for node in graph.nodes if node.op == "QuantizeLinear"}


def _error(made: Quantization, value: str, sums: _Sums) -> TensorError:
    group = made.places.group[value]
    affine = made.affines[group]
    producers = {out: node.name for node in made.graph.nodes for out in node.outputs}
    calibrators = {made.places.group[tensor.name]: tensor.calibrator for tensor in made.tensors}
    return TensorError(
        name=value,
        node=producers.get(value, ""),
        dtype=affine.dtype,
        scale=affine.scale,
        zero_point=affine.zero_point,
        calibrator=calibrators[group],
        sqnr_db=sums.sqnr_db,
        cosine=sums.cosine,
        max_abs_error=sums.largest,
    )


class _Sums:
    def __init__(self) -> None:
        self.wanted = self.got = self.product = self.noise = self.largest = 0.0

    def add(self, wanted: Array, got: Array) -> None:
        error = got - wanted
        self.wanted += float((wanted**2).sum())
        self.got += float((got**2).sum())
        self.product += float((wanted * got).sum())
        self.noise += float((error**2).sum())
        self.largest = max(self.largest, float(np.abs(error).max(initial=0.0)))

    @property
    def sqnr_db(self) -> float:
        if self.noise == 0.0:
            return math.inf
        return -math.inf if self.wanted == 0.0 else 10 * math.log10(self.wanted / self.noise)

    @property
    def cosine(self) -> float:
        if self.wanted == 0.0 and self.got == 0.0:
            return 1.0
        return self.product / math.sqrt(max(self.wanted * self.got, 1e-300))
