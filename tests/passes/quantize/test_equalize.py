"""Equalization and the use of dead channels leave the float model what it is, and help the quantized one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgetvm.importers.graph import Graph
from edgetvm.oracle.dataset import Dataset
from edgetvm.passes.quantize import split_channels as split_channels_module
from edgetvm.passes.quantize.equalize import MARGIN, MOST, channel_factors, equalize, find_chains
from edgetvm.passes.quantize.options import QuantizeOptions
from edgetvm.passes.quantize.post_training import quantize_model
from edgetvm.passes.quantize.session import Session
from edgetvm.passes.quantize.split_channels import choose_sources, noise_gains, split_channels
from edgetvm.passes.quantize.statistics import channel_maxima
from tests.passes.quantize.models import dataset, graph_of, outputs, separable, sqnr

HELD = dataset(8, seed=1)


def run(graph: Graph, data: Dataset, values: list[str]) -> np.ndarray:
    session = Session(graph, graph.nodes, graph.inputs, values)
    return np.concatenate([np.concatenate([v.ravel() for v in session.run(s).values()]) for s in data])


@pytest.mark.parametrize("clip", [None, 6.0, 1.0])
def test_float_values_stay(clip: float | None, tmp_path: Path) -> None:
    """Across a clip that is reached, too: those channels are left alone."""
    graph = graph_of(separable(tmp_path / "m.onnx", clip, uneven=True))
    before = run(graph, dataset(), ["y"])
    notes = equalize(graph, dataset())
    assert any("scaled by" in note for note in notes)
    np.testing.assert_allclose(run(graph, dataset(), ["y"]), before, atol=1e-5)


def test_ranges_become_even(tmp_path: Path) -> None:
    graph = graph_of(separable(tmp_path / "m.onnx", uneven=True))
    before = channel_maxima(graph, ["r0"], dataset())["r0"]
    equalize(graph, dataset())
    after = channel_maxima(graph, ["r0"], dataset())["r0"]
    assert after.max() == pytest.approx(before.max(), rel=1e-4)
    assert after.min() / after.max() > 3 * before.min() / before.max()


def test_chains_are_layers_with_one_reader(tmp_path: Path) -> None:
    """The value behind c2 goes two ways, and what follows it is no convolution."""
    graph = graph_of(separable(tmp_path / "m.onnx"))
    assert [(c.first.node.name, c.second.node.name) for c in find_chains(graph)] == [("c0", "c1"), ("c1", "c2")]


MAXIMA = arrays.arrays(np.float64, st.integers(1, 20), elements=st.just(0.0) | st.floats(1e-3, 100))


@settings(deadline=None, derandomize=True)
@given(maxima=MAXIMA, bound=st.sampled_from([1.0, 6.0, np.inf]), balance=st.sampled_from([0.5, 1.0]))
def test_law_no_factor_brings_data_to_the_clip(maxima: np.ndarray, bound: float, balance: float) -> None:
    factors = channel_factors(maxima, bound, balance)
    assert ((factors >= 1) & (factors <= MOST)).all()
    scaled, top = factors > 1, bound if np.isfinite(bound) else maxima.max()
    assert (maxima[scaled] * factors[scaled] * MARGIN <= top * (1 + 1e-9)).all()


def test_dead_channels_change_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to half a step near 0, where the copies of a channel are rectified one before the other."""
    monkeypatch.setattr(split_channels_module, "PAYS", 0.0)  # every copy does
    graph = graph_of(separable(tmp_path / "m.onnx", dead=3))
    before = run(graph, HELD, ["c2"])
    notes = split_channels(graph, dataset())
    assert len(notes) == 1 and "3 of 3 dead channels" in notes[0]
    assert sqnr(before, run(graph, HELD, ["c2"])) > 55
    assert (channel_maxima(graph, ["r1"], dataset())["r1"] > 0).all()


def test_without_dead_channels_nothing_is_done(tmp_path: Path) -> None:
    graph = graph_of(separable(tmp_path / "m.onnx"))
    nodes = list(graph.nodes)
    assert split_channels(graph, dataset()) == [] and graph.nodes == nodes


@pytest.mark.parametrize("dead", [0, 4])
def test_the_quantized_model_gets_better(dead: int, tmp_path: Path) -> None:
    path = separable(tmp_path / "m.onnx", dead=dead, uneven=True)
    wanted = outputs(path, HELD)
    ratios = []
    for flag in (False, True):
        options = QuantizeOptions(equalize=flag, adaround=False, int16_nodes=frozenset(["l", "y", "m", "f"]))
        made = quantize_model(path, tmp_path / f"{flag}.onnx", dataset(), options)
        ratios.append(sqnr(wanted, outputs(made.path, HELD)))
    assert ratios[1] > ratios[0] + 0.25


@settings(deadline=None, derandomize=True)
@given(gains=arrays.arrays(np.float64, 8, elements=st.floats(0.01, 100)), dead=st.sets(st.integers(0, 7), max_size=7))
def test_law_only_dead_channels_become_copies(gains: np.ndarray, dead: set[int]) -> None:
    live = sorted(set(range(8)) - dead)
    sources = choose_sources(gains, np.array(live), np.array(sorted(dead), int))
    assert (sources[live] == live).all()
    assert all(sources[d] in live or sources[d] == d for d in dead)


def test_a_copy_must_pay() -> None:
    """Of one among equals it adds as much to the work as it takes of the noise; of one that is all the noise, less."""
    even, one = np.ones(8), np.array([1.0] + [1e-3] * 7)
    live, dead = np.arange(6), np.array([6, 7])
    assert choose_sources(even, live, dead).tolist() == list(range(8))
    assert choose_sources(one, live, dead).tolist() == [0, 1, 2, 3, 4, 5, 0, 0]


def test_noise_is_what_white_noise_does() -> None:
    """Against noise sent through the layers: a depthwise and a mixing one, as matrices."""
    rng = np.random.default_rng(0)
    depthwise, mixing = rng.standard_normal((3, 1, 1, 5)), rng.standard_normal((1, 3, 1, 1))
    noise = np.einsum("cnk,ck->cn", 0.1 * rng.standard_normal((3, 200000, 5)), depthwise.reshape(3, 5))
    noise += 0.3 * rng.standard_normal((3, 200000))
    power = (noise * mixing.reshape(3, 1)).var(axis=1)
    gains = noise_gains([rng.standard_normal((3, 2, 1, 1)), depthwise, mixing], [0.1, 0.3])
    np.testing.assert_allclose(gains / gains.sum(), power / power.sum(), rtol=0.02)
