"""Statements of TIR written one after another, for rules that write their loops instead of transforming them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeAlias

import tvm
from tvm import tirx

Offset: TypeAlias = tirx.Expr | int


class Code:
    """A growing list of statements. All offsets are int32 and count elements."""

    def __init__(self) -> None:
        self._scopes: list[list[tirx.Stmt]] = [[]]

    def add(self, statement: tirx.Stmt) -> None:
        """Append one statement."""
        self._scopes[-1].append(statement)

    def statement(self) -> tirx.Stmt:
        """All that was written."""
        (scope,) = self._scopes
        return _sequence(scope)

    def let(self, name: str, value: tirx.Expr) -> tvm.ir.Var:
        """Name a value."""
        variable = tvm.ir.Var(name, value.ty)
        self.add(tirx.Bind(variable, value))
        return variable

    @contextmanager
    def loop(self, name: str, extent: int, parallel: bool = False) -> Iterator[Offset]:
        """A loop over 0..extent; none for one iteration."""
        if extent == 1:
            yield 0
            return
        variable = tvm.ir.Var(name, tvm.ir.PrimType("int32"))
        self._scopes.append([])
        yield variable
        body = _sequence(self._scopes.pop())
        kind = tirx.ForKind.PARALLEL if parallel else tirx.ForKind.SERIAL
        self.add(tirx.For(variable, number(0), number(extent), kind, body))

    @contextmanager
    def loops(self, name: str, extents: Sequence[int]) -> Iterator[list[Offset]]:
        """Loops one in another."""
        with ExitStack() as stack:
            yield [stack.enter_context(self.loop(f"{name}{i}", extent)) for i, extent in enumerate(extents)]

    @contextmanager
    def when(self, condition: tirx.Expr) -> Iterator[None]:
        """Statements that run where `condition` holds."""
        self._scopes.append([])
        yield
        self.add(tirx.IfThenElse(condition, _sequence(self._scopes.pop()), None))

    def array(self, name: str, elements: int, dtype: str, scope: str) -> tirx.Buffer:
        """New memory: of scope "local" registers, of scope "global" scratch."""
        buffer = tirx.decl_buffer((elements,), dtype, name=name, scope=scope)
        self.add(tirx.AllocBuffer(buffer))
        return buffer

    def view(
        self, name: str, buffer: tirx.Buffer, offset: Offset, elements: int, dtype: str | None = None
    ) -> tirx.Buffer:
        """`buffer` from one element on, as a row of elements; one address that LLVM keeps in a register."""
        place = [number(0)] * (len(buffer.shape) - 1)
        start = tirx.BufferLoad(buffer, [*place, number(offset)])
        row = tirx.decl_buffer((elements,), dtype or str(buffer.dtype), name=name)
        self.add(tirx.DeclBuffer(row, data=tirx.address_of(start)))
        return row


def _sequence(statements: list[tirx.Stmt]) -> tirx.Stmt:
    return statements[0] if len(statements) == 1 else tirx.SeqStmt(statements)


def number(value: Offset) -> tirx.Expr:
    """An offset as an expression."""
    return tirx.const(value, "int32") if isinstance(value, int) else value


def load(buffer: tirx.Buffer, offset: Offset, lanes: int = 1) -> tirx.Expr:
    """`lanes` elements from `offset` on."""
    return tirx.BufferLoad(buffer, [_run(offset, lanes)])


def store(buffer: tirx.Buffer, offset: Offset, value: tirx.Expr) -> tirx.Stmt:
    """Write all lanes of `value` from `offset` on."""
    return tirx.BufferStore(buffer, value, [_run(offset, lanes_of(value))])


def lanes_of(value: tirx.Expr) -> int:
    """Elements of a vector, 1 of a scalar."""
    return int(tvm.DataType(str(value.ty.dtype)).lanes)


def vector_type(dtype: str, lanes: int) -> str:
    """The name of a vector's type."""
    return dtype if lanes == 1 else f"{dtype}x{lanes}"


def constant(value: int | float, dtype: str, lanes: int) -> tirx.Expr:
    """A vector of equal elements."""
    scalar = tirx.const(value, dtype)
    return scalar if lanes == 1 else tirx.Broadcast(scalar, lanes)


def shuffle(vectors: list[tirx.Expr], lanes: list[int]) -> tirx.Expr:
    """Chosen lanes of vectors that follow one another."""
    return tirx.Shuffle(vectors, [number(lane) for lane in lanes])


def piece(vectors: list[tirx.Expr], first: int, lanes: int) -> tirx.Expr:
    """Lanes `first` to `first + lanes` of equally long vectors that follow one another."""
    width = lanes_of(vectors[0])
    touched = vectors[first // width : (first + lanes - 1) // width + 1]
    start = first % width
    if len(touched) == 1 and lanes == width:
        return touched[0]
    return shuffle(touched, list(range(start, start + lanes)))


def _run(offset: Offset, lanes: int) -> tirx.Expr:
    start = number(offset)
    return start if lanes == 1 else tirx.Ramp(start, number(1), lanes)
