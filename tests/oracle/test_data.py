"""Data from `.npz`: what comes out is what numpy computes by hand, and what cannot fit is refused by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetvm.errors import DataError
from edgetvm.oracle.data import load_data


@dataclass(frozen=True)
class Input:
    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


IMAGE = Input("input", (1, 4, 5, 3))


def save(folder: Path, **arrays: Any) -> Path:
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return path


def test_x_with_scale_and_offset(tmp_path: Path) -> None:
    x = np.arange(6 * 60, dtype=np.int16).reshape(6, 4, 5, 3)
    path = save(tmp_path, x=x, scale=np.float32(0.5), offset=np.float32(-3), y=np.arange(6))
    data = load_data(path, [IMAGE])
    assert len(data) == data.count == 6
    for i, sample in enumerate(data):
        assert sample["input"].dtype == np.float32
        np.testing.assert_array_equal(sample["input"], x[i : i + 1] * np.float32(0.5) - 3)
    assert data.labels is not None
    np.testing.assert_array_equal(data.labels, np.arange(6))


def test_scale_a_channel(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 4), dtype=np.uint8)
    scale, offset = np.float32([[[[0.1]], [[0.2]]]]), np.float32([[[[1]], [[2]]]])
    data = load_data(save(tmp_path, x=x, scale=scale, offset=offset), [Input("i", (1, 2, 4, 4))])
    np.testing.assert_array_equal(np.concatenate([s["i"] for s in data]), x * scale + offset)


def test_scale_a_sample(tmp_path: Path) -> None:
    x = np.ones((3, 2), dtype=np.int8)
    data = load_data(save(tmp_path, x=x, scale=np.float32([[1], [2], [3]])), [Input("i", (1, 2))])
    np.testing.assert_array_equal(np.concatenate([s["i"] for s in data]), [[1, 1], [2, 2], [3, 3]])


def test_arrays_by_name_and_limit(tmp_path: Path) -> None:
    ids = np.arange(30, dtype=np.int64).reshape(5, 6)
    path = save(tmp_path, ids=ids, mask=ids % 2, y=np.arange(5), comment=np.array("x"))
    data = load_data(path, [Input("ids", (1, 6), "int64"), Input("mask", (1, 6), "int64")], samples=3)
    samples = list(data)
    assert len(samples) == 3
    assert [list(s) for s in samples] == [["ids", "mask"]] * 3
    np.testing.assert_array_equal(samples[2]["mask"], ids[2:3] % 2)
    assert data.labels is not None and len(data.labels) == 3


def test_windows(tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(2, 7, 3)).astype(np.float32)
    data = load_data(save(tmp_path, x=x, y=np.array([0, 1])), [Input("i", (1, 6))], window=2)
    assert (data.count, data.windows, len(data)) == (2, 6, 12)
    for i, sample in enumerate(data):
        clip, t = divmod(i, 6)
        np.testing.assert_array_equal(sample["i"], np.concatenate([x[clip, t], x[clip, t + 1]])[None])


def test_samples_are_made_on_demand(tmp_path: Path) -> None:
    data = load_data(save(tmp_path, x=np.zeros((1000, 4, 5, 3), np.uint8), scale=np.float32(1)), [IMAGE])
    assert next(iter(data))["input"].shape == IMAGE.shape
    assert data.fetch(999)["input"].flags["C_CONTIGUOUS"]


def test_flat_samples_are_reshaped(tmp_path: Path) -> None:
    x = np.arange(120, dtype=np.float64).reshape(2, 60)
    sample = next(iter(load_data(save(tmp_path, x=x), [IMAGE])))["input"]
    np.testing.assert_array_equal(sample, np.arange(60, dtype=np.float32).reshape(IMAGE.shape))


@pytest.mark.parametrize(
    ("arrays", "inputs", "options", "words"),
    [
        ({"z": [1.0]}, [IMAGE], {}, ["no array 'input'", "it holds z"]),
        ({"x": np.zeros((2, 4, 5, 2))}, [IMAGE], {}, ["[4, 5, 2]", "'input'", "[1, 4, 5, 3]"]),
        ({"x": np.zeros((2, 3, 4, 5))}, [IMAGE], {}, ["another order of axes"]),
        ({"x": np.zeros((0, 4, 5, 3))}, [IMAGE], {}, ["no samples"]),
        ({"x": np.zeros((2, 4, 5, 3)), "y": [1]}, [IMAGE], {}, ["y [1]", "2 samples"]),
        ({"x": np.zeros((2, 4, 5, 3)), "scale": np.ones(7)}, [IMAGE], {}, ["'scale' [7]", "[2, 4, 5, 3]"]),
        ({"x": np.full((1, 4), 300)}, [Input("i", (1, 4), "int8")], {}, ["300", "int8"]),
        ({"x": np.zeros((1, 4))}, [Input("i", (1, 4), "int8")], {}, ["float64", "int8"]),
        ({"x": np.zeros((1, 4), "i1"), "scale": 1.0}, [Input("i", (1, 4), "int8")], {}, ["'scale'", "int8"]),
        ({"x": np.array([["a"]]), "scale": 1.0}, [Input("i", (1, 1))], {}, ["<U1"]),
        ({"input": np.zeros((2, 4, 5, 3))}, [IMAGE], {}, ["'input' is float64", "float32"]),
        ({"a": np.zeros((2, 1), "f4"), "b": np.zeros((3, 1), "f4")}, [Input("a", (1,)), Input("b", (1,))], {}, ["'b'"]),
        ({"a": np.zeros((2, 1), "f4")}, [Input("a", (1,)), Input("b", (1,))], {}, ["no array 'b'"]),
        ({"x": np.zeros((2, 4))}, [Input("i", (1, 4))], {"window": 2}, ["[4]", "[rows, features]"]),
        ({"x": np.zeros((2, 4, 3))}, [Input("i", (1, 6))], {"window": 5}, ["4 rows", "window of 5"]),
        ({"x": np.zeros((2, 4, 3))}, [Input("i", (1, 6))], {"window": 3}, ["9 elements", "[1, 6]"]),
        ({"x": np.zeros((2, 4, 5, 3))}, [IMAGE], {"samples": 0}, ["0 samples"]),
        ({"x": np.zeros((2, 4, 5, 3))}, [IMAGE], {"preprocess": Path("p.toml")}, ["p.toml"]),
    ],
)
def test_refusals(tmp_path: Path, arrays: Any, inputs: Any, options: Any, words: list[str]) -> None:
    path = save(tmp_path, **arrays)
    with pytest.raises(DataError) as info:
        load_data(path, inputs, **options)
    assert str(path) in info.value.message
    for word in words:
        assert word in f"{info.value.message} {info.value.hint}"


@pytest.mark.parametrize("damage", ["absent", "text", "truncated", "pickle", "npy"])
def test_unreadable_files(tmp_path: Path, damage: str) -> None:
    path = save(tmp_path, x=np.zeros((50, 4, 5, 3)))
    if damage == "absent":
        path.unlink()
    elif damage == "text":
        path.write_text("hello")
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:3000])
    elif damage == "pickle":
        np.savez(path, x=np.array([None, {}], dtype=object))
    else:
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    with pytest.raises(DataError, match=r"data\.npz"):
        load_data(path, [IMAGE])


REAL = {
    "ic01": ("evaluation.npz", [Input("input", (1, 32, 32, 3))], None, 813),
    "kws01": ("evaluation.npz", [Input("input", (1, 49, 10, 1))], None, 446),
    "vww01": ("evaluation.npz", [Input("input", (1, 96, 96, 3))], None, 450),
    "resnet20_cifar10": ("evaluation.npz", [Input("input", (1, 3, 32, 32))], None, 813),
    "ad01": ("evaluation_clips.npz", [Input("input", (1, 640))], 5, 124),
    "minilm_l6": (
        "evaluation.npz",
        [Input("input_ids", (1, 64), "int64"), Input("attention_mask", (1, 64), "int64")],
        None,
        436,
    ),
}


@pytest.mark.parametrize("name", REAL)
def test_real_data(assets: Path, name: str) -> None:
    file, inputs, window, count = REAL[name]
    data = load_data(assets / name / file, inputs, window=window)
    assert data.count == count
    assert data.labels is not None and len(data.labels) == count
    assert data.windows == (196 if window else 1)
    sample = data.fetch(len(data) - 1)
    for tensor in inputs:
        assert sample[tensor.name].shape == tensor.shape
        assert sample[tensor.name].dtype == tensor.dtype
        assert np.isfinite(sample[tensor.name]).all()
