"""Cross-layer equalization."""

from __future__ import annotations

from edgetvm.importers.graph import Graph
from edgetvm.oracle.dataset import Dataset


def equalize(graph: Graph, data: Dataset) -> list[str]:
    return []
