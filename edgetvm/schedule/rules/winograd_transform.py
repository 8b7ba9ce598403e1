"""Winograd's minimal filtering of three taps: m outputs of m + 2 inputs by m + 2 products instead of 3m.

In one dimension ``y = A^T [(G g) * (B^T d)]``, in two ``Y = A^T [(G g G^T) * (B^T d B)] A``. Source: A. Lavin and
S. Gray, Fast Algorithms for Convolutional Neural Networks, 2015, sections 4.1 to 4.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from tvm import tirx

TAPS = 3


@dataclass(frozen=True)
class Algebra:
    """How vectors are named and multiplied by numbers; they add and subtract by themselves."""

    let: Callable[[tirx.Expr], tirx.Expr]
    times: Callable[[tirx.Expr, float], tirx.Expr]


@dataclass(frozen=True)
class Winograd:
    """F(m, 3).

    weights  G, [m + 2, 3]
    input    B^T of m + 2 values
    output   A^T of m + 2 values: m values
    costs    operations of `input` and `output`, a multiplication with an addition counted once
    """

    outputs: int
    weights: tuple[tuple[float, ...], ...]
    input: Callable[[Algebra, Sequence[tirx.Expr]], list[tirx.Expr]]
    output: Callable[[Algebra, Sequence[tirx.Expr]], list[tirx.Expr]]
    costs: tuple[int, int]

    @property
    def side(self) -> int:
        """Inputs, and products, along one axis."""
        return self.outputs + TAPS - 1

    @property
    def products(self) -> int:
        """Products of one tile, a channel of input and of output."""
        return self.side**2


def _input_of_4(_: Algebra, d: Sequence[tirx.Expr]) -> list[tirx.Expr]:
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _output_of_2(_: Algebra, m: Sequence[tirx.Expr]) -> list[tirx.Expr]:
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]


def _input_of_6(a: Algebra, d: Sequence[tirx.Expr]) -> list[tirx.Expr]:
    even, odd = a.let(d[4] - a.times(d[2], 4)), a.let(d[3] - a.times(d[1], 4))
    even_too, odd_too = a.let(d[4] - d[2]), a.let(d[3] - d[1])
    return [
        a.times(d[0], 4) + (d[4] - a.times(d[2], 5)),
        even + odd,
        even - odd,
        a.times(odd_too, 2) + even_too,
        even_too - a.times(odd_too, 2),
        a.times(d[1], 4) + (d[5] - a.times(d[3], 5)),
    ]


def _output_of_4(a: Algebra, m: Sequence[tirx.Expr]) -> list[tirx.Expr]:
    sum_one, difference_one = a.let(m[1] + m[2]), a.let(m[1] - m[2])
    sum_two, difference_two = a.let(m[3] + m[4]), a.let(m[3] - m[4])
    return [
        m[0] + sum_one + sum_two,
        a.times(difference_two, 2) + difference_one,
        a.times(sum_two, 4) + sum_one,
        a.times(difference_two, 8) + (difference_one + m[5]),
    ]


# Points 0, 1, -1 and infinity.
F2 = Winograd(
    2, ((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)), _input_of_4, _output_of_2, (4, 4)
)
# Points 0, 1, -1, 2, -2 and infinity.
F4 = Winograd(
    4,
    (
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    ),
    _input_of_6,
    _output_of_4,
    (12, 10),
)
FORMS = (F2, F4)


def transform_weights(form: Winograd, weights: np.ndarray) -> np.ndarray:
    """``G g G^T`` of [3, 3, C, O] in double precision: [(m + 2)^2, C, O]."""
    g = np.asarray(form.weights, np.float64)
    half = np.tensordot(g, weights.astype(np.float64), (1, 0))
    whole = np.tensordot(g, half, (1, 1)).swapaxes(0, 1)
    return whole.reshape(form.products, *weights.shape[2:])
