"""What is kept of each measured candidate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias

from edgetvm.codegen.manifest import tool_version
from edgetvm.schedule.decision import decision_text, is_decision
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.types import Decision
from edgetvm.tune.types import OK, STATUSES, Candidate, Cost, Outcome


@dataclass(frozen=True)
class Place:
    """What a kernel was scheduled for. `features` are what rules know of the core, and for how many threads if these
    are several, `tools` the versions of what makes code, `optimize` the mode whose recipe holds where nothing was
    decided.
    """

    core: str
    features: str
    tools: str
    optimize: str


@dataclass(frozen=True)
class Record:
    """One candidate for the kernel of that `kernel_key`. `seconds` is when it was measured, since 1970."""

    kernel: str
    place: Place
    rule: str
    decision: Decision
    outcome: Outcome
    code_bytes: int
    seconds: int


Known: TypeAlias = Mapping[tuple[str, str], Sequence[Record]]  # by `name_of`, each oldest first

TEXTS = ("kernel", "core", "features", "tools", "optimize", "rule", "decision", "status", "unit", "note")
REALS = ("cost", "low", "high")
WHOLES = ("code_bytes", "seconds")
FIELDS = (*TEXTS, *REALS, *WHOLES)


def name_of(each: Candidate | Record) -> tuple[str, str]:
    """The kernel and the decision."""
    return each.task.key if isinstance(each, Candidate) else each.kernel, decision_text(each.decision)


def place_of(core: str, machine: Machine, optimize: str) -> Place:
    """The place of kernels that are scheduled for `machine`, a processor called `core`."""
    return Place(core, features_of(machine), tools(), optimize)


def features_of(machine: Machine) -> str:
    """What a machine is for rules, in words."""
    facts = [f"vectors={machine.vector_bytes}x{machine.vector_registers}"]
    facts += [f"{name}={value}" for name in ("dot", "neon", "matrix") if (value := getattr(machine, name))]
    facts += [f"threads={machine.threads}"] if machine.threads > 1 else []
    return " ".join([*facts, *(name for name in ("dsp", "helium", "vcvtr") if getattr(machine, name))])


def tools() -> str:
    """The versions that decide about the code of a kernel."""
    return f"edgetvm {tool_version('edgetvm')} tvm {tool_version('apache-tvm')}"


def to_fields(record: Record) -> dict[str, str | float | int | None]:
    """The record by `FIELDS`; what it does not have is None."""
    cost = record.outcome.cost
    return {
        "kernel": record.kernel,
        **asdict(record.place),
        "rule": record.rule,
        "decision": decision_text(record.decision),
        "status": record.outcome.status,
        "unit": cost.unit if cost else None,
        "note": record.outcome.note,
        "cost": cost.value if cost else None,
        "low": cost.low if cost else None,
        "high": cost.high if cost else None,
        "code_bytes": record.code_bytes,
        "seconds": record.seconds,
    }


def from_fields(found: Mapping[str, object]) -> Record | None:
    """The record of such fields; None for what this version does not understand."""
    texts = {name: found.get(name) for name in TEXTS}
    numbers = [float(number) for name in REALS if isinstance(number := found.get(name), float | int)]
    try:
        decision = json.loads(str(texts["decision"]))
        code_bytes, seconds = (int(str(found.get(name))) for name in WHOLES)
    except ValueError:
        return None
    status = str(texts["status"])
    complete = len(numbers) == len(REALS) and texts["unit"] is not None
    if status not in STATUSES or not is_decision(decision) or (status == OK) != complete:
        return None
    cost = Cost(numbers[0], numbers[1], numbers[2], str(texts["unit"])) if complete else None
    place = Place(*(str(texts[name]) for name in ("core", "features", "tools", "optimize")))
    outcome = Outcome(status, cost, str(texts["note"] or ""))
    return Record(str(texts["kernel"]), place, str(texts["rule"]), decision, outcome, code_bytes, seconds)
