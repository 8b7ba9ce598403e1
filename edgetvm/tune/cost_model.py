"""Learns from measured candidates how far the closed form is off: boosted regression trees, by XGBoost."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from edgetvm.errors import ToolError

Numbers = NDArray[np.float64]

_TREES = 60
_OPTIONS = {
    "learning_rate": 0.2,
    "max_depth": 2,  # a few dozen points support no more
    "min_child_weight": 2,  # points in a leaf
    "tree_method": "exact",
    "nthread": 1,
}


def xgboost() -> ModuleType:
    """The library. Raises ToolError where it is not installed."""
    try:
        import xgboost
    except ImportError as error:
        raise ToolError("XGBoost is not installed", "pip install 'edgetvm[tune]'") from error
    module: ModuleType = xgboost
    return module


def predict(features: Numbers, values: Numbers, wanted: Numbers) -> Numbers:
    """The values of the rows `wanted`, learnt from those of the rows `features`, the same each time."""
    if len(values) < 2:
        return np.full(len(wanted), values.mean() if len(values) else 0.0)
    library = xgboost()
    model = library.train(_OPTIONS, library.DMatrix(features, values), _TREES)
    return np.asarray(model.predict(library.DMatrix(wanted)), float)
