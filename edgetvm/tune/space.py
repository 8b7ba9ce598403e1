"""What can be decided about one task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import tvm_ffi

from edgetvm.schedule.apply import schedule_kernel
from edgetvm.schedule.decision import apply_decision, decision_text, tile_decision
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.types import Decision, Packing, ScheduledKernel, Tiles, TileSize
from edgetvm.tune.asked import watch
from edgetvm.tune.types import TuningTask

_TILE = "tile."


@dataclass
class Space:
    """The tiles that the task's rule publishes, and those numbers of the recipe that change what it writes.

    `alternatives` are values of numbers that may be tried, by name. Decisions hold only what differs from the recipe.
    One with which the rule fails is a decision like others: who builds it finds out.
    """

    task: TuningTask
    machine: Machine
    alternatives: Mapping[str, tuple[int, ...]]
    _scheduled: dict[str, ScheduledKernel | None] = field(default_factory=dict)
    _written: dict[str, int] = field(default_factory=dict)

    @cached_property
    def moves(self) -> dict[str, list[int]]:
        """The numbers that matter to this task, each with the values that do, the recipe's own among them."""
        recipe, asked = watch(self.machine.recipe)
        own = _code_of(schedule_kernel(self.task.func, replace(self.machine, recipe=recipe), self.task.constants))
        found: dict[str, list[int]] = {}
        for name in filter(asked.__contains__, self.alternatives):
            default = getattr(self.machine.recipe, name)
            values = [value for value in self.alternatives[name] if value != default]
            if other := [value for value in values if self.written({name: value}) != own]:
                found[name] = [default, *other]
        return found

    def scheduled(self, numbers: Decision) -> ScheduledKernel | None:
        """The kernel that the task's rule writes with these numbers, in the tile of its choice; None if it fails."""
        key = decision_text(numbers)
        if key not in self._scheduled:
            self._scheduled[key] = self._schedule(numbers)
        return self._scheduled[key]

    def written(self, decision: Decision) -> int:
        """A number for the code that the task's rule writes, equal for equal code."""
        key = decision_text(decision)
        if key not in self._written:
            kernel = self._schedule(decision) if tile_of(decision) else self.scheduled(decision)
            self._written[key] = hash(key) if kernel is None else _code_of(kernel)
        return self._written[key]

    def predicted(self, decision: Decision) -> float:
        """The closed form's cost of a decision's tile, as a multiple of the rule's own choice; 1 without tiles."""
        tiles = self._tiles(numbers_of(decision))
        costs = {decision_text(tile_decision(tile)): cost for tile, cost in tiles.items()}
        least = min(costs.values(), default=1.0)
        return costs.get(decision_text(tile_of(decision)), least) / least

    def tiles(self, numbers: Decision) -> list[dict[str, int]]:
        """The decisions for each tile with these numbers, in the order of predicted cost."""
        tiles = self._tiles(numbers)
        return [{**numbers, **tile_decision(tile)} for tile in sorted(tiles, key=tiles.__getitem__)]

    def neighbours(self, decision: Decision) -> Iterator[dict[str, int]]:
        """Decisions that differ in one number, or in the tile."""
        numbers, tile = numbers_of(decision), tile_of(decision)
        yield from self.tiles(numbers)
        for name, values in self.moves.items():
            for value in values:
                changed = {k: v for k, v in numbers.items() if k != name}
                if value != values[0]:
                    changed[name] = value
                kept = {**changed, **tile}
                yield kept if kept in self.tiles(changed) else changed

    def _schedule(self, decision: Decision) -> ScheduledKernel | None:
        machine = apply_decision(self.machine, decision)
        try:
            return schedule_kernel(self.task.func, machine, self.task.constants)
        except Exception:  # of whatever kind, as in the builder, which says it
            return None

    def _tiles(self, numbers: Decision) -> Tiles:
        kernel = self.scheduled(numbers)
        return {} if kernel is None else kernel.tiles

    def features(self, decision: Decision) -> list[float]:
        """What a model of costs sees of a decision."""
        tile = tile_of(decision) or next(iter(map(tile_of, self.tiles(numbers_of(decision)))), {})
        numbers = [decision.get(name, values[0]) for name, values in self.moves.items()]
        shape = [tile.get(name, 0) for name in TILE_NAMES]
        return [self.predicted(decision), shape[0] * shape[1], *shape, *numbers]


TILE_NAMES = tuple(f"{_TILE}{field.name}" for field in fields(TileSize))


def _code_of(kernel: ScheduledKernel) -> int:
    """A number for the code of a kernel, equal for equal code."""
    loops = tvm_ffi.structural_hash(kernel.func)
    return hash((loops, kernel.llvm_level, *map(_label, kernel.packing.items())))


def _label(entry: tuple[int, Packing]) -> tuple[int, str]:
    position, packing = entry
    return position, packing.label


def tile_of(decision: Decision) -> dict[str, int]:
    """The part of a decision that is about the tile."""
    return {name: value for name, value in decision.items() if name.startswith(_TILE)}


def numbers_of(decision: Decision) -> dict[str, int]:
    """The part of a decision that is about numbers of the recipe."""
    return {name: value for name, value in decision.items() if not name.startswith(_TILE)}
