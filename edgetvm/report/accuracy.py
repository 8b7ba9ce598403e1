"""Metrics over the scores of labelled samples: plain arithmetic."""

from __future__ import annotations

import numpy as np

from edgetvm.errors import DataError
from edgetvm.oracle.dataset import Array


def top1(predicted: Array, labels: Array) -> float:
    """The share of samples whose predicted class is their label."""
    return float(np.mean(predicted == labels))


def auc(scores: Array, labels: Array) -> float:
    """The area under the ROC curve: how often a positive sample scores above a negative one, a tie being half.

    By the ranks of the scores: (sum of the positives' ranks - P (P + 1) / 2) / (P N), ties sharing their mean rank.
    """
    positive = labels == 1
    p, n = int(positive.sum()), int((labels == 0).sum())
    if p + n != len(labels) or p == 0 or n == 0:
        raise DataError(f"AUC needs labels 0 and 1, both present: there are {p} of 1 and {n} of 0 in {len(labels)}")
    if np.isnan(scores).any():
        raise DataError(f"AUC needs scores that can be ordered: sample {int(np.isnan(scores).argmax())} scores NaN")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - p * (p + 1) / 2) / (p * n))


def mean_squared_error(a: Array, b: Array) -> float:
    """The mean of the squared differences of two arrays with the same number of elements."""
    difference = a.astype(np.float64).ravel() - b.astype(np.float64).ravel()
    return float(np.mean(difference * difference))
