"""Constants are laid out as the tile reads them, and only constants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from tvm import relax

import edgetvm
from edgetvm.schedule.packing import Panels
from tests.importers.models import save
from tests.schedule.kernels import MACHINES, assert_close, run, schedule

# Columns that no tile of any machine here spans at once.
WIDE = 512


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    leading=st.lists(st.integers(1, 4), max_size=3),
    panels=st.integers(1, 5),
    block=st.integers(1, 8),
    dtype=st.sampled_from(["float32", "float16", "int8", "int64"]),
)
def test_law_a_panel_holds_its_columns(leading: list[int], panels: int, block: int, dtype: str) -> None:
    data = np.arange(int(np.prod(leading)) * panels * block).astype(dtype).reshape(*leading, panels * block)
    packed = Panels(block).pack(data)
    assert packed.shape == (panels, *leading, block)
    assert packed.flags.c_contiguous
    for panel in range(panels):
        np.testing.assert_array_equal(packed[panel], data[..., panel * block : (panel + 1) * block])


@pytest.mark.parametrize("target", MACHINES)
def test_constant_weights_are_packed(target: str) -> None:
    a, b = np.ones((4, 8), np.float32), np.random.default_rng(0).standard_normal((8, WIDE)).astype(np.float32)
    scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], relax.const(b)), [a], target)
    ((position, packing),) = scheduled.only.packing.items()
    assert position == 1
    assert isinstance(packing, Panels)
    assert 1 < packing.block < WIDE
    shape = [int(extent) for extent in scheduled.only.func.params[1].shape]
    assert shape == [-(-WIDE // packing.block), 8, packing.block] == list(packing.pack(b).shape)
    assert_close(run(scheduled, [a]), a @ b)


@pytest.mark.parametrize("target", MACHINES)
def test_inputs_keep_their_layout(target: str) -> None:
    a, b = np.ones((4, 8), np.float32), np.ones((8, WIDE), np.float32)
    scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], p[1]), [a, b], target)
    assert scheduled.rules == ["register_tile" if target == "cortex-m4" else "batched_product"]
    assert scheduled.only.packing == {}
    assert [int(extent) for extent in scheduled.only.func.params[1].shape] == [8, WIDE]


def test_what_one_tile_spans_needs_no_packing() -> None:
    a, b = np.ones((4, 8), np.int32), np.ones((8, 16), np.int32)
    scheduled = schedule(lambda p, emit: relax.op.matmul(p[0], relax.const(b)), [a], "host")
    assert scheduled.rules == ["register_tile"]
    assert scheduled.only.packing == {}


def test_one_weight_in_two_kernels(tmp_path: Path) -> None:
    """Products of 1 and of 24 rows want different panels of the same constant."""
    weights = {"w": np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)}
    nodes = [
        helper.make_node("MatMul", ["row", "w"], ["a"], name="row_product"),
        helper.make_node("MatMul", ["rows", "w"], ["b"], name="rows_product"),
        helper.make_node("Add", ["w", "rows64"], ["c"], name="as_it_is"),
    ]
    inputs = {"row": [1, 64], "rows": [24, 64], "rows64": [64, 64]}
    model = save(tmp_path / "shared.onnx", nodes, inputs, ["a", "b", "c"], weights)
    for target in ("host", "generic-c"):
        form = "c" if target == "generic-c" else "library"
        assert edgetvm.compile(model, target, tmp_path / target, format=form).verify(samples=1).passed
