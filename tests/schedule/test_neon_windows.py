"""Windows of short runs are copied where it pays and is wanted, and read as one run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.schedule.packing import Panels
from tests.schedule.exact_layers import AllLeast, check_layers, optimizing
from tests.schedule.int8_layers import EPILOGUES, Layer, convolutions
from tests.schedule.kernels import Scheduled, schedule
from tests.schedule.reference import Window

WITHOUT_DOT = ["cortex-a53", "cortex-a7"]
ALWAYS = 1000  # percent of the instructions
SAME = Window((3, 3), pads=(1, 1, 1, 1))
FIRST = Layer((1, 33, 33, 3), 16, Window((3, 3), (2, 2), (0, 0, 1, 1)), "relu")


def scheduled(layer: Layer, optimize: str = "speed", **recipe: int) -> Scheduled:
    with optimizing("cortex-a53", optimize, **recipe):
        return schedule(layer.body, layer.inputs(), "cortex-a53")


def are_copied(kernels: Scheduled) -> bool:
    return "windows" in kernels.only.func.script()


def short_runs() -> list[Layer]:
    layers = [Layer((1, 8, 8, 3), 24, SAME, epilogue) for epilogue in EPILOGUES]
    layers += [Layer((2, 9, 7, depth), 17, Window((3, 2), (2, 1), (2, 1, 0, 3)), "requantize") for depth in (1, 5, 8)]
    layers += [Layer((1, 9, 7, depth), 8, Window((3, 3), dilation=(2, 2)), "requantize") for depth in (1, 4, 16)]
    layers += [Layer((1, 9, 7, 2), 8, Window((2, 5)), "bias"), Layer((1, 1, 1, 5), 1, SAME, "none")]
    layers += [Layer((1, 49, 10, 1), 64, Window((10, 4), (2, 2), (4, 1, 5, 1)), "relu")]
    return [*layers, AllLeast((1, 4, 5, 3), 8, SAME, "none")]


@pytest.mark.parametrize("target", WITHOUT_DOT)
@pytest.mark.parametrize("threads", [0, 1])
def test_every_way_through_the_copy(target: str, threads: int) -> None:
    layers = short_runs()
    with optimizing(target, "speed", neon_windows=ALWAYS, parallel_operations=threads):
        check_layers(layers, "neon_tile", target)
    assert all(are_copied(scheduled(layer, neon_windows=ALWAYS)) for layer in layers)


@settings(max_examples=2, deadline=None, derandomize=True)
@given(layers=st.lists(convolutions(), min_size=12, max_size=12), target=st.sampled_from(WITHOUT_DOT))
def test_law_convolutions(layers: list[Layer], target: str) -> None:
    with optimizing(target, "speed", neon_windows=ALWAYS):
        check_layers(layers, "neon_tile", target)


def test_a_window_is_one_run_of_the_weights() -> None:
    (packing,) = scheduled(FIRST).only.packing.values()
    assert isinstance(packing, Panels)
    assert packing.joined == 3


@pytest.mark.parametrize("optimize", ["balanced", "size"])
def test_copies_are_made_for_speed_only(optimize: str) -> None:
    assert are_copied(scheduled(FIRST))
    assert not are_copied(scheduled(FIRST, optimize))


@pytest.mark.parametrize(
    "layer",
    [
        Layer((1, 32, 32, 16), 16, Window((3, 3), (2, 2), (0, 0, 1, 1)), "relu"),  # runs are longer than a vector
        replace(FIRST, outputs=1),  # one channel does not pay for a copy
        Layer((1, 16, 16, 8), 16, Window((1, 1)), "relu"),
    ],
    ids=str,
)
def test_other_windows_are_read_where_they_lie(layer: Layer) -> None:
    assert not are_copied(scheduled(layer))
