"""The decisions that a compilation takes from records."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from edgetvm.errors import RecordsError
from edgetvm.schedule.decision import decision_text
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.types import ScheduledKernel
from edgetvm.tune.best import SIZE_UNIT, TIME_UNITS, Choice, choices
from edgetvm.tune.record_file import DEFAULT_FILE, RecordFile
from edgetvm.tune.records import Place, Record, place_of
from edgetvm.tune.text import read_text, shipped_file


@dataclass(frozen=True)
class Tuned:
    """Machines that decide about kernels as records say. `notes` are for the user, a line each."""

    machines: Sequence[Machine]
    notes: Sequence[str]

    def digest(self, kernels: Iterable[Mapping[str, ScheduledKernel]]) -> str | None:
        """The SHA-256 of all decisions that these kernels use; None if they use none."""
        used = {
            decision_text(task.decision)
            for group in kernels
            for kernel in group.values()
            for task in kernel.tasks
            if task.decision is not None
        }
        return hashlib.sha256("\n".join(sorted(used)).encode()).hexdigest() if used else None


def tuned_for(core: str, machines: Sequence[Machine], optimize: str, file: Path | None) -> Tuned:
    """`machines`, the kinds of a core, with what is decided by the records of `file`, by default of
    `./edgetvm-records.sqlite` if there is one, and else by those that ship.

    Raises RecordsError for a given file that does not exist.
    """
    if file is not None and not file.is_file():
        raise RecordsError(f"records file {file} does not exist", "`edgetvm tune` makes one")
    path = file or Path(DEFAULT_FILE)
    own: list[Record] = []
    notes: list[str] = []
    places = [_places(core, machine, optimize) for machine in machines]
    if path.is_file():
        opened = RecordFile(path)
        own = opened.read()
        notes = [*opened.notes, *unused(own, [place for each in places for place in each], path.name)]
    shipped, units = shipped_records(core), units_of(optimize)
    decided = []
    for machine, each in zip(machines, places, strict=True):
        best: dict[str, Choice] = {}
        for place, records in product(each, (shipped, own)):
            best |= choices(records, place, units)
        decisions = {kernel: choice.best.decision for kernel, choice in best.items()}
        decided.append(replace(machine, decisions=decisions))
    return Tuned(decided, notes)


def _places(core: str, machine: Machine, optimize: str) -> list[Place]:
    """Where records are from that tell of a machine, the best last: those of its own number of threads."""
    return [
        place_of(core, replace(machine, threads=threads), optimize) for threads in dict.fromkeys((1, machine.threads))
    ]


def units_of(optimize: str) -> tuple[str, ...]:
    """In which units a mode wants little."""
    return (SIZE_UNIT,) if optimize == "size" else TIME_UNITS


def shipped_records(core: str) -> list[Record]:
    """Those in `schedules/tuned/`, none for most cores."""
    path = shipped_file(core)
    return read_text(path) if path.is_file() else []


def unused(records: Sequence[Record], places: Sequence[Place], name: str) -> list[str]:
    """A line for each other core, version of the tools, or set of features, whose records are of no use here."""
    others: Counter[str] = Counter()
    for record in records:
        for what in ("core", "tools", "features"):  # the first in which it differs
            value = getattr(record.place, what)
            if value not in {getattr(place, what) for place in places}:
                others[value] += 1
                break
    return [f"{name}: {count} records are of {what}, and not used" for what, count in others.items()]
