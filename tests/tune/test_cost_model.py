"""The model that ranks candidates."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from edgetvm.errors import ToolError
from edgetvm.tune.cost_model import predict


def test_it_finds_the_feature_that_matters() -> None:
    rng = np.random.default_rng(0)
    features = rng.integers(0, 8, (40, 3)).astype(float)
    values = np.where(features[:, 1] > 4, 1.0, 0.0)
    low, high, *_ = guesses = predict(features, values, np.asarray([[3.0, 2, 3], [3, 7, 3], [7, 7, 0]]))
    assert low < 0.2 and high > 0.8
    np.testing.assert_array_equal(predict(features, values, np.asarray([[3.0, 2, 3], [3, 7, 3], [7, 7, 0]])), guesses)


def test_few_points_give_their_mean() -> None:
    assert predict(np.zeros((0, 2)), np.zeros(0), np.zeros((1, 2))).tolist() == [0.0]
    assert predict(np.ones((1, 2)), np.asarray([3.0]), np.zeros((2, 2))).tolist() == [3.0, 3.0]


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(ToolError, match="XGBoost is not installed") as error:
        predict(np.ones((2, 1)), np.ones(2), np.ones((1, 1)))
    assert error.value.hint == "pip install 'edgetvm[tune]'"
