"""The model that ranks candidates."""

from __future__ import annotations

import numpy as np

from edgetvm.tune.cost_model import fit


def test_it_finds_the_feature_that_matters() -> None:
    rng = np.random.default_rng(0)
    features = rng.integers(0, 8, (40, 3)).astype(float)
    model = fit(features, np.where(features[:, 1] > 4, 1.0, 0.0))
    assert {stump.feature for stump in model.stumps[:5]} == {1}
    low, high = model.predict(np.asarray([[3.0, 2, 3], [3, 7, 3]]))
    assert low < 0.2 and high > 0.8


def test_few_points_give_their_mean() -> None:
    assert fit(np.zeros((0, 2)), np.zeros(0)).predict(np.zeros((1, 2))) == [0.0]
    assert fit(np.ones((1, 2)), np.asarray([3.0])).predict(np.zeros((2, 2))).tolist() == [3.0, 3.0]
