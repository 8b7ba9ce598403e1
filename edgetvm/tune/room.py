"""Whether files can be written: what fails for want of room says nothing of a candidate."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgetvm.errors import OutputError

_BYTES = 4 << 20  # more than the files of a candidate take


def check_room(folder: Path) -> None:
    """Raises OutputError where a folder has no room for a file of some megabytes."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_BYTES))
            file.flush()
    except OSError as error:
        hint = "make room there, or name another folder in TMPDIR"
        raise OutputError(f"{folder.parent} has no room for temporary files: {error.strerror}", hint) from error
