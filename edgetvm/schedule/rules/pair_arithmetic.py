"""Words of two activations or two weights, and what sums their products: by DSP instructions or without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules import dsp_instructions as dsp
from edgetvm.schedule.rules import plain_pairs as plain
from edgetvm.schedule.rules.write_code import Code, Offset, load

Two = tuple[tirx.Expr, tirx.Expr]


@dataclass(frozen=True)
class PairCosts:
    """Instructions of what `PairArithmetic` does, and the registers that it leaves for sums, operands and addresses.

    product   a product of words
    widening  a word of weights to two
    reading   four activations as two words
    """

    product: int
    widening: int
    reading: int
    registers: int


@dataclass(frozen=True)
class PairArithmetic:
    """What a kernel does with words.

    multiply  (total, activations, weights) -> `total` plus the products of both numbers
    join      (lower, upper) -> a word of two int32
    read      (row, place) -> of four bytes the word of 0 and 2, and that of 1 and 3
    widen     a word of weights in bytes -> the words of two and two of them
    """

    multiply: Callable[[tirx.Expr, tirx.Expr, tirx.Expr], tirx.Expr]
    join: Callable[[tirx.Expr, tirx.Expr], tirx.Expr]
    read: Callable[[tirx.Buffer, Offset], Two]
    widen: Callable[[tirx.Expr], Two]


def pair_costs(machine: Machine) -> PairCosts:
    """Of 16 registers: without stack pointer, program counter and one that LLVM moves values by."""
    if machine.dsp:
        return PairCosts(product=1, widening=2, reading=3, registers=13)
    if machine.low_registers:  # a product is moved, multiplied, rounded, shifted, added; all in 8 registers
        return PairCosts(product=5, widening=8, reading=14, registers=6)
    return PairCosts(product=2, widening=5, reading=6, registers=11)


def pair_arithmetic(machine: Machine, code: Code, packed: tirx.Buffer) -> PairArithmetic:
    """That of a machine, with what it loads at the start of a kernel from its packed weights."""
    if machine.dsp:

        def read(row: tirx.Buffer, place: Offset) -> Two:
            return _widen_halves(code.let("q", tirx.reinterpret("int32", load(row, place, 4))))

        return PairArithmetic(dsp.multiply_pairs, dsp.join_halves, read, _widen_halves)
    half = code.let("half", load(packed, 0))

    def multiply(total: tirx.Expr, a: tirx.Expr, w: tirx.Expr) -> tirx.Expr:
        return plain.multiply_numbers(total, a, w, half)

    return PairArithmetic(multiply, plain.join_numbers, plain.read_numbers, plain.widen_numbers)


def _widen_halves(word: tirx.Expr) -> Two:
    return dsp.widen_even(word), dsp.widen_odd(word)
