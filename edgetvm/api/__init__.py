"""The public functions: each joins the layers for one thing a user wants."""

from edgetvm.api.compile import FORMATS, LIBCS, OPTIMIZE, PRECISIONS, compile  # noqa: A004
from edgetvm.api.debug import DEBUG_SCHEMES, debug_accuracy
from edgetvm.api.describe import inspect, targets
from edgetvm.api.fit import fit
from edgetvm.api.package import Package, load
from edgetvm.api.quantize import CALIBRATORS, INPUT_TYPES, SCHEMES, quantize
from edgetvm.deploy.export.write import SYSTEMS
from edgetvm.report.figure import METRICS

__all__ = [
    "CALIBRATORS",
    "DEBUG_SCHEMES",
    "FORMATS",
    "INPUT_TYPES",
    "LIBCS",
    "METRICS",
    "OPTIMIZE",
    "PRECISIONS",
    "SCHEMES",
    "SYSTEMS",
    "Package",
    "compile",
    "debug_accuracy",
    "fit",
    "inspect",
    "load",
    "quantize",
    "targets",
]
