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


def first_product(a: tirx.Expr, b: tirx.Expr) -> tirx.Expr:
    """The product of the lower plus that of the upper halves."""
    return _call("smuad", a, b)


def add_halves(a: tirx.Expr, b: tirx.Expr) -> tirx.Expr:
    """Both halves. Sums must fit: qadd16, since LLVM orders sadd16 with all of memory for the flags that it sets."""
    return _call("qadd16", a, b)


def subtract_halves(a: tirx.Expr, b: tirx.Expr) -> tirx.Expr:
    """The same of differences: qsub16."""
    return _call("qsub16", a, b)


def add_words(a: tirx.Expr, b: tirx.Expr) -> tirx.Expr:
    """The sum of two int32. LLVM is not told that it fits, or it would add, and multiply the sum, in double words."""
    whole = tirx.reinterpret("uint32", a) + tirx.reinterpret("uint32", b)
    return tirx.reinterpret("int32", whole)  # of a cast TVM would conclude that it is not negative


def keep_order(value: tirx.Expr) -> tirx.Expr:
    """Sums and differences of words, which fit, by qadd and qsub: LLVM would add in another order and load first."""
    if isinstance(value, tirx.Add | tirx.Sub):
        name = "qadd" if isinstance(value, tirx.Add) else "qsub"
        return _call(name, keep_order(value.a), keep_order(value.b))
    return value


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
