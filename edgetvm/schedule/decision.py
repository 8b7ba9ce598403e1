"""What was decided about one kernel: numbers of the recipe that hold for it alone, and the tile of its rule.

About a kernel over rows it is what was decided about its parts together: "KEY.tile.pixels" and the like, with the
`kernel_key` of the part.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from tvm import tirx

from edgetvm.schedule.kernel_key import kernel_key
from edgetvm.schedule.recipe import Machine, Recipe
from edgetvm.schedule.types import Decision, TileSize

_TILE = "tile."
_PART = re.compile(r"([0-9a-f]{16})\.(.+)")


def tile_decision(tile: TileSize) -> dict[str, int]:
    """The decision for a tile."""
    return {f"{_TILE}{name}": int(value) for name, value in asdict(tile).items()}


def decided(machine: Machine, func: tirx.PrimFunc) -> tuple[Machine, Decision | None]:
    """The machine for one kernel, which decides nothing about another, and what it decides about this one."""
    decision = _decision(machine, func) or {}
    return apply_decision(machine, decision), decision or None


def decided_parts(machine: Machine, func: tirx.PrimFunc) -> Machine:
    """The machine for the parts of a kernel over rows: what it decides about all of them together comes before what it
    decides about each.
    """
    decision = _decision(machine, func)
    return machine if decision is None else apply_decision(machine, decision)


def _decision(machine: Machine, func: tirx.PrimFunc) -> Decision | None:
    return machine.decisions.get(kernel_key(func)) if machine.decisions else None


def apply_decision(machine: Machine, decision: Decision) -> Machine:
    """The machine on which rules decide so; a tile that is none of a rule's is left to the rule."""
    if parts := part_decisions(decision):
        return replace(machine, decisions=parts)
    tile: dict[str, Any] = {k.removeprefix(_TILE): n for k, n in decision.items() if k.startswith(_TILE)}
    numbers = {name: value for name, value in decision.items() if not name.startswith(_TILE)}
    recipe = replace(machine.recipe, **numbers) if numbers else machine.recipe
    return replace(machine, tile=TileSize(**tile) if tile else machine.tile, recipe=recipe, decisions={})


def joint_decision(parts: Mapping[str, Decision]) -> dict[str, int]:
    """The decision about a kernel over rows from those about its parts."""
    return {f"{key}.{name}": number for key, decision in parts.items() for name, number in decision.items()}


def part_decisions(decision: Decision) -> dict[str, dict[str, int]]:
    """The decisions about parts in a joint one, none in another."""
    found: dict[str, dict[str, int]] = {}
    for name, number in decision.items():
        if part := _PART.fullmatch(name):
            found.setdefault(part[1], {})[part[2]] = number
    return found


def is_decision(value: object) -> bool:
    """Whether it holds numbers for names that this version knows."""
    known = {f"{_TILE}{field.name}" for field in fields(TileSize)} | {field.name for field in fields(Recipe)}
    return isinstance(value, dict) and all(
        _PART.sub(r"\2", name) in known and type(number) is int and number >= 0 for name, number in value.items()
    )


def decision_text(decision: Decision) -> str:
    """One line, equal for equal decisions."""
    return json.dumps(dict(sorted(decision.items())))
