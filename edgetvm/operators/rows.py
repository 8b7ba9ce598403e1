"""Loops that compute something once a row, and that no schedule rule melts into the loops over its elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import te, tirx

# (elements of the inputs at one row, places of the outputs at it) -> statements.
Body = Callable[[Sequence[Any], Sequence["Cell"]], list[tirx.Stmt]]


class Cell:
    """One element of a buffer that statements read and write."""

    def __init__(self, buffer: tirx.Buffer, row: Any) -> None:
        self._buffer, self._row = buffer, row

    @property
    def value(self) -> Any:
        """The element."""
        return tirx.BufferLoad(self._buffer, [self._row])

    def set(self, value: Any) -> tirx.Stmt:
        """The statement that writes it."""
        return tirx.BufferStore(self._buffer, value, [self._row])


def per_row(rows: int, inputs: Sequence[te.Tensor], count: int, body: Body, name: str) -> list[te.Tensor]:
    """`count` int64 tensors [rows] that `body` fills, row after row, from `inputs` of shape [rows]."""

    def build(sources: Sequence[tirx.Buffer], results: Sequence[tirx.Buffer]) -> tirx.Stmt:
        row = tirx.Var("row", "int64")
        statements = body([tirx.BufferLoad(source, [row]) for source in sources], [Cell(cell, row) for cell in results])
        inner = tirx.SeqStmt(statements) if len(statements) > 1 else statements[0]
        return tirx.For(row, tirx.const(0, "int64"), tirx.const(rows, "int64"), tirx.ForKind.SERIAL, inner)

    buffers = [tirx.decl_buffer(tensor.shape, str(tensor.dtype), tensor.op.name) for tensor in inputs]
    made = [tirx.decl_buffer([tirx.const(rows, "int64")], "int64", f"{name}_{i}") for i in range(count)]
    result = te.extern(
        [[tirx.const(rows, "int64")]] * count, list(inputs), build, name, in_buffers=buffers, out_buffers=made
    )
    return [result] if count == 1 else list(result)
