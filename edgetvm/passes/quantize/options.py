"""What post-training quantization is asked for, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetvm.errors import DataError
from edgetvm.oracle.pixels import Pixels

from .choose_calibrator import CALIBRATORS

SCHEMES = ("int8", "int4", "int8x16", "int8-dynamic")
CORRECTIONS = ("none", "analytic", "empirical")


@dataclass(frozen=True)
class QuantizeOptions:
    """How a model becomes integers.

    scheme           int8: activations (but for what the last softmax reads, int16) and weights;
                     int4: the same, but weights of dense layers and 1x1 convolutions of 4 bits, where that
                     costs little; int8x16: int16 activations, int8 weights;
                     int8-dynamic: dense layers only, the range of their input found at run time
    calibrator       minmax, percentile, entropy, mse, or auto: for each tensor the one of best SQNR
    equalize         balance the ranges of channels across layers first
    bias_correction  none; analytic: from the means of the float model; empirical: from those of the quantized one
    adaround         learn how weights round, layer by layer, from calibration data (brings its own bias correction)
    float_nodes      names of nodes left in float
    int16_nodes      names of nodes whose activations are int16 in an int8 model
    int8_weights     names of nodes whose weights stay int8 in an int4 model
    tensor_calibrators  pairs of an activation's name and the calibrator that it gets instead
    samples          most calibration samples that layer-by-layer corrections hold at once
    seed             of the choice of positions that corrections look at
    pixels           the model's one input becomes an image of bytes, of which these numbers are made
    """

    scheme: str = "int8"
    calibrator: str = "auto"
    equalize: bool = True
    bias_correction: str = "empirical"
    adaround: bool = True
    float_nodes: frozenset[str] = frozenset()
    int16_nodes: frozenset[str] = frozenset()
    int8_weights: frozenset[str] = frozenset()
    tensor_calibrators: tuple[tuple[str, str], ...] = ()
    samples: int = 256
    seed: int = 0
    pixels: Pixels | None = None

    def __post_init__(self) -> None:
        for what, value, choices in (
            ("scheme", self.scheme, SCHEMES),
            ("calibrator", self.calibrator, ("auto", *CALIBRATORS)),
            ("bias correction", self.bias_correction, CORRECTIONS),
            *(("calibrator", name, tuple(CALIBRATORS)) for _, name in self.tensor_calibrators),
        ):
            if value not in choices:
                raise DataError(f"unknown {what} '{value}'", hint=f"choose from {', '.join(choices)}")
        if self.int8_weights and self.scheme != "int4":
            raise DataError(f"weights that stay int8 are for int4, {self.scheme} has no others", "leave them out")


@dataclass(frozen=True)
class QuantizedTensor:
    """How one activation is held: real = scale * (integer - zero_point), and which calibrator chose its range."""

    name: str
    dtype: str
    scale: float
    zero_point: int
    calibrator: str
    sqnr_db: float


@dataclass(frozen=True)
class Int4Layer:
    """A layer whose weights could be int4, and whether they are.

    node, operator  of the model
    weights         how many there are
    int4            whether they are held in 4 bits; otherwise in 8, as those of all other layers
    sqnr_db         of the outputs with these weights alone rounded to int4, all else in float
    """

    node: str
    operator: str
    weights: int
    int4: bool
    sqnr_db: float


@dataclass(frozen=True)
class QuantizedModel:
    """A quantized ONNX model at `path`, its activations, and what a user may want to know of them.

    With the scheme int4 `int4` has every dense layer and 1x1 convolution, and `sqnr_db` is that of the outputs of all
    that is quantized, on some of the calibration samples.
    """

    path: Path
    tensors: tuple[QuantizedTensor, ...]
    notes: tuple[str, ...]
    int4: tuple[Int4Layer, ...] = ()
    sqnr_db: float | None = None
