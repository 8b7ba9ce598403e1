"""Calls of LLVM's intrinsics in TIR."""

from __future__ import annotations

import tvm
from tvm.ir import Call
from tvm.target import codegen


def intrinsic(call: Call) -> str | None:
    """LLVM's name of what it calls, without the types of overloads; None for any other call."""
    if not isinstance(call.op, tvm.ir.Op) or call.op.name not in (
        "tirx.call_llvm_pure_intrin",
        "tirx.call_llvm_intrin",
    ):
        return None
    return str(codegen.llvm_get_intrinsic_name(int(call.args[0].value)))
