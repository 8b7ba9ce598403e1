"""Matrix products."""

from __future__ import annotations

from string import ascii_letters
from typing import Any

import numpy as np
from tvm import relax, te
from tvm.ir import Expr

from .convert import Call
from .graph import RefusedError
from .te_kernel import kernel, reduce_axis


def matmul(call: Call) -> Expr:
    """MatMul; half precision accumulates in single."""
    return product(call, call.x(), call.x(1), call.out().dtype)


def product(call: Call, left: Expr, right: Expr, dtype: str) -> Expr:
    """``left @ right``."""
    if dtype != "float16":
        return relax.op.matmul(left, right)
    wide = [call.emit(relax.op.astype(side, "float32")) for side in (left, right)]
    return relax.op.astype(call.emit(relax.op.matmul(*wide)), dtype)


def gemm(call: Call) -> Expr:
    """alpha * A @ B + beta * C; constant operands are transposed and scaled at import."""
    dtype = call.out().dtype
    alpha, beta = call.attr("alpha", 1.0), call.attr("beta", 1.0)
    left = _transposed(call, 0, call.attr("transA", 0), 1.0)
    right = _transposed(call, 1, call.attr("transB", 0), alpha)
    result = call.emit(product(call, left, right, dtype))
    if alpha != 1.0 and call.value(1) is None:
        result = call.emit(relax.op.multiply(result, call.constant(alpha, dtype)))
    if not call.has(2) or beta == 0.0:
        return result
    bias = call.value(2)
    if bias is not None:
        return relax.op.add(result, call.constant(bias if beta == 1.0 else bias * np.asarray(beta, dtype)))
    scaled = call.x(2)
    if beta != 1.0:
        scaled = call.emit(relax.op.multiply(scaled, call.constant(beta, dtype)))
    return relax.op.add(result, scaled)


def _transposed(call: Call, index: int, transpose: int, factor: float) -> Expr:
    value = call.value(index)
    if value is not None:
        scaled = value if factor == 1.0 else value * np.asarray(factor, value.dtype)
        return call.constant(scaled.T if transpose else scaled)
    return call.emit(relax.op.permute_dims(call.x(index))) if transpose else call.x(index)


def einsum(call: Call) -> Expr:
    """Einsum over any number of operands, with ellipses and repeated indices."""
    terms, out = _terms(call)
    extents: dict[str, int] = {}
    for index, term in enumerate(terms):
        for letter, extent in zip(term, call.type(index).shape, strict=True):
            extents[letter] = max(extent, extents.get(letter, 1))
    summed = sorted(set("".join(terms)) - set(out))
    dtype = call.out().dtype
    wide = "float32" if dtype == "float16" else dtype

    def compute(*tensors: te.Tensor) -> te.Tensor:
        axes = {letter: reduce_axis(extents[letter], name=f"k_{i}") for i, letter in enumerate(summed)}

        def element(index: tuple[Any, ...]) -> Any:
            places = dict(zip(out, index, strict=True)) | {letter: axis.var for letter, axis in axes.items()}
            factors = [
                t(*[0 if int(e) == 1 else places[c] for c, e in zip(term, t.shape, strict=True)]).astype(wide)
                for t, term in zip(tensors, terms, strict=True)
            ]
            value = factors[0]
            for factor in factors[1:]:
                value = value * factor
            return te.sum(value, axis=list(axes.values())) if axes else value

        made = kernel(call.out().shape, lambda *i: element(i), name="einsum")
        return made if wide == dtype else kernel(made.shape, lambda *i: made(*i).astype(dtype), name="narrow")

    return call.te(compute, *[call.x(index) for index in range(call.count)], name="einsum")


def _terms(call: Call) -> tuple[list[str], str]:
    """The letters of each operand and of the output, an ellipsis spelled out in unused letters."""
    text = call.attr("equation").replace(" ", "")
    left, arrow, out = text.partition("->")
    terms = left.split(",")
    if len(terms) != call.count:
        raise RefusedError(f"equation '{text}' does not have {call.count} operands")
    ranks = [len(call.type(i).shape) - len(t.replace("...", "")) for i, t in enumerate(terms) if "..." in t]
    free = [c for c in ascii_letters if c not in text]
    dots = free[: max(ranks, default=0)]
    for index, term in enumerate(terms):
        own = len(call.type(index).shape) - len(term.replace("...", ""))
        terms[index] = term.replace("...", "".join(dots[len(dots) - own :]) if own else "")
    if not arrow:
        letters = "".join(terms)
        once = sorted(c for c in set(letters) - set(dots) if letters.count(c) == 1)
        return terms, "".join([*dots, *once])
    return terms, out.replace("...", "".join(dots))
