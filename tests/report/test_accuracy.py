"""Metrics, against counting pairs one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetvm.errors import DataError
from edgetvm.report.accuracy import auc, mean_squared_error, top1
from edgetvm.report.scores import positive_score, predicted_class, squared_error


def pairs(scores: list[float], labels: list[int]) -> float:
    """The share of (positive, negative) pairs in the right order, ties being half."""
    positives = [s for s, y in zip(scores, labels, strict=True) if y == 1]
    negatives = [s for s, y in zip(scores, labels, strict=True) if y == 0]
    won = sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives)
    return won / (len(positives) * len(negatives))


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 1)), min_size=2, max_size=40))
def test_law_auc_counts_pairs(rows: list[tuple[int, int]]) -> None:
    scores, labels = [float(s) for s, _ in rows], [y for _, y in rows]
    if len(set(labels)) == 2:
        assert auc(np.array(scores), np.array(labels)) == pytest.approx(pairs(scores, labels))


def test_auc_of_infinite_scores() -> None:
    assert auc(np.array([np.inf, 0.0, -np.inf, np.inf]), np.array([1, 1, 0, 0])) == pytest.approx(2.5 / 4)


@pytest.mark.parametrize(
    ("scores", "labels", "words"),
    [
        ([1, 2], [1, 1], "2 of 1 and 0 of 0"),
        ([1, 2], [0, 0], "0 of 1 and 2 of 0"),
        ([1, 2, 3], [0, 1, 2], "in 3"),
        ([1, np.nan], [0, 1], "sample 1 scores NaN"),
    ],
)
def test_auc_refuses(scores: list[float], labels: list[int], words: str) -> None:
    with pytest.raises(DataError, match=words):
        auc(np.array(scores), np.array(labels))


def test_top1() -> None:
    assert top1(np.array([0, 2, 2, -1]), np.array([0, 1, 2, 0])) == 0.5


def test_predicted_class() -> None:
    assert predicted_class(np.array([[0.1, 0.7, 0.2]])) == 1
    assert predicted_class(np.array([[0.1, np.nan, 0.2]])) == -1
    assert predicted_class(np.array([[3, 9, 9]], dtype=np.int8)) == 1


def test_mean_squared_error() -> None:
    assert mean_squared_error(np.array([[1, 2]], np.float32), np.array([3.0, 2.0])) == 2.0
    # In the dtype of the data 200 * 200 would wrap.
    assert mean_squared_error(np.array([200], np.uint8), np.array([0], np.uint8)) == 40000.0


def test_positive_score() -> None:
    given_input = np.zeros((1, 4), np.float32)
    assert positive_score(given_input, np.array([[0.25]]), "y") == 0.25
    assert positive_score(given_input, np.array([[0.25, 1.0]]), "y") == 0.75
    assert positive_score(given_input, np.array([[0, 0, 2, 0]], np.float32), "y") == 1.0
    with pytest.raises(DataError, match=r"'y' \[1, 3\]"):
        positive_score(given_input, np.zeros((1, 3)), "y")


def test_squared_error_refuses_another_size() -> None:
    with pytest.raises(DataError, match=r"'y' \[3\].* \[4\]"):
        squared_error(np.zeros(4), np.zeros(3), "y")
