"""A quantized graph whose layers know nothing of each other: what judges each by itself.

Learned weights make up for the errors of the layers before them. Where one of those is mended, or all are float, such
weights do harm of their own.
"""

from __future__ import annotations

from dataclasses import replace

from edgetvm.oracle.dataset import Dataset

from .correct_bias import analytic_bias
from .insert_pairs import insert_pairs
from .post_training import nearest
from .quantization import Quantization
from .statistics import channel_means
from .weights import round_bias


def unlearned(made: Quantization, data: Dataset) -> Quantization:
    """`made` with every weight rounded to the nearest, and biases that make up for that alone, by means on `data`."""
    inputs = {key: layer.node.inputs[0] for key, layer in made.layers.items()}
    means = channel_means(made.graph, list(dict.fromkeys(inputs.values())), data)
    weights = {}
    for key, layer in made.layers.items():
        affine = made.affines[made.places.group[inputs[key]]]
        weights[key] = nearest(made.graph, layer, affine)
        bias = analytic_bias(made.graph, layer, weights[key], means[inputs[key]])
        if bias is not None:
            weights[key].bias = round_bias(bias, weights[key].scale, affine.scale)
    result = insert_pairs(made.graph, made.places, made.layers, made.affines, weights)
    return replace(made, weights=weights, result=result)
