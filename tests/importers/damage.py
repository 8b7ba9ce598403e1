"""Damaged model files: the importer must give a module or an error of ours, never a traceback or a hang."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, settings

from edgetvm.errors import EdgeTVMError
from edgetvm.importers.read import import_model

BOUNDED = settings(max_examples=150, deadline=10_000, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def attempt(content: bytes, suffix: str) -> None:
    """Import a file of these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"fuzzed.{suffix}"
        path.write_bytes(content)
        try:
            import_model(path)
        except EdgeTVMError as error:
            assert error.message
            assert "\n" not in error.message


def edited(content: bytes, edits: Sequence[tuple[int, int]]) -> bytes:
    """The bytes with some of them changed: (place, value)."""
    changed = bytearray(content)
    for place, value in edits:
        changed[place] = value
    return bytes(changed)
