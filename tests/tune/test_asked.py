"""Numbers that no rule asks for change nothing."""

from __future__ import annotations

import pytest
from tvm_ffi import structural_equal

from edgetvm.schedule.kernel_key import kernel_key
from edgetvm.schedule.recipe import alternatives, machine_for, recipe_files
from edgetvm.target.load import load_target
from edgetvm.tune.asked import watch
from edgetvm.tune.space import Space
from edgetvm.tune.types import TuningTask
from tests.tune.layers import conv_layer


def test_what_is_asked_for_is_noted() -> None:
    recipe = machine_for(load_target("host"), "library").recipe
    watched, asked = watch(recipe)
    assert (watched.max_rows, watched.dot_tile) == (recipe.max_rows, recipe.dot_tile)
    assert {"max_rows", "dot_tile"} <= asked
    assert "dot_unrolled" not in asked


@pytest.mark.parametrize("core", ["host", "cortex-a53", "cortex-m4"])
def test_a_space_has_all_numbers_that_matter(core: str) -> None:
    target = load_target(core)
    machine, others = machine_for(target, "library"), alternatives(recipe_files(target, "library"))
    func, constants = conv_layer()
    space = Space(TuningTask(kernel_key(func), "layer", func, constants, "", 1), machine, others)
    own = space.scheduled({}).func
    left_out = {name: values for name, values in others.items() if name not in space.moves}
    assert left_out
    for name, values in left_out.items():
        assert all(structural_equal(space.scheduled({name: value}).func, own) for value in values), name
