"""Instructions that add products of 8 bits, four at a time, to lanes of 32 bits."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.write_code import Code, constant, lanes_of, load, shuffle

INT8_OFFSET = 128
BYTE = 8
WIDEST = 16  # sums in a vector
SIGN_BITS = -0x7F7F7F80  # of four bytes


@dataclass(frozen=True)
class DotInstruction:
    """One such instruction, or the pair of them that does the same for pairs of 16 bits.

    lanes    32-bit sums in a vector
    unit     groups of four activations that one load brings; each lane of it is an operand
    offset   what must be added to activations, which the instruction takes as unsigned; 0 where they are signed
    halves   registers of one vector of weights: 2 where bytes are multiplied as words, the even ones and the odd
    """

    name: str
    lanes: int
    unit: int
    offset: int
    halves: int

    @property
    def bytes(self) -> int:
        return 4 * self.lanes

    def of(self, channels: int) -> DotInstruction:
        """The same for half as many sums, if that is enough for some channels and there is one."""
        if not self.offset or self.lanes != WIDEST or channels > WIDEST // 2:
            return self
        return vpdpbusd(WIDEST // 2)

    def weights(self, code: Code, panel: tirx.Buffer, place: tirx.Expr | int) -> list[tirx.Expr]:
        """One group of weights, of as many channels as there are lanes."""
        vector = code.let("w", load(panel, place, self.bytes))
        return [code.let("w", half) for half in self._words(vector)] if self.halves == 2 else [vector]

    def activations(
        self, code: Code, x: tirx.Buffer, place: tirx.Expr | int, groups: int, flip: bool
    ) -> list[list[tirx.Expr]]:
        """`groups` groups from byte `place` on: each as the operand of all lanes; with `flip` made unsigned."""
        count = 1 << (groups - 1).bit_length()  # three groups are read as four
        raw = tirx.reinterpret("int32" if count == 1 else f"int32x{count}", load(x, place, 4 * count))
        raw = code.let("a", raw)
        operands = []
        for group in range(groups):
            if count == 1:
                same: tirx.Expr = tirx.Broadcast(raw, self.lanes)
            else:
                same = shuffle([raw] * max(self.lanes // lanes_of(raw), 1), [group] * self.lanes)
            same = tirx.reinterpret(f"int8x{self.bytes}", same)
            if flip:
                same = tirx.bitwise_xor(same, self.offsets())
            halves = self._words(code.let("a", same)) if self.halves == 2 else [same]
            operands.append([code.let("a", half) for half in halves] if self.halves == 2 else halves)
        return operands

    def offsets(self) -> tirx.Expr:
        """128 in every byte, of which LLVM does not know that all are equal.

        It would add 128 to scalars and spread them then, which takes one instruction more.
        """
        words = constant(SIGN_BITS, "int32", self.lanes)
        nothing = constant(0, "int8", self.bytes)
        same = tirx.call_llvm_pure_intrin(f"int32x{self.lanes}", self.name, words, nothing, nothing)
        return tirx.reinterpret(f"int8x{self.bytes}", same)

    def add(self, acc: tirx.Expr, weights: list[tirx.Expr], activations: list[tirx.Expr]) -> tirx.Expr:
        """`acc` with the products of one group of activations."""
        kind = f"int32x{self.lanes}"
        if self.halves == 2:
            for pair in zip(activations, weights, strict=True):
                acc = acc + tirx.call_llvm_pure_intrin(kind, self.name, *pair)
            return acc
        # vpdpbusd takes the unsigned factor first; sdot's is by lane when it comes last.
        factors = (*activations, *weights) if self.offset else (*weights, *activations)
        return tirx.call_llvm_pure_intrin(kind, self.name, acc, *factors)

    def _words(self, vector: tirx.Expr) -> list[tirx.Expr]:
        """The even bytes as words, then the odd ones."""
        words = tirx.reinterpret(f"int16x{self.bytes // 2}", vector)
        byte = constant(BYTE, "int16", self.bytes // 2)
        return [tirx.RShift(tirx.LShift(words, byte), byte), tirx.RShift(words, byte)]


def dot_instruction(machine: Machine) -> DotInstruction | None:
    """The instruction of a machine, if it has one."""
    lanes = machine.lanes(4)
    if machine.dot == "sdot":
        return DotInstruction(f"llvm.aarch64.neon.sdot.v{lanes}i32.v{4 * lanes}i8", lanes, 4, 0, 1)
    if machine.dot == "vpdpbusd":
        return vpdpbusd(lanes)
    if machine.dot == "pmaddwd":
        names = {4: "sse2.pmadd.wd", 8: "avx2.pmadd.wd", 16: "avx512.pmaddw.d.512"}
        return DotInstruction(f"llvm.x86.{names[lanes]}", lanes, 1, 0, 2)
    return None


def vpdpbusd(lanes: int) -> DotInstruction:
    """The instruction of that name on vectors of any size."""
    return DotInstruction(f"llvm.x86.avx512.vpdpbusd.{32 * lanes}", lanes, 1, INT8_OFFSET, 1)
