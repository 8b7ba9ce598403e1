"""Multiply-accumulates of a node."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from .graph import Node, Tensor


def macs(node: Node, types: Mapping[str, Tensor]) -> int:
    """How many products the node sums up; 0 for what is not made of sums of products."""
    if node.domain:
        return 0
    out = types[next(name for name in node.outputs if name)]
    shapes = [types[name].shape if name else () for name in node.inputs]
    if node.op in ("Conv", "ConvInteger", "DeformConv"):
        return out.size * prod(shapes[1][1:])
    if node.op == "ConvTranspose":
        return prod(shapes[0]) * prod(shapes[1][1:])
    if node.op == "Gemm":
        return out.size * shapes[0][0 if node.attributes.get("transA", 0) else 1]
    if node.op in ("MatMul", "MatMulInteger"):
        return out.size * shapes[0][-1]
    if node.op in ("RNN", "GRU", "LSTM"):
        steps_by_batch = shapes[0][0] * shapes[0][1]
        return steps_by_batch * (prod(shapes[1]) + prod(shapes[2]))
    if node.op == "Einsum":
        return _einsum(node, shapes)
    return 0


def _einsum(node: Node, shapes: list[tuple[int, ...]]) -> int:
    """Elements of the whole index space, the ellipsis counted by its largest operand."""
    terms = node.attributes["equation"].decode().replace(" ", "").split("->")[0].split(",")
    extents: dict[str, int] = {}
    dots = 1
    for term, shape in zip(terms, shapes, strict=True):
        letters = term.replace("...", "")
        head = len(term.split("...")[0])
        own = shape if "..." not in term else shape[:head] + shape[len(shape) - (len(letters) - head) :]
        extents |= {c: max(extent, extents.get(c, 1)) for c, extent in zip(letters, own, strict=True)}
        dots = max(dots, prod(shape) // max(prod(own), 1))
    return dots * prod(extents.values())
