"""EdgeTVM compiles neural networks for edge devices.

import edgetvm
package = edgetvm.compile("model.onnx", "raspberry-pi-4", "out")
print(package.verify())
"""

from edgetvm.api import Package, compile, debug_accuracy, fit, inspect, load, quantize, targets, tune  # noqa: A004
from edgetvm.errors import EdgeTVMError

__all__ = [
    "EdgeTVMError",
    "Package",
    "compile",
    "debug_accuracy",
    "fit",
    "inspect",
    "load",
    "quantize",
    "targets",
    "tune",
]
