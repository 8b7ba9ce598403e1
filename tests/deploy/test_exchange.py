"""The harness's files: whatever the shapes and dtypes, what was written sample by sample comes back by tensor."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgetvm.deploy.exchange import OUTPUTS, TAPS, read_outputs, read_taps
from edgetvm.deploy.package import Call, Package, Tensor
from edgetvm.errors import RunError

DTYPES = ("bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64")
EMPTY = Package(Path(), "m", "host", "c", None, (), (), 0, 8, (), {}, False, False)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


def tensors(arrays: list[np.ndarray]) -> tuple[Tensor, ...]:
    return tuple(Tensor("t", array.shape[1:], array.dtype.name, array[0].nbytes) for array in arrays)


@given(st.data(), st.integers(1, 3), st.lists(st.lists(st.tuples(st.sampled_from(DTYPES), SHAPES), max_size=3)))
def test_every_bit_comes_back(
    data: st.DataObject, samples: int, calls: list[list[tuple[str, tuple[int, ...]]]]
) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    arrays = [[numbers(random, dtype, (samples, *shape)) for dtype, shape in call] for call in calls]
    flat = [array for call in arrays for array in call]
    package = replace(EMPTY, outputs=tensors(flat), calls=tuple(Call("k", (), tensors(call), 1) for call in arrays))
    raw = b"".join(array[sample].tobytes() for sample in range(samples) for array in flat)
    with tempfile.TemporaryDirectory() as folder:
        for name in (OUTPUTS, TAPS):
            (Path(folder) / name).write_bytes(raw)
        outputs, taps = read_outputs(Path(folder), package, samples), read_taps(Path(folder), package, samples)
    assert [len(call) for call in taps] == [len(call) for call in arrays]
    for found in (outputs, [array for call in taps for array in call]):
        for array, expected in zip(found, flat, strict=True):
            assert (array.shape, array.dtype, array.tobytes()) == (expected.shape, expected.dtype, expected.tobytes())
            assert array.flags.writeable


def numbers(random: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    if dtype == "bool":
        return random.integers(0, 2, shape).astype(bool)
    kind = np.dtype(dtype)
    return np.frombuffer(random.bytes(int(np.prod(shape)) * kind.itemsize), kind).reshape(shape)


def test_a_file_of_another_size_is_refused(tmp_path: Path) -> None:
    package = replace(EMPTY, calls=(Call("k", (), (Tensor("k", (3,), "float32", 12),), 1),))
    (tmp_path / TAPS).write_bytes(bytes(23))
    with pytest.raises(RunError, match="m wrote 23 bytes of taps, 24 were expected"):
        read_taps(tmp_path, package, 2)
