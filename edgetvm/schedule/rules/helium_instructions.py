"""Helium's instructions on vectors of 16 bytes that no expression of TIR stands for."""

from __future__ import annotations

from tvm import tirx

from edgetvm.schedule.rules.write_code import constant, lanes_of

VECTOR_BITS = 128
WORDS = 4  # of a vector
WORD_SHIFT = 31  # what the high half of a doubled product has been shifted by
MOST_NARROWING_SHIFT = 16


def multiply_add(total: tirx.Expr, a: tirx.Expr, b: tirx.Expr) -> tirx.Expr:
    """An int32 plus the products of all lanes of two vectors, or of two numbers: vmladava."""
    if lanes_of(a) == 1:
        return total + a * b
    # Not as pure, which LLVM knows by itself: TVM would write long sums out wherever they are used, and C text grow.
    return tirx.call_llvm_intrin("int32", "llvm.arm.mve.vmldava", *map(_int32, (0, 0, 0)), total, a, b)


def multiply_every_other(a: tirx.Expr, b: tirx.Expr, odd: bool) -> tirx.Expr:
    """Eight products in int16 of the even or the odd lanes of 16 int8: vmullb, vmullt."""
    return _call("int16x8", "vmull", a, b, _int32(0), _int32(odd))


def even_and_odd(words: tirx.Expr) -> tuple[tirx.Expr, tirx.Expr]:
    """Eight int16 as four int32 twice, those of the even lanes and those of the odd ones: vmovlb, vmovlt."""
    both, half = tirx.reinterpret("int32x4", words), constant(16, "int32", 4)
    return tirx.RShift(tirx.LShift(both, half), half), tirx.RShift(both, half)


def requantize(total: tirx.Expr, multiplier: tirx.Expr, shift: tirx.Expr | int) -> tirx.Expr:
    """``(total * multiplier + 2^(shift-1)) >> shift`` of four int32, shifts from 32 to 62: rounded once.

    vqdmulh gives ``floor(total * multiplier / 2^31)`` and a rounding shift the rest: the bits that are cut first lie
    below the half that is added later.
    """
    high = _call("int32x4", "vqdmulh", total, multiplier)
    if isinstance(shift, int):
        return _call("int32x4", "vrshr.imm", high, _int32(shift - WORD_SHIFT), _int32(0))
    left = constant(WORD_SHIFT, "int32", 4) - shift
    return _call("int32x4", "vshl.vector", high, left, *map(_int32, (0, 1, 0)))  # not saturating, rounding, signed


def requantize_half(
    total: tirx.Expr, multiplier: tirx.Expr, shift: tirx.Expr | int, lower: tirx.Expr | None = None
) -> tirx.Expr:
    """The same, saturated to halves of the words as by `narrow_half`: vqrshrnb, vqrshrnt."""
    if not isinstance(shift, int) or shift - WORD_SHIFT > MOST_NARROWING_SHIFT:
        return narrow_half(requantize(total, multiplier, shift), lower)
    high = _call("int32x4", "vqdmulh", total, multiplier)
    result = tirx.reinterpret("int16x8", high) if lower is None else lower
    flags = map(_int32, (shift - WORD_SHIFT, 1, 1, 0, 0, lower is not None))  # saturating, rounding, signed
    return _call("int16x8", "vshrn", result, high, *flags)


def narrow_half(vector: tirx.Expr, lower: tirx.Expr | None = None) -> tirx.Expr:
    """Every lane saturated to half of its size: vqmovnb, vqmovnt.

    It becomes the upper half of its own lane in `lower`, or without that the lower half below anything.
    """
    lanes = 2 * lanes_of(vector)
    dtype = f"int{VECTOR_BITS // lanes}x{lanes}"
    result = tirx.reinterpret(dtype, vector) if lower is None else lower
    return _call(dtype, "vqmovn", result, vector, *map(_int32, (0, 0, lower is not None)))


def add_saturating(a: tirx.Expr, b: tirx.Expr) -> tirx.Expr:
    """Lane by lane."""
    return tirx.call_llvm_pure_intrin(str(a.ty.dtype), "llvm.sadd.sat", a, b)


def gather_bytes(row: tirx.Buffer, at: tirx.Expr, offsets: tirx.Expr) -> tirx.Expr:
    """Four int8, so many bytes behind element `at` of a row of bytes, as int32: vldrb.s32."""
    base = tirx.address_of(tirx.BufferLoad(row, [at]))
    arguments = (base, offsets, _int32(8), _int32(0), _int32(0))  # bits of memory each, offsets as they are, signed
    return tirx.call_llvm_intrin("int32x4", "llvm.arm.mve.vldr.gather.offset", *arguments)


def scatter_bytes(row: tirx.Buffer, at: tirx.Expr, offsets: tirx.Expr, words: tirx.Expr) -> tirx.Stmt:
    """Store the lowest byte of each of four words, so many bytes behind element `at` of a row of bytes: vstrb.32."""
    base = tirx.address_of(tirx.BufferLoad(row, [at]))
    arguments = (base, offsets, words, _int32(8), _int32(0))  # bits of memory each, and offsets as they are
    return tirx.Evaluate(tirx.call_llvm_intrin("void", "llvm.arm.mve.vstr.scatter.offset", *arguments))


def _call(dtype: str, name: str, *arguments: tirx.Expr) -> tirx.Expr:
    return tirx.call_llvm_pure_intrin(dtype, f"llvm.arm.mve.{name}", *arguments)


def _int32(value: int) -> tirx.Expr:
    return tirx.const(int(value), "int32")
