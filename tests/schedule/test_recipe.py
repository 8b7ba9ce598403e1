"""Recipes: every shipped one loads, and a wrong one is refused by file and key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgetvm.errors import TargetError
from edgetvm.resources import schedules_dir
from edgetvm.schedule.recipe import FAMILY, load_recipe, machine_for
from edgetvm.schedule.rules.register_tile import choose_tile
from edgetvm.target.load import list_targets, load_target

SHIPPED = sorted(schedules_dir().glob("*/default.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
@pytest.mark.parametrize("optimize", ["size", "speed", "balanced"])
def test_shipped_recipes_load(path: Path, optimize: str) -> None:
    recipe = load_recipe(path, optimize)
    assert recipe.max_rows >= 1


def test_every_family_has_a_recipe() -> None:
    assert {path.parent.name for path in SHIPPED} == set(FAMILY.values())


@pytest.mark.parametrize("family", ["x86", "arm-cpu"])
def test_numbers_that_divide_are_there(family: str) -> None:
    """What is 0 where a family has no such kernel must not be left out where it has."""
    recipe = load_recipe(schedules_dir() / family / "default.toml")
    assert recipe.dot_band_share and recipe.thread_bands and recipe.uncopied_bands
    assert recipe.winograd_loads and recipe.winograd_overlap and recipe.max_vectors and recipe.register_vectors


def test_an_own_recipe_replaces_what_it_has(tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    own.write_text('[max_rows]\nvalue = 3\nsize = 2\nwhy = "a trial"\n')
    assert load_recipe(SHIPPED[0], "balanced", own) == replace(load_recipe(SHIPPED[0]), max_rows=3)
    assert load_recipe(SHIPPED[0], "size", own).max_rows == 2


def test_a_core_differs_from_its_family_in_what_its_own_recipe_has() -> None:
    folder = schedules_dir() / "cortex-m"
    family, differs = folder / "default.toml", folder / "cortex-m55.toml"
    assert machine_for(load_target("cortex-m4"), "library").recipe == load_recipe(family)
    assert machine_for(load_target("cortex-m55"), "library").recipe == load_recipe(family, "balanced", differs)
    assert load_recipe(family) != load_recipe(family, "balanced", differs)


def test_a_family_without_a_number_that_all_need_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "family.toml"
    path.write_text(SHIPPED[0].read_text().split("[register_steps]")[0])
    with pytest.raises(TargetError, match=r"family\.toml: missing key 'register_"):
        load_recipe(path)


def test_size_unrolls_less_than_speed() -> None:
    for path in SHIPPED:
        small, large = load_recipe(path, "size"), load_recipe(path, "speed")
        assert small.unrolled_operations < large.unrolled_operations


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("[max_rows]", "[max_row]"), "'max_row"),
        (lambda text: text.replace("value = ", "value = -", 1), "at least 0"),
        (lambda text: text.replace("value = ", "value = 1.5 #", 1), "integer"),
        (lambda text: text.replace("why ", "because ", 1), "'why'"),
        (lambda text: text + "[", "cannot be read"),
    ],
)
def test_wrong_recipes_are_refused(change: object, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(change(SHIPPED[0].read_text()))  # type: ignore[operator]
    with pytest.raises(TargetError, match=r"mine\.toml") as caught:
        load_recipe(SHIPPED[0], "balanced", path)
    assert words in caught.value.message


@pytest.mark.parametrize("name", list_targets())
def test_law_tiles_divide_and_fit_the_registers(name: str) -> None:
    target = load_target(name)
    machine = machine_for(target, "c" if target.processor.arch == "c" else "library")
    for lanes in {1, machine.lanes(4)}:
        for rows, vectors, steps in ((1, 1, 1), (7, 3, 9), (49, 8, 16), (224, 5, 3), (13, 1001, 64)):
            tile = choose_tile(rows, vectors * lanes, steps, lanes, machine)
            assert rows % tile.rows == vectors % tile.vectors == steps % tile.steps == 0
            limit = machine.vector_registers if lanes > 1 else machine.recipe.scalar_accumulators
            assert tile.rows * tile.vectors <= max(limit, 1)
            assert tile.rows <= max(machine.recipe.max_rows, 1)
