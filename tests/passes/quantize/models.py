"""Small float models to quantize, and their data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from onnx import NodeProto
from onnx.helper import make_node as node

from edgetvm.importers.graph import Graph
from edgetvm.importers.onnx import read_graph
from edgetvm.oracle.dataset import Dataset
from edgetvm.passes.quantize.layers import normalise_layers
from tests.importers.models import save

SHAPE = (1, 3, 8, 8)


def dataset(count: int = 24, shape: tuple[int, ...] = SHAPE, seed: int = 0, name: str = "x") -> Dataset:
    """Smooth pictures: neighbours resemble each other, as in real ones."""

    def fetch(index: int) -> dict[str, np.ndarray]:
        noise = np.random.default_rng((seed, index)).standard_normal(shape)
        return {name: (np.cumsum(noise, axis=-1) / 2).astype(np.float32)}

    return Dataset("pictures", count, fetch)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    fan = int(np.prod(shape[1:])) or 1
    return (rng.standard_normal(shape) * (2 / fan) ** 0.5).astype(np.float32)


def separable(path: Path, clip: float | None = None, dead: int = 0, uneven: bool = False, seed: int = 0) -> Path:
    """conv, relu or clip, depthwise, relu or clip, pointwise, add to itself, relu, mean, dense, softmax.

    `dead` channels of the first are always 0; `uneven` ones differ in range by up to 100.
    """
    rng = np.random.default_rng(seed)
    constants = {
        "w0": normal(rng, 8, 3, 3, 3),
        "w1": normal(rng, 8, 1, 3, 3),
        "w2": normal(rng, 6, 8, 1, 1),
        "w3": normal(rng, 6, 5),
        **{f"b{i}": 0.1 * normal(rng, n) for i, n in enumerate((8, 8, 6, 5))},
        "low": np.array(0, np.float32),
        "high": np.array(clip or 0, np.float32),
    }
    if uneven:
        constants["w0"] *= np.geomspace(0.02, 2, 8, dtype=np.float32)[:, None, None, None]
    if dead:
        constants["w0"][:dead], constants["w1"][:dead] = 0, 0
        constants["b0"][:dead], constants["b1"][:dead] = -1, -1

    def rectify(source: str, target: str) -> NodeProto:
        if clip is None:
            return node("Relu", [source], [target], name=target)
        return node("Clip", [source, "low", "high"], [target], name=target)

    nodes = [
        node("Conv", ["x", "w0", "b0"], ["c0"], pads=[1, 1, 1, 1], name="c0"),
        rectify("c0", "r0"),
        node("Conv", ["r0", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1], group=8, name="c1"),
        rectify("c1", "r1"),
        node("Conv", ["r1", "w2", "b2"], ["c2"], name="c2"),
        node("MaxPool", ["c2"], ["p"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], name="p"),
        node("Add", ["c2", "p"], ["a"], name="a"),
        node("Relu", ["a"], ["r"], name="r"),
        node("GlobalAveragePool", ["r"], ["m"], name="m"),
        node("Flatten", ["m"], ["f"], name="f"),
        node("Gemm", ["f", "w3", "b3"], ["l"], name="l"),
        node("Softmax", ["l"], ["y"], name="y"),
    ]
    return save(path, nodes, {"x": list(SHAPE)}, ["y"], constants)


def graph_of(path: Path) -> Graph:
    """The flat graph as the passes take it."""
    graph, refusals = read_graph(path, {})
    assert not refusals
    normalise_layers(graph)
    return graph


def outputs(path: Path, data: Dataset) -> np.ndarray:
    """The first output for every sample."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, sample)[0].reshape(1, -1) for sample in data])


def sqnr(wanted: np.ndarray, found: np.ndarray) -> float:
    """In dB."""
    return float(10 * np.log10((wanted**2).sum() / ((wanted - found) ** 2).sum()))
