"""int8 layers in one program on an emulated core: exact, inside of their tensors, by the rule that is meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from edgetvm.schedule.recipe import machine_for
from edgetvm.target.load import load_target
from tests.schedule.fenced import Fenced, run_fenced
from tests.schedule.int8_layers import Layer
from tests.schedule.kernels import schedule
from tests.schedule.test_dot_tile import sums_nothing


@contextmanager
def optimizing(target: str, optimize: str, **recipe: int) -> Iterator[None]:
    """Kernels are scheduled by the recipe of `target` for size or speed, and by the numbers `recipe`."""
    machine = machine_for(load_target(target), "library", optimize)
    machine = replace(machine, recipe=replace(machine.recipe, **recipe))
    with patch("tests.schedule.kernels.machine", lambda _: machine):
        yield


class AllLeast(Layer):
    """Every weight and every activation is -128."""

    def weights(self) -> np.ndarray:
        return np.full_like(super().weights(), -128)

    def inputs(self) -> list[np.ndarray]:
        return [np.full_like(x, -128) for x in super().inputs()]


class ExtremeTiles(Layer):
    """The largest codes and weights once transformed for Winograd: tiles of -128 and 127 in turn, weights of -128."""

    @property
    def fill(self) -> int:
        return 127 if self.seed else -128

    def weights(self) -> np.ndarray:
        return np.full_like(super().weights(), -128)

    def inputs(self) -> list[np.ndarray]:
        x, *others = super().inputs()
        row, column = np.ogrid[: x.shape[1], : x.shape[2]]
        turn = (row // 2 + column // 2 + self.seed) % 2
        return [np.broadcast_to(np.where(turn, 127, -128)[..., np.newaxis], x.shape).astype(np.int8), *others]


def check_layers(layers: list[Layer], rule: str, target: str, runner: str | None = None) -> None:
    """All in one program: their outputs are numpy's, and nothing outside of a tensor is touched.

    `runner` runs them, by default the target itself.
    """
    cases = []
    for layer in layers:
        inputs = layer.inputs()
        scheduled = schedule(layer.body, inputs, target)
        assert scheduled.rules == [rule] or sums_nothing(layer), layer
        cases.append(Fenced(scheduled, inputs))
    for layer, found in zip(layers, run_fenced(cases, runner or target), strict=True):
        np.testing.assert_array_equal(found, layer.expected(layer.inputs()), err_msg=str(layer))
