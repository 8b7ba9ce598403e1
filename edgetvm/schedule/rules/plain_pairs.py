"""Two products by one 32-bit multiplication, on cores without the DSP extension.

A word is the number ``lower + upper * 2^16`` of two signed ones. Of activations ``a0 + a1 * 2^16`` and weights whose
halves are swapped, ``w1 + w0 * 2^16``, the product modulo 2^32 is ``(a0 * w0 + a1 * w1) * 2^16 + a0 * w1``. With 2^15
added the last term is in 0..2^16, so that a shift by 16 leaves both products, if their sum has 16 bits. Of numbers of
8 bits it has, unless all four are -128.
"""

from __future__ import annotations

from tvm import tirx

from edgetvm.schedule.rules.dsp_instructions import HALF_BITS
from edgetvm.schedule.rules.write_code import Offset, load

BYTE_BITS = 8
LOWER_BYTES = 0x00FF00FF
OFFSETS = 0x00800080  # added to stored weights: what is masked and not extended is made signed by taking them off


def multiply_numbers(total: tirx.Expr, a: tirx.Expr, w: tirx.Expr, half: tirx.Expr) -> tirx.Expr:
    """`total` plus both products; `half` is 2^15. TVM's signed numbers must not overflow."""
    product = tirx.reinterpret("uint32", a) * tirx.reinterpret("uint32", w) + tirx.reinterpret("uint32", half)
    return total + tirx.RShift(tirx.reinterpret("int32", product), _int32(HALF_BITS))


def join_numbers(lower: tirx.Expr, upper: tirx.Expr) -> tirx.Expr:
    """The word of two int32."""
    return lower + tirx.LShift(upper, _int32(HALF_BITS))


def read_numbers(row: tirx.Buffer, place: Offset) -> tuple[tirx.Expr, tirx.Expr]:
    """The word of elements 0 and 2 from `place` on, and that of 1 and 3."""
    numbers = [tirx.Cast("int32", load(row, place + i)) for i in range(4)]
    return join_numbers(numbers[0], numbers[2]), join_numbers(numbers[1], numbers[3])


def widen_numbers(word: tirx.Expr) -> tuple[tirx.Expr, tirx.Expr]:
    """The words of two and two of the weights in the bytes of a word."""
    upper_bytes = tirx.bitwise_and(tirx.RShift(word, _int32(BYTE_BITS)), _int32(LOWER_BYTES))
    return tirx.bitwise_and(word, _int32(LOWER_BYTES)) - _int32(OFFSETS), upper_bytes - _int32(OFFSETS)


def _int32(value: int) -> tirx.Expr:
    return tirx.const(value, "int32")
