"""Which of the shipped processors the machine that compiles is."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetvm.errors import TargetError
from edgetvm.target.toml_table import TomlTable


@dataclass(frozen=True)
class Candidate:
    """A processor that the host is if it is a ``machine`` with all of ``flags``."""

    machine: str
    processor: str
    flags: tuple[str, ...]


def read_candidates(table: TomlTable) -> tuple[str, list[Candidate]]:
    """The name in `host.toml` and its candidates, best first."""
    name = table.take("name", str)
    table.take("source", str)
    entries = table.take_tables("candidate")
    table.finish()
    candidates = []
    for entry in entries:
        candidate = Candidate(entry.take("machine", str), entry.take("processor", str), entry.take_list("flags", str))
        entry.finish()
        candidates.append(candidate)
    return name, candidates


def choose_candidate(candidates: Sequence[Candidate], machine: str, flags: frozenset[str]) -> str:
    """The processor of the first candidate that ``machine`` with ``flags`` satisfies."""
    for candidate in candidates:
        if candidate.machine == machine and flags.issuperset(candidate.flags):
            return candidate.processor
    raise TargetError(f"host is a {machine}, for which there is no processor", "name the target of another machine")


def host_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What the kernel says the processor can do; nothing where it does not say."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return frozenset()
    # Every core has such a line; only what all of them list can be relied on.
    cores = [frozenset(line.partition(":")[2].split()) for line in lines if line.startswith(("flags", "Features"))]
    return frozenset.intersection(*cores) if cores else frozenset()


def host_machine() -> str:
    """x86_64 or aarch64, however the system spells it."""
    return {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
