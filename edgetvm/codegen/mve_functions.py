"""The functions of arm_mve.h for LLVM's intrinsics."""

from __future__ import annotations

from tvm import tirx
from tvm.ir import Expr


def intrinsic_function(name: str, dtype: str, args: list[Expr]) -> Expr:
    """The function for an intrinsic as `helium_instructions.py` calls it; its last arguments are flags."""
    half = "t" if name in ("vmull", "vqmovn", "vshrn") and int(args[-1].value) else "b"
    if name == "vmldava":
        return vector_function("vmladavaq", dtype_of(args[4]), *args[3:], result="int32")
    if name == "vmull":
        return vector_function(f"vmull{half}q_int", dtype_of(args[0]), *args[:2], result=dtype)
    if name == "vqdmulh":
        return vector_function("vqdmulhq", dtype, *args)
    if name == "vrshr.imm":
        return vector_function("vrshrq_n", dtype, *args[:2])
    if name == "vshl.vector":
        return vector_function("vrshlq", dtype, *args[:2])
    if name == "vshrn":
        return vector_function(f"vqrshrn{half}q_n", dtype_of(args[1]), *args[:3], result=dtype)
    if name == "vqmovn":
        return vector_function(f"vqmovn{half}q", dtype_of(args[1]), *args[:2], result=dtype)
    offsets = vector_function("vreinterpretq_u32", "int32x4", args[1], result="uint32x4")
    if name == "vldr.gather.offset":
        return vector_function("vldrbq_gather_offset", dtype, args[0], offsets)
    return tirx.call_extern("void", "vstrbq_scatter_offset_s32", args[0], offsets, args[2])


def vector_function(name: str, dtype: str, *args: Expr, result: str = "") -> Expr:
    """A call of the function for vectors of `dtype`, which gives one unless it has another `result`."""
    return tirx.call_pure_extern(result or dtype, f"{name}_{suffix(dtype)}", *args)


def suffix(dtype: str) -> str:
    """What the names of functions for such vectors end in: s8 for int8x16."""
    element = dtype.partition("x")[0]
    return element.replace("uint", "u").replace("int", "s")


def dtype_of(value: Expr) -> str:
    """Of its elements, with the number of lanes."""
    return str(value.ty.dtype)
