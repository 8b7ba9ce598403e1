"""Which numbers of a recipe are asked for: no other can change what comes out."""

from __future__ import annotations

from dataclasses import asdict

from edgetvm.schedule.recipe import Recipe


def watch(recipe: Recipe) -> tuple[Recipe, set[str]]:
    """The recipe again, and a set of the names that it is asked for from now on."""
    asked: set[str] = set()

    class Watched(Recipe):
        def __getattribute__(self, name: str) -> object:
            asked.add(name)
            return super().__getattribute__(name)

    return Watched(**asdict(recipe)), asked
