"""The public functions: each joins the layers for one thing a user wants."""

from edgetvm.api.compile import FORMATS, LIBCS, OPTIMIZE, compile  # noqa: A004
from edgetvm.api.describe import inspect, targets
from edgetvm.api.package import Package, load
from edgetvm.api.quantize import CALIBRATORS, INPUT_TYPES, SCHEMES, quantize

__all__ = [
    "CALIBRATORS",
    "FORMATS",
    "INPUT_TYPES",
    "LIBCS",
    "OPTIMIZE",
    "SCHEMES",
    "Package",
    "compile",
    "inspect",
    "load",
    "quantize",
    "targets",
]
