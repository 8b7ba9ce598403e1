"""Samples in the form a model takes them: what every loader of data returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Sample = dict[str, Array]


class Tensor(Protocol):
    """What data need to know of a model's input: its name, its frozen shape, its numpy dtype."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> str: ...


@dataclass(frozen=True, eq=False)
class Dataset:
    """Model inputs made one at a time, so that a large set never lies in memory as float32.

    source   what the user named, for messages
    count    labelled samples
    windows  model inputs cut from one sample; 1 unless a window was asked for
    fetch    makes input number i, 0 <= i < count * windows; the windows of one sample follow each other
    labels   one row a sample, or None
    """

    source: str
    count: int
    fetch: Callable[[int], Sample]
    windows: int = 1
    labels: Array | None = None

    def __len__(self) -> int:
        return self.count * self.windows

    def __iter__(self) -> Iterator[Sample]:
        return map(self.fetch, range(len(self)))


def describe(shape: tuple[int, ...], dtype: str | np.dtype[Any] | None = None) -> str:
    """A shape, and a dtype, as error messages print them: ``uint8 [1, 32, 32, 3]``."""
    text = "[" + ", ".join(map(str, shape)) + "]"
    return text if dtype is None else f"{dtype} {text}"
