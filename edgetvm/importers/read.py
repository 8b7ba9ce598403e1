"""A model file of any supported format -> a Relax module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .graph import Graph
from .onnx import imported, read_graph
from .tflite import read_tflite
from .tflite_file import is_tflite
from .types import ImportedModel, Refusal


def import_model(path: Path, shapes: Mapping[str, Sequence[int]] = {}) -> ImportedModel:
    """Read the model at `path`, a .tflite or an ONNX file, its dynamic dimensions frozen by `shapes`.

    Raises `ModelError` for a file that is no usable model, and `UnsupportedError` naming every
    node that cannot be compiled.
    """
    path = Path(path)
    return imported(path, *read_model(path, shapes))


def read_model(path: Path, shapes: Mapping[str, Sequence[int]]) -> tuple[Graph, list[Refusal]]:
    """The flat graph of the model, cleaned, and the nodes that cannot be part of it."""
    return read_tflite(path, shapes) if is_tflite(path) else read_graph(path, shapes)
