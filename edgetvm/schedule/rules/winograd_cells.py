"""Channels in vectors, for Winograd's tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.winograd_code import algebra
from edgetvm.schedule.rules.winograd_plan import WinogradPlan
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, store, vector_type


@dataclass(frozen=True)
class Channels:
    """`count` pieces of `lanes` input channels from `first` on."""

    first: int
    count: int
    lanes: int


def channel_pieces(plan: WinogradPlan) -> list[Channels]:
    """All input channels: whole vectors, then a smaller one of each size that is needed."""
    lanes, depth = plan.lanes, plan.kernel.depth
    pieces = [Channels(0, depth // lanes, lanes)] if depth >= lanes else []
    done = depth // lanes * lanes
    while done < depth:
        lanes = 1 << ((depth - done).bit_length() - 1)
        pieces.append(Channels(done, 1, lanes))
        done += lanes
    return pieces


@dataclass(frozen=True)
class ChannelCells:
    """One vector a pixel. Tiles are ``[position][tile][channel]``, `plan.tile_pitch` elements a position."""

    code: Code
    plan: WinogradPlan
    image: tirx.Buffer
    parts: int = 1

    @property
    def lanes(self) -> int:
        return self.plan.lanes

    def read(self, at: Offset, lanes: int) -> list[tirx.Expr]:
        pixel, element = load(self.image, at, lanes), self.plan.numbers.element
        narrow = str(self.image.dtype) != element
        return [self.code.let("d", tirx.Cast(vector_type(element, lanes), pixel) if narrow else pixel)]

    def outside(self, lanes: int) -> list[tirx.Expr]:
        return [constant(self.plan.border.fill, self.plan.numbers.element, lanes)]

    def transform(self, values: Sequence[tirx.Expr]) -> list[tirx.Expr]:
        return self.plan.form.input(algebra(self.code), values)

    def put(
        self, tiles: tirx.Buffer, position: Offset, tile: Offset, channel: Offset, parts: Sequence[tirx.Expr]
    ) -> None:
        at = position * self.plan.tile_pitch + tile * self.plan.kernel.depth + channel
        self.code.add(store(tiles, at, parts[0]))
