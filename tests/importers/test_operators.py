"""Operators with constant operands, which ONNX's backend tests give at run time only.

The oracle is the suite's own expected output.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tools.onnx_backend_tests import Case, load_cases, relax_vm, run_case

PREFIXES = (
    "test_resize",
    "test_upsample",
    "test_lstm",
    "test_gru",
    "test_simple_rnn",
    "test_rnn",
    "test_col2im",
    "test_compress",
    "test_dft",
    "test_slice",
    "test_constant_pad",
    "test_reflect_pad",
    "test_edge_pad",
    "test_wrap_pad",
    "test_clip",
    "test_basic_deform",
    "test_deform",
    "test_convtranspose",
    "test_qlinear",
    "test_convinteger",
    "test_matmulinteger",
    "test_quantizelinear",
    "test_dequantizelinear",
    "test_batchnorm",
    "test_gemm",
    "test_topk",
    "test_cumsum",
    "test_reduce_sum",
)


def with_constants(case: Case) -> Case | None:
    """The case with every input but the first as an initializer; None if it has no such form."""
    model = onnx.ModelProto.FromString(case.model)
    (inputs, outputs), *others = case.sets
    names = [value.name for value in model.graph.input]
    arrays = [inputs.get(name) for name in names]
    if others or len(names) < 2 or not all(isinstance(a, np.ndarray) and a.dtype.kind in "fiub" for a in arrays):
        return None
    for name, array in zip(names[1:], arrays[1:], strict=True):
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    del model.graph.input[1:]
    return replace(case, model=model.SerializeToString(), sets=(({names[0]: arrays[0]}, outputs),))


CASES = {
    case.name: made
    for case in load_cases(["node"])
    if case.name.startswith(PREFIXES) and not case.name.endswith("_expanded")
    if (made := with_constants(case)) is not None
}
# What stays refused with constants too, and by which words.
REFUSED = ("element type", "training mode", "must be at least 1", "two-sided inverse", "sequence", "is empty")


@pytest.mark.parametrize("name", sorted(CASES))
def test_with_constant_operands(name: str) -> None:
    result = run_case(CASES[name], relax_vm)
    if result.outcome == "refused":
        assert any(words in result.reason for words in REFUSED), result.reason
    else:
        assert result.outcome == "passed", result.reason


def test_the_operators_that_only_this_covers_are_here() -> None:
    assert sum(name.startswith("test_resize") for name in CASES) >= 30
    assert sum(name.startswith(("test_lstm", "test_gru", "test_simple_rnn")) for name in CASES) >= 15
