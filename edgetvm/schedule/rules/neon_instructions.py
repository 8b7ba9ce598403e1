"""Instructions of NEON by the names that LLVM gives them, for aarch64 and for 32-bit Arm."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.rules.write_code import constant, shuffle


@dataclass(frozen=True)
class Neon:
    """The instructions of `arch`: "aarch64" or "arm". Their names here are those of aarch64, in words."""

    arch: str

    def multiply(self, a: tirx.Expr, b: tirx.Expr) -> tirx.Expr:
        """smull: eight products of int8 in int16."""
        return self._call("int16x8", "smull.v8i16", "vmulls.v8i16", a, b)

    def add_pairs(self, total: tirx.Expr, sums: tirx.Expr) -> tirx.Expr:
        """sadalp: `total` with neighbouring int16 added in int32."""
        if self.arch == "arm":
            return self._call("int32x4", "", "vpadals.v4i32.v8i16", total, sums)
        return total + self._call("int32x4", "saddlp.v4i32.v8i16", "", sums)

    def join_pairs(self, a: tirx.Expr, b: tirx.Expr) -> tirx.Expr:
        """addp: neighbouring int32 added, those of `a`, then those of `b`."""
        if self.arch == "aarch64":
            return self._call("int32x4", "addp.v4i32", "", a, b)
        halves = [[shuffle([side], [first, first + 1]) for first in (0, 2)] for side in (a, b)]
        return shuffle([self._call("int32x2", "", "vpadd.v2i32", *pair) for pair in halves], [0, 1, 2, 3])

    def multiply_high(self, a: tirx.Expr, b: tirx.Expr) -> tirx.Expr:
        """sqdmulh: ``floor(2ab / 2^32)`` of int32, saturated."""
        return self._call("int32x4", "sqdmulh.v4i32", "vqdmulh.v4i32", a, b)

    def multiply_high_rounding(self, a: tirx.Expr, b: tirx.Expr) -> tirx.Expr:
        """sqrdmulh: ``floor((2ab + 2^31) / 2^32)`` of int32, saturated."""
        return self._call("int32x4", "sqrdmulh.v4i32", "vqrdmulh.v4i32", a, b)

    def shift_left_saturating(self, a: tirx.Expr, places: int) -> tirx.Expr:
        """sqshl: ``a * 2^places`` of int32, saturated."""
        return self._call("int32x4", "sqshl.v4i32", "vqshifts.v4i32", a, constant(places, "int32", 4))

    def shift_right_rounding(self, a: tirx.Expr, places: tirx.Expr | int) -> tirx.Expr:
        """srshl by a negative number: ``floor((a + 2^(places-1)) / 2^places)`` of int32, a number or one a lane."""
        back = constant(-places, "int32", 4) if isinstance(places, int) else constant(0, "int32", 4) - places
        return self._call("int32x4", "srshl.v4i32", "vrshifts.v4i32", a, back)

    def narrow(self, a: tirx.Expr, places: int = 0, rounding: bool = False) -> tirx.Expr:
        """sqxtn, sqshrn, sqrshrn: int32 shifted right by up to 16 places, to int16, saturated."""
        if not places:
            return self._call("int16x4", "sqxtn.v4i16", "vqmovns.v4i16", a)
        if self.arch == "aarch64":
            name = "sqrshrn.v4i16" if rounding else "sqshrn.v4i16"
            return self._call("int16x4", name, "", a, tirx.const(places, "int32"))
        name = "vqrshiftns.v4i16" if rounding else "vqshiftns.v4i16"
        return self._call("int16x4", "", name, a, constant(-places, "int32", 4))

    def narrow_bytes(self, a: tirx.Expr) -> tirx.Expr:
        """sqxtn: int16 to int8, saturated."""
        return self._call("int8x8", "sqxtn.v8i8", "vqmovns.v8i8", a)

    def add_saturating(self, a: tirx.Expr, b: tirx.Expr) -> tirx.Expr:
        """sqadd of int16."""
        return tirx.call_llvm_pure_intrin("int16x8", "llvm.sadd.sat", a, b)

    def _call(self, dtype: str, aarch64: str, arm: str, *arguments: tirx.Expr) -> tirx.Expr:
        name = f"llvm.aarch64.neon.{aarch64}" if self.arch == "aarch64" else f"llvm.arm.neon.{arm}"
        return tirx.call_llvm_pure_intrin(dtype, name, *arguments)
