"""Least squares and learned rounding, against exhaustive search and closed forms."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetvm.passes.quantize.learn_rounding import learned_rounding
from edgetvm.passes.quantize.least_squares import RIDGES, choose_ridge, corrected_weights, held_error
from edgetvm.passes.quantize.moments import Moments


def moments_of(x: np.ndarray, y: np.ndarray) -> Moments:
    """Rows ``[rows, K]`` and ``[rows, N]`` of one group, in two calls."""
    found = Moments(1, x.shape[1], y.shape[1])
    for part in np.array_split(np.arange(len(x)), 2):
        found.add(x[None, part].astype(np.float32), y[None, part].astype(np.float32))
    return found


def correlated(rows: int, width: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, width)) @ rng.standard_normal((width, width)) + rng.standard_normal(width)


def test_moments_are_numpys() -> None:
    x, y = correlated(500, 4, 0), correlated(500, 3, 1)
    found = moments_of(x, y)
    together = np.cov(np.hstack([x, y]).T, bias=True)
    np.testing.assert_allclose(found.covariance_xx[0], together[:4, :4], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.covariance_yx[0], together[4:, :4], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.mean_y[0], y.mean(axis=0), rtol=1e-5)
    halves = moments_of(x[:100], y[:100]).merged(moments_of(x[100:], y[100:]))
    np.testing.assert_allclose(halves.covariance_xx, found.covariance_xx, rtol=1e-6, atol=1e-6)


def test_correction_is_ordinary_least_squares_without_ridge() -> None:
    x, rng = correlated(400, 5, 2), np.random.default_rng(3)
    y = x @ rng.standard_normal((5, 2)) + 0.1 * rng.standard_normal((400, 2))
    found = corrected_weights(np.zeros((1, 2, 5)), moments_of(x, y), 1e-9)
    wanted, *_ = np.linalg.lstsq(np.hstack([x, np.ones((400, 1))]), y, rcond=None)
    np.testing.assert_allclose(found[0], wanted[:5].T, rtol=1e-3, atol=1e-3)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 1000), ridge=st.sampled_from(RIDGES))
def test_law_right_weights_are_not_corrected(seed: int, ridge: float) -> None:
    """If the inputs are the float ones, there is nothing to undo."""
    x = correlated(200, 4, seed)
    weights = np.random.default_rng(seed).standard_normal((1, 3, 4))
    found = corrected_weights(weights, moments_of(x, x @ weights[0].T), ridge)
    np.testing.assert_allclose(found, weights, atol=1e-3)


def test_a_ridge_is_chosen_by_data_that_were_not_learned_from() -> None:
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((1, 1, 30))

    def noisy(rows: int) -> Moments:
        """Outputs of which nothing but the given weights can be learned."""
        x = rng.standard_normal((rows, 30))
        return moments_of(x, x @ weights[0].T + 3 * rng.standard_normal((rows, 1)))

    assert choose_ridge(weights, noisy(40), noisy(1000)) >= 3
    x = rng.standard_normal((2000, 30))
    shifted = moments_of(x, x @ (weights[0].T + 1.0))
    assert choose_ridge(weights, shifted, shifted) == RIDGES[0]


def test_held_error_is_the_mean_square_less_a_constant() -> None:
    x, y = correlated(300, 3, 5), correlated(300, 2, 6)
    found = moments_of(x, y)
    one, other = (np.random.default_rng(s).standard_normal((1, 2, 3)) for s in (0, 1))

    def direct(weights: np.ndarray) -> float:
        error = y - x @ weights[0].T
        return float(((error - error.mean(axis=0)) ** 2).mean(axis=0).sum())

    assert held_error(one, found) - held_error(other, found) == pytest.approx(direct(one) - direct(other), rel=1e-3)


def cost(weights: np.ndarray, integers: np.ndarray, scale: float, covariance: np.ndarray) -> float:
    error = weights - integers * scale
    return float(error @ covariance @ error)


@pytest.mark.parametrize("seed", range(10))
def test_rounding_is_near_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    covariance = np.cov(correlated(500, 6, seed).T)
    weights, scale = rng.uniform(-3, 3, 6), 0.5
    found = learned_rounding(weights[None, None], covariance[None], np.array([[scale]]))[0, 0]
    floor = np.floor(weights / scale)
    choices = [floor + np.array(up) for up in product((-1, 0, 1, 2), repeat=6)]
    best = min(cost(weights, choice, scale, covariance) for choice in choices)
    nearest = cost(weights, np.rint(weights / scale), scale, covariance)
    assert best <= cost(weights, found, scale, covariance) <= max(nearest, 1.5 * best)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(seed=st.integers(0, 1000), groups=st.integers(1, 3), outputs=st.integers(1, 4), width=st.integers(1, 9))
def test_law_independent_inputs_round_to_nearest(seed: int, groups: int, outputs: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(-1, 1, (groups, outputs, width))
    scale = np.abs(weights).max(axis=2) / 127
    diagonal = np.stack([np.diag(rng.uniform(0.5, 2, width)) for _ in range(groups)])
    found = learned_rounding(weights, diagonal, scale)
    np.testing.assert_array_equal(found, np.rint(weights / scale[:, :, None]))


def test_inputs_that_never_vary_are_rounded_too() -> None:
    found = learned_rounding(np.full((1, 1, 3), 0.6), np.zeros((1, 3, 3)), np.array([[1.0]]))
    np.testing.assert_array_equal(found, np.ones((1, 1, 3)))
