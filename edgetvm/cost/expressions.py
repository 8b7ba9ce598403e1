"""What an expression is to a processor: free, part of another instruction, or the same as one before."""

from __future__ import annotations

from functools import lru_cache

import tvm
import tvm_ffi
from tvm import tirx
from tvm.target.codegen import llvm_get_intrinsic_name

WORD_BITS = 32
_ADDRESS = frozenset(("prim.address_of", "tirx.address_of"))


def structure(node: tirx.Expr) -> object:
    """What equals only the same expression of the same variables; the hashes of two can be equal, by chance."""
    return tvm_ffi.StructuralKey(node)  # type: ignore[call-arg]  # its generated stub shows the fields


@lru_cache(maxsize=256)
def scalar_type(name: str) -> tuple[int, int, bool]:
    """Bits of an element, lanes, and whether it is an integer."""
    dtype = tvm.DataType(name)
    return int(dtype.bits), int(dtype.lanes), "int" in name


def intrinsic(node: tvm.ir.Call) -> str:
    """The name of the intrinsic of LLVM that is called, if one is."""
    known = getattr(node.op, "name", "") in ("tirx.call_llvm_pure_intrin", "tirx.call_llvm_intrin")
    return str(llvm_get_intrinsic_name(int(node.args[0].value))) if known else ""


def is_address(node: tirx.Expr) -> bool:
    """Whether it is the address of an element."""
    return getattr(getattr(node, "op", None), "name", "") in _ADDRESS


def widens(node: tirx.Cast) -> bool:
    """Whether integers of a vector get more bits."""
    bits, lanes, integer = scalar_type(str(node.ty.dtype))
    narrow, _, was_integer = scalar_type(str(node.value.ty.dtype))
    return lanes > 1 and integer and was_integer and bits > narrow


def is_read_so(node: tirx.Cast) -> bool:
    """Whether one integer becomes another: loads widen it, stores cut it, products take it as it is."""
    (_, lanes, integer), (_, _, was_integer) = scalar_type(str(node.ty.dtype)), scalar_type(str(node.value.ty.dtype))
    return lanes == 1 and integer and was_integer


def is_part(kind: type, node: tirx.Expr) -> bool:
    """Whether the operation on single elements is part of the instruction around it or in it.

    These are the high word of a product, the second bound of a clamp with the shift before it, and the rotation of what
    is widened.
    """
    if kind is tirx.RShift:
        return is_long(node) and isinstance(node.b, tirx.IntImm) and int(node.b.value) >= WORD_BITS
    if kind is tirx.Max:
        return isinstance(node.a, tirx.Min)
    return kind is tvm.ir.Call and intrinsic(node).startswith("llvm.fshr")


def is_long(node: tirx.Expr) -> bool:
    """Whether it is one integer of two words."""
    return scalar_type(str(node.ty.dtype)) == (2 * WORD_BITS, 1, True)


def is_piece(node: tirx.Shuffle) -> bool:
    """Whether neighbouring lanes are taken: a part of a register, which instructions can name."""
    lanes = node.indices
    return int(lanes[-1].value) - int(lanes[0].value) == len(lanes) - 1
