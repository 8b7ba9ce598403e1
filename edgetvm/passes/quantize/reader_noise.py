"""What the rounding of an activation does to the layers that read it.

Rounding errors are independent and cancel in the sums of the next layer; clipping errs the same
way over whole regions and does not. So the SQNR that ranks ranges is taken behind the readers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgetvm.importers.graph import Graph
from edgetvm.oracle.dataset import Dataset

from .affine import affine_of_range, dequantize, quantize
from .layers import Layer
from .patches import Patches
from .places import Places, is_rectifier
from .statistics import Progress, observe

SAMPLES = 24
POSITIONS = 128  # outputs of a layer looked at in each sample
Ends = tuple[float, float]


def readers(graph: Graph, places: Places, layers: Mapping[str, Layer]) -> dict[str, list[tuple[str, Layer]]]:
    """For every group the values of it that layers read, and the layers; also behind an addition of two values."""
    found: dict[str, list[tuple[str, Layer]]] = {}
    consumers: dict[str, list[int]] = {}
    for index, node in enumerate(graph.nodes):
        for name in node.inputs:
            consumers.setdefault(name, []).append(index)

    def behind(value: str, depth: int) -> list[Layer]:
        result = []
        for index in consumers.get(value, []):
            node = graph.nodes[index]
            layer = layers.get(node.outputs[0])
            if layer is not None and node.inputs[0] == value and node.op != "ConvTranspose" and layer.axis is not None:
                result.append(layer)
                continue
            same = graph.types[node.outputs[0]] == graph.types[value]
            if depth and same and (node.op == "Add" or is_rectifier(graph, node)):
                result += behind(node.outputs[0], depth - 1)
        return result

    for value, group in places.group.items():
        for layer in behind(value, 3):
            found.setdefault(group, []).append((value, layer))
    return found


def reader_sqnr(
    graph: Graph,
    places: Places,
    layers: Mapping[str, Layer],
    candidates: Mapping[str, Sequence[Ends]],
    data: Dataset,
    progress: Progress | None = None,
) -> dict[str, list[float]]:
    """SQNR in dB, one for each candidate range, behind the readers of each group that has any.

    Of several readers the ratios of noise to signal add up.
    """
    pairs = {g: found for g, found in readers(graph, places, layers).items() if g in candidates}
    values = sorted({value for found in pairs.values() for value, _ in found})
    count = min(SAMPLES, len(data))
    some = Dataset(data.source, count, lambda i: data.fetch(i * len(data) // count))
    patches = {layer.key: Patches(graph, layer) for found in pairs.values() for _, layer in found}
    weights = {key: p.matrix(graph.constants[p.layer.weights]).transpose(0, 2, 1) for key, p in patches.items()}
    noise = {g: np.zeros((len(found), len(candidates[g]))) for g, found in pairs.items()}
    signal = {g: np.zeros(len(found)) for g, found in pairs.items()}
    rng = np.random.default_rng(0)
    for results in observe(graph, values, some, "calibrators", progress):
        for group, found in pairs.items():
            errors: dict[tuple[str, int], np.ndarray] = {}
            for number, (value, layer) in enumerate(found):
                x, patch = results[value], patches[layer.key]
                positions = patch.choose(POSITIONS, rng)
                output = patch.inputs(x, positions) @ weights[layer.key]
                signal[group][number] += float((output**2).sum())
                for index, ends in enumerate(candidates[group]):
                    if (value, index) not in errors:
                        affine = affine_of_range(*ends)
                        errors[value, index] = (dequantize(quantize(x, affine), affine) - x).astype(np.float32)
                    error = patch.inputs(errors[value, index], positions) @ weights[layer.key]
                    noise[group][number, index] += float((error**2).sum())
    ratios = {g: (noise[g] / np.maximum(signal[g], 1e-30)[:, None]).sum(axis=0) for g in pairs}
    return {g: [float(-10 * np.log10(max(r, 1e-30))) for r in ratio] for g, ratio in ratios.items()}
