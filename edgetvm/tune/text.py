"""Records as text: a line of JSON each, in the order of their kernels, so that a change shows as changed lines.

What ships lies in `schedules/tuned/CORE/`; only the best record of a kernel, and beside it what the rule's own choice
costs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from edgetvm.errors import RecordsError
from edgetvm.resources import schedules_dir
from edgetvm.tune.record_file import SCHEMA
from edgetvm.tune.records import Record, from_fields, to_fields

FILE_NAME = "records.jsonl"
_LATER = ("seconds", "note")  # differ from run to run, and say nothing of the kernel


def shipped_file(core: str) -> Path:
    """The file of a core's shipped records."""
    return schedules_dir() / "tuned" / core / FILE_NAME


def write_text(records: Iterable[Record]) -> str:
    """The lines: first one with the schema."""
    lines = [
        {name: value for name, value in to_fields(record).items() if value is not None and name not in _LATER}
        for record in records
    ]
    ordered = sorted(lines, key=lambda line: [str(line[name]) for name in ("kernel", "optimize", "decision")])
    return "".join(f"{json.dumps(line)}\n" for line in [{"schema": SCHEMA}, *ordered])


def read_text(path: Path) -> list[Record]:
    """The records of such a file. Raises RecordsError for one that is wrong or of another schema."""
    try:
        first, *lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        if first["schema"] != SCHEMA:
            raise RecordsError(f"{path} has records of schema {first['schema']}, this EdgeTVM {SCHEMA}")
        found = [from_fields({"seconds": 0, **line}) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordsError(f"records {path} cannot be read: {error}") from error
    return [record for record in found if record is not None]
