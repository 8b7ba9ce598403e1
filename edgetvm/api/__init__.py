"""The public functions: each joins the layers for one thing a user wants."""

from edgetvm.api.check_options import FORMATS, LIBCS, OPTIMIZE, PRECISIONS
from edgetvm.api.compile import compile  # noqa: A004
from edgetvm.api.debug import DEBUG_SCHEMES, debug_accuracy
from edgetvm.api.describe import inspect, targets
from edgetvm.api.fit import fit
from edgetvm.api.package import Package, load
from edgetvm.api.quantize import CALIBRATORS, INPUT_TYPES, SCHEMES, quantize
from edgetvm.api.records import export_records, list_records, merge_records, prune_records
from edgetvm.api.tune import OBJECTIVES, tune
from edgetvm.deploy.export.write import SYSTEMS
from edgetvm.report.figure import METRICS
from edgetvm.tune.record_file import DEFAULT_FILE as DEFAULT_RECORDS

__all__ = [
    "CALIBRATORS",
    "DEBUG_SCHEMES",
    "DEFAULT_RECORDS",
    "FORMATS",
    "INPUT_TYPES",
    "LIBCS",
    "METRICS",
    "OBJECTIVES",
    "OPTIMIZE",
    "PRECISIONS",
    "SCHEMES",
    "SYSTEMS",
    "Package",
    "compile",
    "debug_accuracy",
    "export_records",
    "fit",
    "inspect",
    "list_records",
    "load",
    "merge_records",
    "prune_records",
    "quantize",
    "targets",
    "tune",
]
