"""Numbers that somebody or a search picked: one TOML file a family of processors."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from edgetvm.errors import TargetError
from edgetvm.resources import schedules_dir
from edgetvm.target.types import Target

FAMILY = {"x86_64": "x86", "aarch64": "arm-cpu", "arm": "arm-cpu", "thumb": "cortex-m", "c": "portable-c"}


@dataclass(frozen=True)
class Recipe:
    """What the rules of one family are given.

    scalar_accumulators   accumulators of a tile where there are no vectors
    spare_registers       vector registers kept free of accumulators
    least_accumulators    accumulators that hide the latency of multiply-add; fewer cost idle cycles
    max_rows              rows of a register tile at most
    unrolled_operations   multiply-adds of one unrolled inner body at most
    """

    scalar_accumulators: int
    spare_registers: int
    least_accumulators: int
    max_rows: int
    unrolled_operations: int


@dataclass(frozen=True)
class Machine:
    """What rules know of the processor: facts of `targets/` beside choices of `schedules/`."""

    vector_bytes: int
    vector_registers: int
    cache_bytes: tuple[int, ...]
    recipe: Recipe

    def lanes(self, element_bytes: int) -> int:
        """Elements of one vector register; 1 without any."""
        return max(self.vector_bytes // element_bytes, 1)


def machine_for(target: Target, form: str, path: Path | None = None) -> Machine:
    """The machine that rules schedule for. Portable C has no vectors, whatever the target."""
    processor = target.processor
    family = "portable-c" if form == "c" else FAMILY[processor.arch]
    recipe = load_recipe(path or schedules_dir() / family / "default.toml")
    if family == "portable-c":
        return Machine(0, 0, processor.cache_bytes, recipe)
    return Machine(processor.vector_bytes, processor.vector_registers, processor.cache_bytes, recipe)


def load_recipe(path: Path) -> Recipe:
    """Read a recipe: one table a number, with `value` and `why`. TargetError names the file and the key."""
    try:
        table = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TargetError(f"recipe {path} cannot be read: {error}") from error
    wanted = set(Recipe.__dataclass_fields__)
    for key in sorted(wanted ^ set(table)):
        raise TargetError(f"recipe {path}: {'missing' if key in wanted else 'unknown'} key '{key}'")
    for key, entry in table.items():
        if not isinstance(entry, dict) or type(entry.get("value")) is not int or not isinstance(entry.get("why"), str):
            raise TargetError(f"recipe {path}: '{key}' needs an integer 'value' and a text 'why'")
        if entry["value"] < 0:
            raise TargetError(f"recipe {path}: '{key}' is {entry['value']}; it must not be negative")
    return Recipe(**{key: entry["value"] for key, entry in table.items()})
