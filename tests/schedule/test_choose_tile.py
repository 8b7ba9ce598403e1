"""Law of tiles: whatever the shape and the machine, they divide it and stay within its registers."""

from __future__ import annotations

from dataclasses import MISSING, fields

from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.resources import schedules_dir
from edgetvm.schedule.recipe import Machine, Recipe, load_recipe
from edgetvm.schedule.rules.register_tile import choose_tile

SHIPPED = [
    load_recipe(path, optimize)
    for path in sorted(schedules_dir().glob("*/default.toml"))
    for optimize in ("size", "balanced", "speed")
]
SMALL = st.integers(0, 40)
NEEDED = [field.name for field in fields(Recipe) if field.default is MISSING]
ANY_RECIPE = st.builds(
    Recipe,
    **dict.fromkeys(NEEDED, SMALL) | {"unrolled_operations": st.integers(0, 512), "register_vectors": SMALL},
)
MACHINES = st.builds(
    Machine,
    vector_bytes=st.sampled_from([0, 8, 16, 32, 64]),
    vector_registers=st.sampled_from([0, 8, 16, 32]),
    cache_bytes=st.just((32768,)),
    recipe=st.sampled_from(SHIPPED) | ANY_RECIPE,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    machine=MACHINES,
    rows=st.integers(1, 300),
    vectors=st.integers(1, 300),
    steps=st.integers(1, 2000),
    vectorised=st.booleans(),
)
def test_law_tiles_divide_and_fit(machine: Machine, rows: int, vectors: int, steps: int, vectorised: bool) -> None:
    recipe = machine.recipe
    lanes = machine.lanes(4) if vectorised else 1
    tile = choose_tile(rows, vectors * lanes, steps, lanes, machine)
    assert tile.lanes == lanes
    assert rows % tile.rows == vectors % tile.vectors == steps % tile.steps == 0
    budget = machine.vector_registers - recipe.spare_registers if lanes > 1 else recipe.scalar_accumulators
    assert tile.rows * tile.vectors <= max(budget, 1)
    assert tile.rows <= max(recipe.max_rows, 1)
    assert tile.rows * tile.vectors * tile.steps <= max(recipe.unrolled_operations, tile.rows * tile.vectors)


def test_a_large_product_uses_its_registers() -> None:
    """What the rule is for: AVX-512 holds 28 accumulators of 32 registers, a Cortex-M 8 of its scalar ones."""
    recipes = {path.parent.name: load_recipe(path) for path in schedules_dir().glob("*/default.toml")}
    wide = choose_tile(784, 512, 128, 16, Machine(64, 32, (), recipes["x86"]))
    assert wide.rows * wide.vectors == 28
    chip = choose_tile(784, 512, 128, 1, Machine(0, 0, (), recipes["cortex-m"]))
    assert chip.rows * chip.vectors == 8
