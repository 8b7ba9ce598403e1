"""What a kernel executes, counted on its lowered loops: every loop has a constant extent, so the sum is a closed form.

An operation on a vector counts once for every register that it fills. Addresses are free, as in the addressing
modes of every core here, and so are parts of a register and the widening of integers, which the instruction
that reads them does. What does not change within a loop is counted once before it, as compilers move it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad

from edgetvm.cost.conditions import share
from edgetvm.cost.expressions import (
    intrinsic,
    is_address,
    is_long,
    is_part,
    is_piece,
    is_read_so,
    scalar_type,
    structure,
    widens,
)

WORD = 4  # bytes
LOOP = 2.0  # to step and to branch
LIBRARY = 30.0  # a function of the mathematical library, per element
DIVISION = 8.0  # per register
_FREE_CALLS = frozenset(("prim.reinterpret", "tirx.reinterpret"))
_EXTERN = frozenset(f"tirx.call{pure}_extern" for pure in ("", "_pure"))
_LIBRARY_INTRINSICS = frozenset(f"llvm.{name}" for name in ("exp", "exp2", "log", "log2", "log10", "pow", "sin", "cos"))
_SCATTER = "llvm.arm.mve.vstr.scatter.offset"
_BARRIERS = frozenset({"llvm.fake.use"})  # orders loads, and is no instruction
_DIVISIONS = (tirx.Div, tirx.Mod, tirx.FloorDiv, tirx.FloorMod)
_BINARY = (
    *(tirx.Add, tirx.Sub, tirx.Mul, tirx.Max, tirx.Min, tirx.LShift, tirx.RShift, *_DIVISIONS),
    *(tirx.LT, tirx.LE, tirx.GT, tirx.GE, tirx.EQ, tirx.NE, tirx.And, tirx.Or),
    *(tirx.BitwiseAnd, tirx.BitwiseOr, tirx.BitwiseXor),
)


@dataclass(frozen=True)
class Operations:
    """Instructions of one call of a kernel, by what they do.

    `accesses` are to words of memory, by the function's pointers: a vector has several words, a byte takes one access.
    """

    compute: float
    loads: float
    stores: float
    control: float
    accesses: tuple[float, ...] = ()

    @property
    def instructions(self) -> float:
        """All of them."""
        return self.compute + self.loads + self.stores + self.control


def count_operations(func: tirx.PrimFunc, vector_bytes: int, accumulates: bool) -> Operations:
    """Count a lowered function for registers of `vector_bytes`; 0 where there are only scalars of 4 bytes.

    `accumulates` tells that products of integers are added by the instruction that makes them, as on Arm.
    """
    counter = _Counter(vector_bytes, accumulates, not func.attrs.get("tirx.noalias", True))
    counter.statement(func.body)
    return Operations(**counter.found, accesses=tuple(counter.accesses.get(hash(param), 0.0) for param in func.params))


class _Counter:
    """Walks a function. `times[n]` is how often code inside the n-th loop runs."""

    def __init__(self, vector_bytes: int, accumulates: bool, overlaps: bool) -> None:
        self.overlaps = overlaps  # stores may change whatever is read
        self.vector_bytes = vector_bytes
        self.accumulates = accumulates
        self.times = [1.0]
        self.depth: dict[int, int] = {}  # of a variable or view: in which loop it changes
        self.roots: dict[int, int] = {}  # of a view: the buffer that it shows
        self.registers: set[int] = set()
        self.shared: dict[object, int] = {}  # of an expression that was counted: in which loop it changes
        self.stored: list[set[int]] = [set()]  # buffers written in each loop
        self.known: list[set[object]] = [set()]  # loads done in each loop
        self.extents: dict[tirx.Var, int] = {}
        self.conditions: list[tirx.Expr] = []  # that hold where the statement at hand runs
        self.found = dict.fromkeys(("compute", "loads", "stores", "control"), 0.0)
        self.accesses: dict[int, float] = {}  # by buffer

    def statement(self, node: tirx.Stmt) -> None:
        """Count one statement and what is in it."""
        kind = type(node)
        if kind is tirx.SeqStmt:
            for part in node.seq:
                self.statement(part)
        elif kind is tirx.For:
            self._loop(node)
        elif kind is tirx.IfThenElse:
            self._expression(node.condition)
            self._add("control", 1, len(self.times) - 1)
            self._branch(node.condition, node.then_case)
            if node.else_case is not None:
                self._branch(tirx.Not(node.condition), node.else_case)
        elif kind is tirx.AttrStmt:
            self.statement(node.body)
        elif kind is tirx.Bind:
            self.depth[hash(node.var)] = self._expression(node.value)
        elif kind is tirx.AllocBuffer and str(node.buffer.scope()) == "local":
            self.registers.add(hash(node.buffer))
        elif kind is tirx.DeclBuffer:
            self._view(node)
        elif kind is tirx.BufferStore:
            self._expression(node.value)
            if self._root(node.buffer) not in self.registers:
                self._add("stores", self._registers(node.value), len(self.times) - 1)
                self._access(node.buffer, node.value, len(self.times) - 1)
        elif kind is tirx.Evaluate:
            self._expression(node.value)

    def _branch(self, condition: tirx.Expr, node: tirx.Stmt) -> None:
        """Statements that run where a condition holds: always, if it is not known how often."""
        times, shared, known = self.times[-1], dict(self.shared), set(self.known[-1])
        part = share(condition, self.conditions, self.extents)
        self.times[-1] *= 1.0 if part is None else part
        self.conditions.extend([] if part is None else [condition])
        self.statement(node)
        if part is not None:
            self.conditions.pop()
        self.times[-1], self.shared, self.known[-1] = times, shared, known

    def _loop(self, node: tirx.For) -> None:
        extent = float(node.extent.value) if isinstance(node.extent, tirx.IntImm) else 1.0
        stored: set[int] = set()
        tvm_ffi.structural_walk(node.body, (tirx.BufferStore, lambda store: stored.add(self._root(store.buffer))))
        stored -= self.registers

        def scatter(statement: tirx.Evaluate) -> None:
            if isinstance(statement.value, tvm.ir.Call) and intrinsic(statement.value) == _SCATTER:
                stored.add(self._root(statement.value.args[1].args[0].source))

        tvm_ffi.structural_walk(node.body, (tirx.Evaluate, scatter))
        self.extents[node.loop_var] = int(extent)
        self.times.append(self.times[-1] * extent)
        self.stored.append(stored)
        self.known.append(set())
        self.depth[hash(node.loop_var)] = len(self.times) - 1
        self.statement(node.body)
        if extent > 1:
            self._add("control", LOOP, len(self.times) - 1)
        for scopes in (self.times, self.stored, self.known):
            scopes.pop()

    def _view(self, node: tirx.DeclBuffer) -> None:
        """A view of another buffer or of what a pointer points to: what is stored to one changes the other."""
        shown: list[object] = []
        tvm_ffi.structural_walk(node.data, (TensorLoad, lambda load: shown.append(load.source)))
        if shown:
            self.depth[hash(node.buffer)] = self._level(node.data)
        else:
            tvm_ffi.structural_walk(node.data, (tirx.Var, shown.append))
        if shown:
            self.roots[hash(node.buffer)] = self._root(shown[0])

    def _root(self, buffer: object) -> int:
        return self.roots.get(hash(buffer), hash(buffer))

    def _expression(self, node: tirx.Expr) -> int:
        """Count what an expression computes; in which loop its value changes."""
        kind = type(node)
        if kind is TensorLoad:
            return self._load(node)
        if kind is tirx.Var:
            return self.depth.get(hash(node), 0)
        rule = _PARTS.get(kind)
        if rule is None:
            return 0
        identity = structure(node) if kind in (tvm.ir.Call, tirx.Add) else hash(node)
        if identity not in self.shared:
            level = max((self._expression(part) for part in rule(node)), default=0)
            self._add("compute", self._cost(kind, node), level)
            for part in node.args if kind is tvm.ir.Call else ():
                if is_address(part):
                    self._access(part.args[0].source, node, level)
            self.shared[identity] = level
        return self.shared[identity]

    def _load(self, node: TensorLoad) -> int:
        root, last = self._root(node.source), len(self.times) - 1
        if root in self.registers:
            return last
        level = max(self._level(node.indices), self.depth.get(hash(node.source), 0))
        while level < last and any(stored if self.overlaps else root in stored for stored in self.stored[level + 1 :]):
            level += 1
        same = structure(node)
        if same not in self.known[level]:
            self.known[level].add(same)
            self._add("loads", self._registers(node), level)
            self._access(node.source, node, level)
        return level

    def _level(self, node: object) -> int:
        found = [0]
        tvm_ffi.structural_walk(node, (tirx.Var, lambda var: found.append(self.depth.get(hash(var), 0))))
        return max(found)

    def _cost(self, kind: type, node: tirx.Expr) -> float:
        if kind in (tirx.Broadcast, tirx.Ramp):
            return 0.0
        registers = self._registers(node)
        if kind is tirx.Cast:
            return 0.0 if widens(node) or is_read_so(node) else max(registers, self._registers(node.value))
        if scalar_type(str(node.ty.dtype))[1] == 1 and is_part(kind, node):
            return 0.0
        if kind is tirx.Mul and is_long(node):
            return 1.0
        if kind is tirx.Shuffle:
            return 0.0 if is_piece(node) else registers
        if kind is tirx.Add and self.accumulates and type(node.b) in (tirx.Mul, tvm.ir.Call):
            return 0.0
        if kind is tvm.ir.Call:
            name = getattr(node.op, "name", "")
            if name in _EXTERN or intrinsic(node) in _LIBRARY_INTRINSICS:
                return LIBRARY * scalar_type(str(node.ty.dtype))[1]
            return 0.0 if name in _FREE_CALLS or intrinsic(node) in _BARRIERS else registers
        return registers * DIVISION if kind in _DIVISIONS else registers

    def _registers(self, node: tirx.Expr) -> float:
        """Registers that a value fills."""
        bits, lanes, _ = scalar_type(str(node.ty.dtype))
        if lanes == 1:
            return 1.0 if self.vector_bytes else float(-(-bits // 32))
        return max(1.0, bits * lanes / 8 / max(self.vector_bytes, 4))

    def _access(self, buffer: object, value: tirx.Expr, level: int) -> None:
        bits, lanes, _ = scalar_type(str(value.ty.dtype))
        root = self._root(buffer)
        words = max(1.0, bits * lanes / 8 / WORD)
        self.accesses[root] = self.accesses.get(root, 0.0) + words * self.times[level]

    def _add(self, kind: str, amount: float, level: int) -> None:
        self.found[kind] += amount * self.times[level]


_PARTS: dict[type, Callable[[tirx.Expr], tuple[tirx.Expr, ...]]] = {
    **dict.fromkeys(_BINARY, lambda node: (node.a, node.b)),
    tirx.Not: lambda node: (node.a,),
    tirx.Broadcast: lambda node: (node.value,),
    tirx.Cast: lambda node: (node.value,),
    tirx.Select: lambda node: (node.condition, node.true_value, node.false_value),
    tirx.Shuffle: lambda node: tuple(node.vectors),
    tvm.ir.Call: lambda node: tuple(part for part in node.args if not is_address(part)),
}
