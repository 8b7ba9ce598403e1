"""Arm's DSP instructions on registers of two signed words of 16 bits (Armv7E-M, Armv8-M's DSP extension)."""

from __future__ import annotations

from tvm import tirx

HALF_BITS = 16


def multiply_pairs(total: tirx.Expr, a: tirx.Expr, b: tirx.Expr) -> tirx.Expr:
    """`total` plus the product of the lower and that of the upper halves."""
    return _call("smlad", a, b, total)


def multiply_halves(total: tirx.Expr, a: tirx.Expr, upper_a: int, b: tirx.Expr, upper_b: int) -> tirx.Expr:
    """`total` plus the product of one half of each: the upper one with 1, the lower one with 0."""
    return _call(f"smla{'bt'[upper_a]}{'bt'[upper_b]}", a, b, total)


def join_halves(lower: tirx.Expr, upper: tirx.Expr) -> tirx.Expr:
    """The low half of each of two registers: pkhbt."""
    return tirx.bitwise_or(tirx.bitwise_and(lower, _int32((1 << HALF_BITS) - 1)), tirx.LShift(upper, _int32(HALF_BITS)))


def widen_even(word: tirx.Expr) -> tirx.Expr:
    """Bytes 0 and 2 of a register as words of 16 bits: sxtb16."""
    return _call("sxtb16", word)


def widen_odd(word: tirx.Expr) -> tirx.Expr:
    """Bytes 1 and 3: sxtb16 of the register rotated by 8."""
    return widen_even(tirx.call_llvm_pure_intrin("int32", "llvm.fshr", word, word, _int32(8)))


def wait_for(value: tirx.Expr) -> tirx.Expr:
    """No instruction, but loads that are written after it stay behind what computes `value`."""
    return tirx.call_llvm_intrin("void", "llvm.fake.use", value)


def _call(name: str, *arguments: tirx.Expr) -> tirx.Expr:
    return tirx.call_llvm_pure_intrin("int32", f"llvm.arm.{name}", *arguments)


def _int32(value: int) -> tirx.Expr:
    return tirx.const(value, "int32")
