"""The epilogue of one pixel, written on as many neighbouring channels at a time as there are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tvm import tirx
from tvm.ir import TensorLoad

from edgetvm.schedule.rules.dot_epilogue import find_start
from edgetvm.schedule.rules.dot_kernel import Access, DotKernel
from edgetvm.schedule.rules.lift_epilogue import Lift
from edgetvm.schedule.rules.neon_instructions import Neon
from edgetvm.schedule.rules.write_code import Code, Offset, load, store, vector_type

Place: TypeAlias = tuple[Offset, Offset, Offset]
Sums: TypeAlias = Callable[[int, int], tirx.Expr]  # (first, lanes) -> the sums of so many channels
Kept: TypeAlias = dict[tuple[tirx.Buffer, int, int, int], tirx.Expr]  # by (buffer, base, channel of the tile, lanes)


@dataclass(frozen=True)
class Rows:
    """Every tensor of a kernel as one row of elements."""

    code: Code
    views: dict[tirx.Buffer, tirx.Buffer] = field(default_factory=dict)

    def of(self, buffer: tirx.Buffer) -> tirx.Buffer:
        """The view of `buffer`; all must have been made at the start of the kernel."""
        return self.views[buffer]

    def add(self, buffer: tirx.Buffer) -> None:
        """Make the view of `buffer`."""
        if buffer not in self.views:
            size = math.prod(int(extent) for extent in buffer.shape)
            self.views[buffer] = self.code.view(f"{buffer.name}_row", buffer, 0, size)

    def load(self, wanted: TensorLoad, access: Access, offset: Offset, lanes: int = 1) -> tirx.Expr:
        """What stands for the load `wanted` at an offset of `access`, whose buffer may have a narrower type."""
        value = load(self.of(access.buffer), offset, lanes)
        dtype = str(wanted.ty.dtype)
        return value if str(access.buffer.dtype) == dtype else tirx.Cast(vector_type(dtype, lanes), value)


def rows_of(code: Code, kernel: DotKernel, packed: tirx.Buffer) -> Rows:
    """Views of all that a kernel reads and writes, its weights as `packed`."""
    rows = Rows(code)
    for buffer in [kernel.x.buffer, kernel.out.buffer, packed, *(place.buffer for _, place in kernel.operands)]:
        rows.add(buffer)
    return rows


@dataclass(frozen=True)
class ChannelEpilogue:
    """Writes what a kernel does with its sums, `widths` channels at a time: the largest first, 1 last.

    `neon` are NEON's instructions where vectors are its own, `words` as for `Lift`. `kept`, if given, holds what is
    loaded for one pixel and used for others of the same channels: an epilogue of its own for each tile.
    """

    code: Code
    kernel: DotKernel
    rows: Rows
    widths: tuple[int, ...]
    neon: Neon | None
    kept: Kept | None = None
    words: bool = False

    @property
    def bias(self) -> TensorLoad | None:
        """What every sum may start from: one number a channel."""
        start = find_start(self.kernel.value, self.kernel.acc)
        if start is None:
            return None
        access = self._access(start)
        return start if access.channel == 1 and not any(access.rows) else None

    def load_bias(self, channel: Offset, count: int, lanes: int) -> list[tirx.Expr]:
        """`count` vectors of biases from `channel` on."""
        assert self.bias is not None
        access = self._access(self.bias)
        first = channel + access.base
        loads = [self.rows.load(self.bias, access, first + lanes * v, lanes) for v in range(count)]
        return [self.code.let("b", value) for value in loads]

    def write(self, sums: Sums, place: Place, channel: Offset, outputs: int, biased: bool) -> None:
        """The epilogue of `outputs` channels from `channel` on. `biased` tells that sums hold the bias."""
        code, kernel = self.code, self.kernel
        bias = self.bias if biased else None
        done = 0
        while done < outputs:
            lanes = next(width for width in self.widths if width <= outputs - done)

            def find(value: tirx.Expr, first: int = done, lanes: int = lanes) -> tirx.Expr | None:
                if bias is not None and isinstance(value, tirx.Add) and value.b.same_as(bias):
                    return sums(first, lanes)
                if not isinstance(value, TensorLoad):
                    return None
                if value.source.same_as(kernel.acc):
                    return sums(first, lanes)
                access = self._access(value)
                offset = offset_of(access, place, channel + first)
                wide = lanes if access.channel else 1
                key = (access.buffer, access.base, first, lanes)
                same = self.kept is not None and not any(access.rows)
                known = self.kept.get(key) if self.kept is not None and same else None
                if known is None:
                    known = code.let("o", self.rows.load(value, access, offset, wide))
                if self.kept is not None and same:
                    self.kept[key] = known
                return known if wide == lanes else tirx.Broadcast(known, lanes)

            value = Lift(code, lanes, find, neon=self.neon, words=self.words)(kernel.value)
            out = self.rows.of(kernel.out.buffer)
            code.add(store(out, offset_of(kernel.out, place, channel + done), value))
            done += lanes

    def _access(self, wanted: TensorLoad) -> Access:
        return next(access for known, access in self.kernel.operands if known.same_as(wanted))


def constants_of(code: Code, kernel: DotKernel, rows: Rows, channel: Offset, count: int) -> Kept:
    """What an epilogue reads of `count` channels from `channel` on, one by one, whatever the place: loaded once."""
    return {
        (at.buffer, at.base, c, 1): code.let("o", rows.load(wanted, at, at.base + (channel + c) * at.channel))
        for wanted, at in kernel.operands
        if not any(at.rows)
        for c in range(count)
    }


def offset_of(access: Access, place: Sequence[Offset], channel: Offset) -> Offset:
    """The element of `access` at a pixel and a channel."""
    offset: Offset = access.base + channel * access.channel
    for index, stride in zip(place, access.rows, strict=True):
        offset = offset + index * stride
    return offset
