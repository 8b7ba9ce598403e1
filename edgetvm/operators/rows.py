"""Statements that run once a row, which no schedule rule melts into the loops over its elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import te, tirx


class Cell:
    """One int64 number that statements read and write."""

    def __init__(self, buffer: tirx.Buffer, place: Any) -> None:
        self._buffer, self._place = buffer, place

    @property
    def value(self) -> Any:
        """The number."""
        return tirx.BufferLoad(self._buffer, [self._place])

    def set(self, value: Any) -> tirx.Stmt:
        """The statement that writes it."""
        return tirx.BufferStore(self._buffer, value, [self._place])


# (int64 elements of the inputs at one row, cells of the results at it, cells to work in) -> statements.
Body = Callable[[Sequence[Any], Sequence[Cell], Sequence[Cell]], list[tirx.Stmt]]


def per_row(
    rows: int, inputs: Sequence[te.Tensor], results: int, body: Body, name: str, scratch: int = 0
) -> list[te.Tensor]:
    """`results` int64 tensors [rows] that `body` fills, row after row, from `inputs` [rows]."""

    def build(sources: Sequence[tirx.Buffer], buffers: Sequence[tirx.Buffer]) -> tirx.Stmt:
        row, first = tirx.Var("row", "int64"), tirx.const(0, "int64")
        values = [tirx.BufferLoad(source, [row]).astype("int64") for source in sources]
        cells = [Cell(buffer, row if i < results else first) for i, buffer in enumerate(buffers)]
        statements = body(values, cells[:results], cells[results:])
        inner = tirx.SeqStmt(statements) if len(statements) > 1 else statements[0]
        return tirx.For(row, first, tirx.const(rows, "int64"), tirx.ForKind.SERIAL, inner)

    shapes = [[tirx.const(rows, "int64")]] * results + [[tirx.const(1, "int64")]] * scratch
    read = [tirx.decl_buffer(tensor.shape, str(tensor.dtype), tensor.op.name) for tensor in inputs]
    written = [tirx.decl_buffer(shape, "int64", f"{name}_{i}") for i, shape in enumerate(shapes)]
    made = te.extern(shapes, list(inputs), build, name, in_buffers=read, out_buffers=written)
    return [made] if len(shapes) == 1 else list(made)[:results]
