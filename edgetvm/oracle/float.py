"""What a float model must compute: ONNX Runtime on the CPU, on the model as given, a .tflite in its ONNX form."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnxruntime

from edgetvm.errors import DataError, ModelError
from edgetvm.importers.tflite import tflite_to_onnx
from edgetvm.importers.tflite_file import is_tflite
from edgetvm.oracle.dataset import Sample

_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")


def reference_outputs(model: Path, samples: Iterable[Sample], threads: int = 1) -> list[Sample]:
    """The outputs, by name, of every sample.

    A dynamic dimension takes its extent from the samples: give them in the shape the package was compiled for.
    """
    session = _open(model, threads)
    names = [output.name for output in session.get_outputs()]
    results = []
    for number, sample in enumerate(samples):
        try:
            values = session.run(names, sample)
        except Exception as error:
            raise DataError(f"ONNX Runtime cannot run {model} on sample {number}: {_first_line(error)}") from error
        for name, value in zip(names, values, strict=True):
            if not isinstance(value, np.ndarray | np.generic):
                raise ModelError(f"output '{name}' of {model} is a {type(value).__name__}, not a tensor")
        results.append({name: np.asarray(value) for name, value in zip(names, values, strict=True)})
    return results


def float_borders(model: Path) -> frozenset[str]:
    """Names of the inputs and outputs that are floats in the model, whatever a package made of them."""
    session = _open(model, 1)
    return frozenset(v.name for v in (*session.get_inputs(), *session.get_outputs()) if v.type in _FLOATS)


def _open(model: Path, threads: int) -> onnxruntime.InferenceSession:
    if not model.is_file():
        raise ModelError(f"reference model {model} does not exist")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # its warnings would land in the middle of ours
    # The further levels rewrite operators for speed: an oracle keeps to the graph.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    source = tflite_to_onnx(model).SerializeToString() if is_tflite(model) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exception types share no base but Exception
        raise ModelError(f"ONNX Runtime cannot load {model}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
