"""A quantized graph together with all that it was made of, so that parts of it can be made otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgetvm.importers.graph import Graph

from .affine import Affine
from .histogram import Histogram
from .layers import Layer
from .options import Int4Layer, QuantizedTensor, QuantizeOptions
from .places import Places
from .weights import LayerWeights


@dataclass(frozen=True, eq=False)
class Quantization:
    """What post-training quantization found and made.

    options     what was asked for
    graph       the float graph whose values were quantized: the model's, equalized if that was asked for
    result      the same in quantize-dequantize form
    affines     scale and zero point by group of `places`
    weights     the integers of each layer by its key
    histograms  of every group whose range is not known beforehand
    tensors     what a user may want to know of each group; `notes` of the rest

    int4        what was decided of each layer that can have weights of 4 bits, by its key, if it was asked for,
                and with it `sqnr_db` of the outputs on some calibration samples

    With int8-dynamic there is nothing but the two graphs and the notes.
    """

    options: QuantizeOptions
    graph: Graph
    result: Graph
    places: Places
    layers: Mapping[str, Layer]
    affines: Mapping[str, Affine]
    weights: Mapping[str, LayerWeights]
    histograms: Mapping[str, Histogram]
    tensors: tuple[QuantizedTensor, ...]
    notes: tuple[str, ...]
    int4: Mapping[str, Int4Layer] = field(default_factory=dict)
    sqnr_db: float | None = None
