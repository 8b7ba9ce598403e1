"""What a manifest records of quantization and of the files that it used."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

from edgetvm.api.max_drop import Held
from edgetvm.codegen.manifest import sha256
from edgetvm.passes.quantize.options import QuantizedModel


def held_entries(held: Held, max_drop: float) -> dict[str, object]:
    """What the search for `max_drop` chose, as the manifest records it."""
    return {
        "float_nodes": sorted(held.options.float_nodes),
        "int16_nodes": sorted(held.options.int16_nodes),
        "max_drop": {
            "points": max_drop,
            "metric": held.metric,
            "float": held.float_figure,
            "quantized": held.figure,
            "samples": held.samples,
        },
    }


def int4_entry(made: QuantizedModel) -> dict[str, object]:
    """Which layers got int4 weights, and what that costs, as the manifest records it; null decibels: no error."""
    layers = [asdict(layer) | {"sqnr_db": _decibels(layer.sqnr_db)} for layer in made.int4]
    return {"layers": layers, "sqnr_db": _decibels(made.sqnr_db)}


def _decibels(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def file_entry(path: str | Path | None) -> dict[str, str | None] | None:
    """An input file by name and content; a folder by its name alone."""
    if path is None:
        return None
    file = Path(path)
    return {"name": file.name, "sha256": sha256(file) if file.is_file() else None}
