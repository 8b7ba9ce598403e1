"""Instructions that add four products of 8 bits to a lane of 32 bits."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.write_code import lanes_of, load, shuffle

INT8_OFFSET = 128


@dataclass(frozen=True)
class DotInstruction:
    """One such instruction.

    lanes    32-bit sums in a vector
    unit     groups of four activations that one load brings; each lane of it is an operand
    offset   what must be added to activations, which the instruction takes as unsigned; 0 where they are signed
    """

    name: str
    lanes: int
    unit: int
    offset: int

    @property
    def bytes(self) -> int:
        return 4 * self.lanes

    def activations(self, x: tirx.Buffer, place: tirx.Expr | int, groups: int) -> tirx.Expr:
        """Load `groups` groups from byte `place` on."""
        count = 1 << (groups - 1).bit_length()  # three groups are read as four
        raw = load(x, place, 4 * count)
        return tirx.reinterpret("int32" if count == 1 else f"int32x{count}", raw)

    def add(self, acc: tirx.Expr, weights: tirx.Expr, activations: tirx.Expr, group: int) -> tirx.Expr:
        """`acc` with the products of one group of activations."""
        if lanes_of(activations) == 1:
            same: tirx.Expr = tirx.Broadcast(activations, self.lanes)
        else:
            have = lanes_of(activations)
            wide = [activations] * (self.lanes // have) if have < self.lanes else [activations]
            same = shuffle(wide, [group] * self.lanes)
        same = tirx.reinterpret(f"int8x{self.bytes}", same)
        # vpdpbusd takes the unsigned factor first; sdot's is by lane when it comes last.
        factors = (same, weights) if self.offset else (weights, same)
        return tirx.call_llvm_pure_intrin(f"int32x{self.lanes}", self.name, acc, *factors)


def dot_instruction(machine: Machine) -> DotInstruction | None:
    """The instruction of a machine, if it has one."""
    lanes = machine.lanes(4)
    if machine.dot == "sdot":
        return DotInstruction(f"llvm.aarch64.neon.sdot.v{lanes}i32.v{4 * lanes}i8", lanes, 4, 0)
    if machine.dot == "vpdpbusd":
        return DotInstruction(f"llvm.x86.avx512.vpdpbusd.{32 * lanes}", lanes, 1, INT8_OFFSET)
    return None
