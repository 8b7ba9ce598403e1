"""LLVM's intrinsics for Arm's DSP instructions -> the functions of arm_acle.h, which every compiler for Arm has."""

from __future__ import annotations

import tvm_ffi
from tvm import tirx
from tvm.ir import Call, Expr

from edgetvm.codegen.llvm_calls import intrinsic

HEADER = "#include <arm_acle.h>"

_FUNCTIONS = ("smlad", "smlabb", "smlabt", "smlatb", "smlatt", "smuad", "sxtb16", "qadd", "qsub", "qadd16", "qsub16")


def to_acle(func: tirx.PrimFunc) -> tuple[tirx.PrimFunc, bool]:
    """The function with calls that C has, and whether it calls any of the header's."""
    used: list[str] = []

    def call(expr: Call) -> Expr:
        name = intrinsic(expr)
        if name is None:
            return expr
        arguments = expr.args[1:]
        function = name.removeprefix("llvm.arm.")
        if function in _FUNCTIONS:
            used.append(function)
            return tirx.call_pure_extern("int32", f"__{function}", *arguments)
        if name.startswith("llvm.fshr") and arguments[0].same_as(arguments[1]):
            return _rotated(*arguments[1:])
        return expr

    def statement(evaluate: tirx.Evaluate) -> tirx.Stmt:
        value = evaluate.value
        hint = isinstance(value, Call) and (intrinsic(value) or "").startswith("llvm.fake.use")
        return tirx.Evaluate(tirx.const(0, "int32")) if hint else evaluate

    body = tvm_ffi.structural_map(func.body, ((Call, call), (tirx.Evaluate, statement)))
    return tirx.PrimFunc(func.params, body, func.ret_type, func.attrs), bool(used)


def _rotated(word: Expr, places: tirx.IntImm) -> Expr:
    """Shifts that compilers know: not all headers have a function."""
    right, left = (tirx.const(count, "uint32") for count in (int(places.value), 32 - int(places.value)))
    bits = tirx.Cast("uint32", word)
    return tirx.Cast("int32", tirx.bitwise_or(tirx.RShift(bits, right), tirx.LShift(bits, left)))
