"""The activations that a few neighbouring pixels of a depthwise convolution see, as vectors of channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tvm import tirx

from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, shuffle


@dataclass(frozen=True)
class Seen:
    """`channels` channels of each place, in vectors of `lanes`.

    `rows` are the rows of the taps, and `columns` for each pixel the columns of the taps, by their distance from the
    first pixel's first tap. `places` has the element of `image` at which a row and a column begin, if they are inside
    the image; elsewhere is `fill`.
    """

    code: Code
    image: tirx.Buffer
    places: Mapping[tuple[int, int], int]
    rows: tuple[int, ...]
    columns: tuple[tuple[int, ...], ...]
    channels: int
    lanes: int
    fill: int
    known: dict[tuple[int, int], tirx.Expr] = field(default_factory=dict)

    @property
    def taps(self) -> list[list[tuple[int, int]]]:
        """The row and the column of each tap of each pixel."""
        return [[(row, column) for row in self.rows for column in columns] for columns in self.columns]

    def inside(self, row: int, column: int) -> bool:
        """Whether the image has the place."""
        return (row, column) in self.places

    def vector(self, row: int, column: int) -> tirx.Expr:
        """The activations there, loaded once."""
        if not self.inside(row, column):
            return constant(self.fill, "int8", self.lanes)
        if (row, column) not in self.known:
            value = load_exactly(self.image, self.places[row, column], self.channels, self.lanes)
            self.known[row, column] = self.code.let("a", value)
        return self.known[row, column]


def load_exactly(buffer: tirx.Buffer, offset: Offset, count: int, lanes: int) -> tirx.Expr:
    """`count` elements in the first of `lanes` lanes; nothing else is read, other lanes hold anything."""
    if count == lanes:
        return load(buffer, offset, lanes)
    if count == 1:
        return tirx.Broadcast(load(buffer, offset), lanes)
    size = 1 << (count.bit_length() - 1)  # two loads that overlap
    first, last = load(buffer, offset, size), load(buffer, offset + (count - size), size)
    order = [lane if lane < size else lane + 2 * size - count for lane in range(count)]
    enough = -(-lanes // (2 * size))  # a shuffle gives no more lanes than it is given
    return shuffle([first, last] * enough, [*order, *[0] * (lanes - count)])
