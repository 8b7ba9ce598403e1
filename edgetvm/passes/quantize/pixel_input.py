"""A float image input becomes the camera's bytes: mean and std go into the first layers.

The model takes ``x = (pixel - mean) / std``. With one `scale` and one `zero` for the whole picture,
``y = scale * (pixel - zero)`` is what the bytes stand for, and in every channel ``x = a * y + c``. Layers that
read the picture take y instead: ``W x + b = (W a) y + (b + W c)``. Then the bytes are the codes of the
first layer's input, and nothing is rounded.

Padding brings zeros of x, and of y in its place: with one std the difference is `c`, which is allowed as far as
half a pixel. Where a reader does not take a and c (padding and means that differ, no layer with constant
weights), one kernel turns bytes into the codes of x, each rounded once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgetvm.importers.graph import Graph, Node, Tensor
from edgetvm.importers.rewrite import new_constant, replace_nodes
from edgetvm.oracle.dataset import Array, Dataset, Sample
from edgetvm.oracle.pixels import Pixels

from .affine import Affine
from .correct_bias import mean_output
from .equalize import scale_inputs
from .layers import Layer, find_layers
from .places import Places

VERSION = 21
HALF = 0.5  # pixel: the most by which a border may be off
_SAME_ORDER = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


@dataclass(frozen=True)
class PixelInput:
    """The image input `value` of a graph that was rewritten to take ``scale * (pixel - zero)``.

    `folded` is False where it still takes ``(pixel - mean) / std``.
    """

    value: str
    pixels: Pixels
    scale: float
    zero: int
    folded: bool

    def samples(self, data: Dataset) -> Dataset:
        """Samples of the model as given, as samples of the rewritten graph."""
        if not self.folded:
            return data

        def fetch(index: int) -> Sample:
            codes = self.pixels.pixels(data.fetch(index)[self.value]).astype(np.float32)
            return {self.value: (codes - np.float32(self.zero)) * np.float32(self.scale)}

        return replace(data, fetch=fetch)

    def fix(self, places: Places) -> None:
        """Let the codes of the input be the bytes, unless other values share their scale."""
        group = places.group.get(self.value)
        if self.folded and group is not None and places.sources[group] == [self.value]:
            wide = group in places.wide
            places.fixed[group] = Affine(self.scale, 0, 16) if wide else Affine(self.scale, self.zero - 128)

    def opened(self, graph: Graph) -> Graph:
        """The quantized `graph` with an input of bytes."""
        result = Graph(list(graph.inputs), graph.outputs, list(graph.nodes), dict(graph.constants), dict(graph.types))
        made: list[Node] = []

        def emit(op: str, *operands: tuple[str, Array]) -> None:
            """Apply `op` to what was made last and to constants."""
            source = made[-1].outputs[0] if made else self.value
            names = [new_constant(result, f"{self.value}_{hint}", array) for hint, array in operands]
            output = f"{self.value}_{op}"
            while output in result.types:
                output += "_"
            result.types[output] = Tensor("float32", graph.types[self.value].shape)
            name = f"{self.value}_pixels_{op}"
            made.append(Node(op, "", VERSION, name, (name,), (source, *names), (output,), {}))

        scale, zero = (self.scale, self.zero) if self.folded else (1.0, 0)
        emit("DequantizeLinear", ("pixel_scale", np.array(scale, np.float32)), ("pixel_zero", np.array(zero, np.uint8)))
        if not self.folded:
            emit("Sub", ("mean", self.pixels.along(self.pixels.mean).astype(np.float32)))
            emit("Div", ("std", self.pixels.along(self.pixels.std).astype(np.float32)))
        numbers = made[-1].outputs[0]
        names = {self.value: numbers}
        readers = [replace(node, inputs=tuple(names.get(v, v) for v in node.inputs)) for node in graph.nodes]
        result.nodes = [*made, *readers]
        result.outputs = [(label, names.get(value, value)) for label, value in graph.outputs]
        result.types[self.value] = Tensor("uint8", graph.types[self.value].shape)
        return result


def fold_pixels(graph: Graph, pixels: Pixels) -> PixelInput:
    """Rewrite the first layers of `graph`, whose one input is an image, in place."""
    (value,) = graph.inputs
    mean, std = np.array(pixels.mean), np.array(pixels.std)
    zero = int(np.clip(np.rint((mean.min() + mean.max()) / 2), 0, 255))
    scale = float(np.float32(1 / std.mean()))
    factors = np.ones(len(std)) if len({*pixels.std}) == 1 else 1 / (std * scale)
    constants = (zero - mean) / std
    if not constants.any() and (factors == 1).all():
        return PixelInput(value, pixels, scale, zero, True)
    channel = np.broadcast_to(pixels.along(range(len(mean))), graph.types[value].shape)
    found = _first_layers(graph, value, channel)
    close = bool((np.abs(zero - mean) <= HALF).all())
    if found is None or not all(_takes(layer, close) for layer, _ in found):
        return PixelInput(value, pixels, scale, zero, False)
    replacements: dict[int, Node] = {}
    for layer, channels in found:
        _fold(graph, layer, factors[channels], constants[channels], replacements)
    replace_nodes(graph, replacements, ())
    return PixelInput(value, pixels, scale, zero, True)


def _first_layers(graph: Graph, value: str, channel: Array) -> list[tuple[Layer, Array]] | None:
    """The layers that read the picture, and the channel behind each of their inputs ``[C]`` or ``[K]``.

    `channel` is that of every element of `value`. None if something else reads it too.
    """
    layers = find_layers(graph)
    found: list[tuple[Layer, Array]] = []
    pending = [(value, channel)]
    while pending:
        value, channel = pending.pop()
        if value in {output for _, output in graph.outputs}:
            return None
        for node in graph.nodes:
            if value not in node.inputs:
                continue
            out, layer = node.outputs[0], layers.get(node.outputs[0])
            if node.op == "Transpose":
                perm = node.attributes.get("perm", range(channel.ndim)[::-1])
                pending.append((out, channel.transpose([int(axis) for axis in perm])))
            elif node.op in _SAME_ORDER:
                pending.append((out, channel.reshape(graph.types[out].shape)))
            elif layer is not None and layer.bias is not None and layer.axis is not None:
                columns = np.moveaxis(channel, 1 if node.op == "Conv" else -1, 0)
                columns = columns.reshape(len(columns), -1)
                if (columns != columns[:, :1]).any():
                    return None
                found.append((layer, columns[:, 0]))
            else:
                return None
    return found


def _takes(layer: Layer, close: bool) -> bool:
    """Whether a layer stays the same, but for half a pixel at its borders, with other weights and another bias."""
    attributes = layer.node.attributes
    if layer.node.op in ("Gemm", "MatMul"):
        return not attributes.get("transA", 0)
    padded = any(attributes.get("pads", ())) or attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID", b"")
    return layer.node.op == "Conv" and (close or not padded)


def _fold(graph: Graph, layer: Layer, factors: Array, constants: Array, replacements: dict[int, Node]) -> None:
    """``W x + b`` of ``x = factors * y + constants`` as a layer of y."""
    assert layer.bias is not None  # _first_layers saw to it
    weights = graph.constants[layer.weights].astype(np.float64)
    bias = graph.constants[layer.bias.inputs[layer.bias_input]] + mean_output(weights, layer, constants)
    if layer.node.op == "Conv":
        scaled = scale_inputs(weights, 1 / factors, layer.groups)
    else:
        scaled = weights * factors if layer.axis == 0 else weights * factors[:, np.newaxis]
    for node, index, hint, array in ((layer.node, 1, "weights", scaled), (layer.bias, layer.bias_input, "bias", bias)):
        inputs = list(replacements.get(id(node), node).inputs)
        inputs[index] = new_constant(graph, f"{layer.node.name}_{hint}", array.astype(np.float32))
        replacements[id(node)] = replace(node, inputs=tuple(inputs))
