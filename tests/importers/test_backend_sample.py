"""A seeded sample of ONNX's own backend tests, compiled for this machine and run; `make bench` runs all."""

from __future__ import annotations

from collections import Counter

from tools.onnx_backend_tests import KINDS, load_cases, package, run_cases, sample

CASES = 150
LEAST_PASSED = 90  # of this sample; measured over all: three in four pass, the others are refused


def test_sample_of_onnx_backend_tests() -> None:
    results = list(run_cases(sample(load_cases(KINDS), CASES, seed=2), package, jobs=2, limit=60.0))
    failed = [f"{r.outcome}: {r.name}: {r.reason}" for r in results if r.outcome in ("wrong", "crashed")]
    counts = Counter(result.outcome for result in results)
    assert not failed
    assert len(results) == CASES
    assert counts["passed"] >= LEAST_PASSED
    assert all(result.reason for result in results if result.outcome == "refused")
