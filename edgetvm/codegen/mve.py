"""Vectors of Helium and LLVM's intrinsics on them -> the functions and types of arm_mve.h."""

from __future__ import annotations

import re

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Call, Expr, TensorLoad
from tvm.ir.prim import Add, LShift, Max, Min, Mul, RShift, Sub

from edgetvm.codegen.llvm_calls import intrinsic
from edgetvm.codegen.mve_functions import dtype_of, intrinsic_function, suffix, vector_function

HEADER = "#include <arm_mve.h>"
FOUR_WORDS = "edgetvm_four_words"

_VECTOR_BITS = 128
_LETTERS = {8: "b", 16: "h", 32: "w"}
_LANE_BY_LANE = {Add: "vaddq", Sub: "vsubq", Mul: "vmulq", Max: "vmaxq", Min: "vminq"}
_SHIFTS = {LShift: "vshlq_n", RShift: "vshrq_n"}


def to_mve(func: tirx.PrimFunc) -> tuple[tirx.PrimFunc, bool]:
    """The function with calls in the place of every vector, and whether it has any.

    Vectors of fewer bits, which are only loaded, stored, and cast, fill one with wider lanes.
    """
    rules = (
        (TensorLoad, lambda load: _loaded(load) if _bits(load) == _VECTOR_BITS else load),
        (tirx.Broadcast, lambda value: _repeated(value, dtype_of(value)) if _bits(value) == _VECTOR_BITS else value),
        (tirx.Shuffle, _joined),
        (tirx.Cast, _cast),
        (tuple(_LANE_BY_LANE), _lane_by_lane),
        (tuple(_SHIFTS), _shifted),
        (Call, _call),
        (tirx.BufferStore, _stored),
    )
    body = tvm_ffi.structural_map(func.body, rules)
    return tirx.PrimFunc(func.params, body, func.ret_type, func.attrs), not body.same_as(func.body)


def with_vector_types(text: str) -> str:
    """TVM's text with the names of vector types: it prints int8_t16 for int8x16_t."""
    return re.sub(r"\b(u?int\d+)_t(\d+)\b", r"\1x\2_t", text)


def four_words_function() -> str:
    """The definition of `edgetvm_four_words`."""
    return f"""static inline int32x4_t {FOUR_WORDS}(int32_t a, int32_t b, int32_t c, int32_t d)
{{
    int32x4_t words = vdupq_n_s32(a);
    words = vsetq_lane_s32(b, words, 1);
    words = vsetq_lane_s32(c, words, 2);
    return vsetq_lane_s32(d, words, 3);
}}
"""


def _lane_by_lane(node: Add | Sub | Mul | Max | Min) -> Expr:
    if _lanes(node) == 1:
        return node
    return vector_function(_LANE_BY_LANE[type(node)], dtype_of(node), node.a, node.b)


def _shifted(node: LShift | RShift) -> Expr:
    """By a number that all lanes share."""
    if _lanes(node) == 1:
        return node
    return vector_function(_SHIFTS[type(node)], dtype_of(node), node.a, node.b.args[1])


def _loaded(load: TensorLoad) -> Expr:
    memory = tvm.DataType(str(load.source.dtype))
    return vector_function(f"vldr{_LETTERS[int(memory.bits)]}q", _whole(load), _address(load.source, load.indices))


def _stored(store: tirx.BufferStore) -> tirx.Stmt:
    if _lanes(store.value) == 1:
        return store
    if _lanes(store.value) == 2:
        return _one_by_one(store)
    value = _filling(store.value)
    letter = _LETTERS[int(tvm.DataType(str(store.buffer.dtype)).bits)]
    name = f"vstr{letter}q_{suffix(dtype_of(value))}"
    return tirx.Evaluate(tirx.call_extern("void", name, _address(store.buffer, store.indices), value))


def _one_by_one(store: tirx.BufferStore) -> tirx.Stmt:
    """A pair that is copied or repeated, which no vector of Helium holds."""

    def at(indices: list[Expr], lane: int) -> list[Expr]:
        return [*indices[:-1], indices[-1].base + tirx.const(lane, "int32")]

    def element(lane: int) -> Expr:
        pair = store.value
        if isinstance(pair, tirx.Broadcast):
            return pair.value
        return tirx.BufferLoad(pair.source, at(list(pair.indices), lane))

    stores = (tirx.BufferStore(store.buffer, element(lane), at(list(store.indices), lane)) for lane in (0, 1))
    return tirx.SeqStmt(list(stores))


def _filling(value: Expr) -> Expr:
    """A vector as one of 128 bits, whose lanes may be wider."""
    if _bits(value) == _VECTOR_BITS:
        return value
    if isinstance(value, TensorLoad):
        return _loaded(value)
    if isinstance(value, tirx.Broadcast):
        return _repeated(value, _whole(value))
    if isinstance(value, tirx.Cast) and dtype_of(value.value) == _whole(value):
        return value.value
    raise AssertionError(f"Helium in C has no words for {value}")


def _cast(cast: tirx.Cast) -> Expr:
    if _lanes(cast) == 1 or _bits(cast) != _VECTOR_BITS:
        return cast
    value = _filling(cast.value)
    if not isinstance(cast.value, tirx.Cast):
        return value
    cut = (_VECTOR_BITS - _bits(cast.value)) // _lanes(cast)  # bits of each lane that the narrower type lacks
    return _extended(value, cut)


def _extended(value: Expr, cut: int) -> Expr:
    """Lanes without their `cut` upper bits, which become copies of the sign below."""
    places = tirx.const(cut, "int32")
    dtype = dtype_of(value)
    return vector_function("vshrq_n", dtype, vector_function("vshlq_n", dtype, value, places), places)


def _repeated(value: tirx.Broadcast, dtype: str) -> Expr:
    return vector_function("vdupq_n", dtype, value.value)


def _joined(shuffle: tirx.Shuffle) -> Expr:
    chosen = [shuffle.vectors[int(lane)] for lane in shuffle.indices]
    return tirx.call_pure_extern("int32x4", FOUR_WORDS, *chosen)


def _call(call: Call) -> Expr:
    if isinstance(call.op, tvm.ir.Op) and call.op.name == "tirx.reinterpret" and _lanes(call) > 1:
        (value,) = call.args
        return vector_function(f"vreinterpretq_{suffix(dtype_of(call))}", dtype_of(value), value, result=dtype_of(call))
    name = intrinsic(call)
    if name == "llvm.sadd.sat":
        return vector_function("vqaddq", dtype_of(call), *call.args[1:])
    if name is None or not name.startswith("llvm.arm.mve."):
        return call
    return intrinsic_function(name.removeprefix("llvm.arm.mve."), dtype_of(call), list(call.args[1:]))


def _address(buffer: tirx.Buffer, indices: list[Expr]) -> Expr:
    *outer, run = indices
    return tirx.address_of(tirx.BufferLoad(buffer, [*outer, run.base]))


def _whole(value: Expr) -> str:
    """The type of so many lanes that fill a vector."""
    lanes = _lanes(value)
    return f"int{_VECTOR_BITS // lanes}x{lanes}"


def _lanes(value: Expr) -> int:
    return int(tvm.DataType(dtype_of(value)).lanes)


def _bits(value: Expr) -> int:
    dtype = tvm.DataType(dtype_of(value))
    return int(dtype.bits) * int(dtype.lanes)
