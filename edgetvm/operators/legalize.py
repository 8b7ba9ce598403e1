"""The loops of every operator of ours, for `relax.transform.LegalizeOps`."""

from __future__ import annotations

from edgetvm.operators import (
    affine,
    convolve,
    deconvolve,
    interpolate,
    layer_norm,
    lookup,
    prelu,
    reduce_sum,
    requantize,
    scaled_sum,
    softmax,
    window_sum,
)

_OWN = (
    convolve,
    deconvolve,
    interpolate,
    layer_norm,
    lookup,
    prelu,
    reduce_sum,
    requantize,
    scaled_sum,
    softmax,
    window_sum,
)

LEGALIZE = {
    **{module.NAME: module.legalize for module in _OWN},
    "relax.quantize": affine.legalize_quantize,
    "relax.dequantize": affine.legalize_dequantize,
}
