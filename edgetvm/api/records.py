"""Files of tuning records: what is in them, and how they are joined, cut down and shipped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetvm.errors import OutputError, RecordsError
from edgetvm.tune.best import SIZE_UNIT, TIME_UNITS, Choice, choices
from edgetvm.tune.record_file import DEFAULT_FILE, RecordFile
from edgetvm.tune.records import Record, to_fields, tools
from edgetvm.tune.text import FILE_NAME, read_text, write_text


@dataclass(frozen=True)
class PlaceSummary:
    """What a file holds for one core, mode and version: kernels, records by status, kernels with a better decision."""

    core: str
    features: str
    tools: str
    optimize: str
    kernels: int
    statuses: dict[str, int]
    improved: int


def list_records(path: str | Path = DEFAULT_FILE) -> list[PlaceSummary]:
    """One summary a core, mode and version."""
    records = _open(path).read()
    summaries = []
    for place in dict.fromkeys(record.place for record in records):
        own = [record for record in records if record.place == place]
        statuses: dict[str, int] = {}
        for record in own:
            statuses[record.outcome.status] = statuses.get(record.outcome.status, 0) + 1
        improved = sum(bool(choice.best.decision) for choice in choices(own, place, _UNITS).values())
        kernels = len({record.kernel for record in own})
        summaries.append(
            PlaceSummary(place.core, place.features, place.tools, place.optimize, kernels, statuses, improved)
        )
    return summaries


def merge_records(sources: Sequence[str | Path], output: str | Path = DEFAULT_FILE) -> int:
    """Add what `sources`, files of records or their exported text, have and `output` has not; gives how much."""
    file = RecordFile(Path(output))
    known = {_identity(record) for record in file.read()}
    found: dict[tuple[object, ...], Record] = {}
    for source in sources:
        text = Path(source).suffix == Path(FILE_NAME).suffix
        for record in read_text(Path(source)) if text else _open(source).read():
            found.setdefault(_identity(record), record)
    fresh = [record for identity, record in found.items() if identity not in known]
    file.append(fresh)
    return len(fresh)


def prune_records(path: str | Path = DEFAULT_FILE) -> int:
    """Drop records of other versions of the tools, and of each kernel those that are not its best; gives how many."""
    file = _open(path)
    records = file.read()
    kept = _best(record for record in records if record.place.tools == tools())
    file.replace(kept)
    return len(records) - len(kept)


def export_records(folder: str | Path, path: str | Path = DEFAULT_FILE) -> list[Path]:
    """Write the best records of each core as text to `folder`/CORE/records.jsonl; gives the files."""
    kept = _best(_open(path).read())
    written = []
    for core in dict.fromkeys(record.place.core for record in kept):
        file = Path(folder) / core / FILE_NAME
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(write_text(record for record in kept if record.place.core == core), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write {file}: {error.strerror}") from error
        written.append(file)
    return written


_UNITS = (*TIME_UNITS, SIZE_UNIT)


def _best(found: Iterable[Record]) -> list[Record]:
    """Of each kernel and place the best decision, and what the rule's own costs; in the order of the file."""
    records = list(found)
    kept: list[Record] = []
    for place in dict.fromkeys(record.place for record in records):
        for choice in choices(records, place, _UNITS).values():
            kept += _both(choice)
    return kept


def _both(choice: Choice) -> list[Record]:
    return [choice.own, choice.best] if choice.best.decision else [choice.own]


def _open(path: str | Path) -> RecordFile:
    """A file that exists."""
    if not Path(path).is_file():
        raise RecordsError(f"records file {path} does not exist", "`edgetvm tune` makes one")
    return RecordFile(Path(path))


def _identity(record: Record) -> tuple[object, ...]:
    return tuple(to_fields(record).values())
