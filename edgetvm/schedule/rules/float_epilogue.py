"""What a float kernel does with a vector of sums: its expression in a loop along the vector.

Sums are handed over in an array that LLVM keeps in registers, so that any expression fits: what has no form on
vectors becomes scalar there and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad

from edgetvm.schedule.rules.channel_epilogue import Place, Rows, offset_of
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.write_code import Code, Offset, number


@dataclass(frozen=True)
class FloatEpilogue:
    """Writes results of `kernel` from sums in the array `sums`."""

    code: Code
    kernel: DotKernel
    rows: Rows
    sums: tirx.Buffer

    def write(self, first: int, lanes: int, place: Place, channel: Offset) -> None:
        """`lanes` channels of one pixel, from `channel` on; their sums begin at element `first`."""
        kernel = self.kernel
        lane = tvm.ir.Var("lane", tvm.ir.PrimType("int32"))

        def swap(load: TensorLoad) -> tirx.Expr:
            if load.source.same_as(kernel.acc):
                return tirx.BufferLoad(self.sums, [number(first) + lane])
            access = next(access for known, access in kernel.operands if known.same_as(load))
            offset = number(offset_of(access, place, channel))
            return tirx.BufferLoad(self.rows.of(access.buffer), [offset + lane if access.channel else offset])

        value = tvm_ffi.structural_map(kernel.value, (TensorLoad, swap))
        out = number(offset_of(kernel.out, place, channel)) + lane
        body = tirx.BufferStore(self.rows.of(kernel.out.buffer), value, [out])
        kind = tirx.ForKind.VECTORIZED if lanes > 1 else tirx.ForKind.SERIAL
        self.code.add(tirx.For(lane, number(0), number(lanes), kind, body))
