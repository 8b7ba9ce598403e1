"""What TVM prints badly in C -> forms that it prints well."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir.prim import Add, BitwiseNot, Div, FloatImm, LShift, Max, Min, Mul, Sub
from tvm.tirx.buffer import BufferType

from edgetvm.codegen.acle import to_acle
from edgetvm.codegen.lower import LoweredKernel
from edgetvm.codegen.model_code import c_type
from edgetvm.codegen.mve import to_mve
from edgetvm.errors import UnsupportedError

LITERAL = "edgetvm_literal_"
WORD_FUNCTION = "edgetvm_word"

# C promotes them to int and keeps bits that the type has no room for.
_WIDE = {"int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}


@dataclass
class Needs:
    """What the text of rewritten kernels needs beside it.

    literals   C text of floating-point constants, by the index behind `LITERAL`
    extremes   (max or min, dtype) of the functions they call
    acle       whether they call functions of arm_acle.h
    vectors    whether they have vectors, those of arm_mve.h
    words      whether they read four bytes as a word
    """

    literals: list[str] = field(default_factory=list)
    extremes: set[tuple[str, str]] = field(default_factory=set)
    acle: bool = False
    vectors: bool = False
    words: bool = False


def for_c(kernel: LoweredKernel, needs: Needs) -> LoweredKernel:
    """Rewrite one kernel for TVM's C generator. Raises UnsupportedError for half precision.

    Floating-point constants become calls of `edgetvm_literal_<index>`, replaced in the text later,
    since TVM prints seven digits of them.
    Max and Min become calls of functions of our own: TVM keeps their operands in variables that it
    takes for valid even after the memory they came from has changed.
    Sums and the like of narrow integers are computed in 32 bits and cut: int8 wraps in TVM, not in C.
    Numbers with a sign are shifted to the left without it: C has no meaning for that of a negative one.
    Register arrays become plain ones: C has no word for them, and compilers see it for themselves.
    Four bytes that are a word are copied to one: they may lie anywhere. Names that nothing uses are left out.
    """
    plain: dict[tirx.Buffer, tirx.Buffer] = {}
    halves: list[bool] = []

    def spell(number: FloatImm) -> tvm.ir.Expr:
        needs.literals.append(c_float(float(number.value), str(number.ty.dtype)))
        return tirx.call_pure_extern(str(number.ty.dtype), f"{LITERAL}{len(needs.literals) - 1}")

    def extreme(expr: Max | Min) -> tvm.ir.Expr:
        dtype = str(expr.ty.dtype)
        kind = "max" if isinstance(expr, Max) else "min"
        needs.extremes.add((kind, dtype))
        return tirx.call_pure_extern(dtype, f"edgetvm_{kind}_{dtype}", expr.a, expr.b)

    def wrap(expr: Add | Sub | Mul | Div) -> tvm.ir.Expr:
        dtype = str(expr.ty.dtype)
        if dtype not in _WIDE:
            return expr
        wide = _WIDE[dtype]
        return tirx.Cast(dtype, type(expr)(tirx.Cast(wide, expr.a), tirx.Cast(wide, expr.b)))

    def wrap_bits(expr: LShift | BitwiseNot) -> tvm.ir.Expr:
        dtype = str(expr.ty.dtype)
        if isinstance(expr, BitwiseNot):
            return tirx.Cast(dtype, BitwiseNot(tirx.Cast("uint32", expr.a))) if dtype in _WIDE else expr
        if dtype not in _WIDE and not dtype.startswith("int"):
            return expr
        bits = "uint64" if dtype == "int64" else "uint32"
        return tirx.Cast(dtype, LShift(tirx.Cast(bits, expr.a), tirx.Cast(bits, expr.b)))

    def call(expr: tvm.ir.Call) -> tvm.ir.Expr:
        name = expr.op.name if isinstance(expr.op, tvm.ir.Op) else ""
        if name == "tirx.reinterpret" and _is_word(expr):
            needs.words = True
            first = tirx.BufferLoad(expr.args[0].source, [expr.args[0].indices[0].base])
            return tirx.call_pure_extern("int32", WORD_FUNCTION, tirx.address_of(first))
        if name != "tirx.fabs":
            return expr
        dtype = str(expr.ty.dtype)
        return tirx.call_pure_extern(dtype, "fabs" if dtype == "float64" else "fabsf", *expr.args)

    def declare(var: tvm.ir.Var) -> tvm.ir.Var:
        if not isinstance(var.ty, BufferType):
            return var
        halves.append(str(var.dtype) == "float16")
        if str(var.scope()) != "local":
            return var
        if var not in plain:
            plain[var] = tirx.decl_buffer(var.shape, str(var.dtype), var.name)
        return plain[var]

    rules = (
        (FloatImm, spell),
        ((Max, Min), extreme),
        ((Add, Sub, Mul, Div), wrap),
        ((LShift, BitwiseNot), wrap_bits),
        (tvm.ir.Call, call),
        (tvm.ir.Var, declare),
    )
    scalar, vectors = to_mve(kernel.func)
    plain_c, acle = to_acle(scalar)
    needs.vectors = needs.vectors or vectors
    needs.acle = needs.acle or acle
    body = tvm_ffi.structural_map(plain_c.body, rules)
    if any(halves):
        raise UnsupportedError(f"{kernel.place}: half precision (float16) has no type in C99", "give --format library")
    body = _without_unused_names(body)
    return replace(kernel, func=tirx.PrimFunc(kernel.func.params, body, kernel.func.ret_type, kernel.func.attrs))


def _is_word(expr: tvm.ir.Call) -> bool:
    """Whether the call takes four neighbouring bytes of memory for an int32."""
    value = expr.args[0]
    if not isinstance(value, tvm.ir.TensorLoad) or str(value.ty.dtype) != "int8x4" or str(expr.ty.dtype) != "int32":
        return False
    run = value.indices[0]
    return len(value.indices) == 1 and isinstance(run, tirx.Ramp) and str(run.stride) == "1"


def _without_unused_names(body: tirx.Stmt) -> tirx.Stmt:
    """The statements without values that TVM has put in the place of their names."""
    while True:
        uses: dict[tvm.ir.Var, int] = {}
        bound: list[tvm.ir.Var] = []

        def use(var: tvm.ir.Var, uses: dict[tvm.ir.Var, int] = uses) -> None:
            uses[var] = uses.get(var, 0) + 1

        def bind(statement: tirx.Bind | tirx.DeclBuffer, bound: list[tvm.ir.Var] = bound) -> None:
            bound.append(_named(statement))

        tvm_ffi.structural_walk(body, ((tvm.ir.Var, use), ((tirx.Bind, tirx.DeclBuffer), bind)))
        unused = [var for var in bound if uses[var] == 1]
        if not unused:
            return body

        def drop(statement: tirx.Bind | tirx.DeclBuffer, unused: list[tvm.ir.Var] = unused) -> tirx.Stmt:
            gone = any(_named(statement).same_as(var) for var in unused)
            return tirx.Evaluate(tirx.const(0, "int32")) if gone else statement

        body = tvm_ffi.structural_map(body, ((tirx.Bind, tirx.DeclBuffer), drop))


def _named(statement: tirx.Bind | tirx.DeclBuffer) -> tvm.ir.Var:
    return statement.var if isinstance(statement, tirx.Bind) else statement.buffer


def word_function() -> str:
    """The definition of `edgetvm_word`."""
    return f"""static inline int32_t {WORD_FUNCTION}(const int8_t *from)
{{
    int32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}}
"""


def extreme_function(kind: str, dtype: str) -> str:
    """The definition of `edgetvm_max_<dtype>` or `edgetvm_min_<dtype>`."""
    ctype, sign = c_type(dtype), ">" if kind == "max" else "<"
    name = f"edgetvm_{kind}_{dtype}"
    return f"static inline {ctype} {name}({ctype} a, {ctype} b)\n{{\n    return a {sign} b ? a : b;\n}}\n"


def c_float(value: float, dtype: str) -> str:
    """A floating-point constant in C99, exact to the bit but for the payload of a NaN."""
    suffix = "f" if dtype == "float32" else ""
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return ("-" if value < 0 else "") + ("HUGE_VALF" if suffix else "HUGE_VAL")
    return f"{value!r}{suffix}" if value == int(value) and abs(value) < 1e6 else value.hex() + suffix
