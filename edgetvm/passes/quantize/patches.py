"""What each output of a layer sees of its input, as rows of a matrix."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from edgetvm.importers.graph import Graph
from edgetvm.oracle.dataset import Array

from .layers import Layer


class Patches:
    """Takes rows out of the input of one Conv, Gemm or MatMul.

    width      inputs that an output sums over: K
    positions  outputs of one channel
    """

    def __init__(self, graph: Graph, layer: Layer) -> None:
        node = layer.node
        self.layer = layer
        self._weights = graph.types[layer.weights].shape
        self._input, self._output = graph.types[node.inputs[0]].shape, graph.types[layer.output].shape
        if node.op != "Conv":
            self.width = self._input[-1]
            self.positions = prod(self._output[:-1])
            return
        self.width = prod(self._weights[1:])
        self.positions = self._output[0] * prod(self._output[2:])
        rank = len(self._input) - 2
        self._strides = node.attributes.get("strides", [1] * rank)
        self._dilations = node.attributes.get("dilations", [1] * rank)
        self._reach = [d * (k - 1) + 1 for d, k in zip(self._dilations, self._weights[2:], strict=True)]
        self._pads = self._explicit_pads()

    def choose(self, most: int, rng: np.random.Generator) -> Array:
        """At most `most` positions, sorted."""
        if self.positions <= most:
            return np.arange(self.positions)
        return np.sort(rng.choice(self.positions, most, replace=False))

    def inputs(self, x: Array, positions: Array) -> Array:
        """Float32 ``[groups, positions, K]``; padding is 0."""
        if self.layer.node.op != "Conv":
            return x.reshape(-1, self.width)[positions].astype(np.float32)[None]
        rank = x.ndim - 2
        padded = np.pad(x, [(0, 0), (0, 0), *zip(self._pads[:rank], self._pads[rank:], strict=True)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, self._reach, axis=tuple(range(2, x.ndim)))
        spatial = tuple(slice(None, None, s) for s in self._strides)
        taps = tuple(slice(None, None, d) for d in self._dilations)
        cuts: tuple[slice, ...] = (slice(None), slice(None), *spatial, *taps)
        windows = windows[cuts]
        batch, *place = np.unravel_index(positions, (self._output[0], *self._output[2:]))
        where: tuple[Any, ...] = (batch, slice(None), *place)
        rows = windows[where]  # [positions, C, *kernel]
        groups = self.layer.groups
        found: Array = rows.reshape(len(positions), groups, self.width).transpose(1, 0, 2).astype(np.float32)
        return found

    def outputs(self, y: Array, positions: Array) -> Array:
        """Float32 ``[groups, positions, channels / groups]`` of the layer's output."""
        if self.layer.node.op != "Conv":
            return y.reshape(-1, self._output[-1])[positions][None]
        rows = np.moveaxis(y, 1, -1).reshape(-1, self._output[1])[positions]
        return rows.reshape(len(positions), self.layer.groups, -1).transpose(1, 0, 2)

    def matrix(self, weights: Array) -> Array:
        """Weights as ``[groups, channels / groups, K]``."""
        if self.layer.node.op == "Conv":
            return weights.reshape(self.layer.groups, -1, self.width)
        return (weights if self.layer.axis == 0 else weights.T)[None]

    def unmatrix(self, matrix: Array) -> Array:
        """The inverse of `matrix`."""
        if self.layer.node.op == "Conv":
            return matrix.reshape(self._weights)
        return np.ascontiguousarray(matrix[0] if self.layer.axis == 0 else matrix[0].T)

    def _explicit_pads(self) -> list[int]:
        """Begins, then ends; of automatic padding computed from the output's shape."""
        attributes = self.layer.node.attributes
        rank = len(self._reach)
        auto = attributes.get("auto_pad", b"NOTSET")
        if auto in (b"NOTSET", b""):
            return list(attributes.get("pads", [0] * 2 * rank))
        begins, ends = [], []
        for i in range(rank):
            total = max((self._output[2 + i] - 1) * self._strides[i] + self._reach[i] - self._input[2 + i], 0)
            small, large = total // 2, total - total // 2
            begins.append(large if auto == b"SAME_LOWER" else small)
            ends.append(small if auto == b"SAME_LOWER" else large)
        return [0] * 2 * rank if auto == b"VALID" else begins + ends
