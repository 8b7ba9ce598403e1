"""What was decided about one kernel: numbers of the recipe that hold for it alone, and the tile of its rule."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import Any

from tvm import tirx

from edgetvm.schedule.kernel_key import kernel_key
from edgetvm.schedule.recipe import Machine, Recipe
from edgetvm.schedule.types import Decision, TileSize

_TILE = "tile."


def tile_decision(tile: TileSize) -> dict[str, int]:
    """The decision for a tile."""
    return {f"{_TILE}{name}": int(value) for name, value in asdict(tile).items()}


def decided(machine: Machine, func: tirx.PrimFunc) -> tuple[Machine, Decision | None]:
    """The machine for one kernel, which decides nothing about another, and what it decides about this one."""
    decision = machine.decisions.get(kernel_key(func)) if machine.decisions else None
    return apply_decision(machine, decision or {}), decision


def apply_decision(machine: Machine, decision: Decision) -> Machine:
    """The machine on which rules decide so; a tile that is none of a rule's is left to the rule."""
    tile: dict[str, Any] = {k.removeprefix(_TILE): n for k, n in decision.items() if k.startswith(_TILE)}
    numbers = {name: value for name, value in decision.items() if not name.startswith(_TILE)}
    recipe = replace(machine.recipe, **numbers) if numbers else machine.recipe
    return replace(machine, tile=TileSize(**tile) if tile else machine.tile, recipe=recipe, decisions={})


def is_decision(value: object) -> bool:
    """Whether it holds numbers for names that this version knows."""
    known = {f"{_TILE}{field.name}" for field in fields(TileSize)} | {field.name for field in fields(Recipe)}
    return isinstance(value, dict) and all(
        name in known and type(number) is int and number >= 0 for name, number in value.items()
    )


def decision_text(decision: Decision) -> str:
    """One line, equal for equal decisions."""
    return json.dumps(dict(sorted(decision.items())))
