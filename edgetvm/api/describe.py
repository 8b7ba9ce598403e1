"""What a model holds, and what there is to compile for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgetvm.importers.types import ModelSummary
from edgetvm.target.load import list_targets, load_target
from edgetvm.target.types import Target


def inspect(model: str | Path, shapes: Mapping[str, Sequence[int]] | None = None) -> ModelSummary:
    """Operators, shapes, MACs and parameters of a model, and every node that cannot be compiled."""
    from edgetvm.importers.summary import summarize

    return summarize(Path(model), shapes or {})


def targets() -> tuple[Target, ...]:
    """Every board and processor that ships with EdgeTVM."""
    return tuple(load_target(name) for name in list_targets())
