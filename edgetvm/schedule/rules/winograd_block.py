"""Sums of products of rows [R, C] with a panel of weights [C, O] in float32, in registers."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.matrix_plan import FLOAT_BYTES
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, number, shuffle

LANE_GROUP = 4  # activations that NEON loads at once and multiplies by lane


def step_cost(rows: int, vectors: int, machine: Machine) -> float:
    """Operations of one step of a block of sums: multiply-adds, never fewer than hide their latency, and loads."""
    activations = rows / LANE_GROUP if machine.neon else rows
    loads = (vectors + activations) / machine.recipe.winograd_loads
    return max(rows * vectors, machine.recipe.least_accumulators) + loads


def block_sizes(columns: int, machine: Machine) -> list[tuple[int, int]]:
    """(rows, vectors) of every block for so many columns that the registers hold."""
    vectors = min(-(-columns // machine.lanes(FLOAT_BYTES)), machine.recipe.winograd_vectors)
    sizes = [(r, v) for v in range(1, vectors + 1) for r in range(1, machine.recipe.winograd_rows + 1)]
    return [size for size in sizes if _registers(*size, machine) <= machine.vector_registers]


def _registers(rows: int, vectors: int, machine: Machine) -> int:
    """All sums, and what is multiplied: on NEON rows by lane, which stay for all lanes; elsewhere one at a time."""
    return rows * vectors + (rows + vectors if machine.neon else 2)


@dataclass(frozen=True)
class Block:
    """`rows` by `vectors` of sums over `depth` products."""

    code: Code
    machine: Machine
    rows: int
    vectors: int
    depth: int

    @property
    def lanes(self) -> int:
        return self.machine.lanes(FLOAT_BYTES)

    @property
    def columns(self) -> int:
        return self.vectors * self.lanes

    def write(self, source: tirx.Buffer, at: Offset, weights: tirx.Buffer) -> list[list[tirx.Expr]]:
        """The loops; gives the vectors of each row. Rows begin at element `at` of `source`."""
        code, sums = self.code, self.rows * self.vectors
        x = code.view("x", source, at, self.rows * self.depth)
        acc = code.array("acc", sums, f"float32x{self.lanes}", "local")
        for i in range(sums):
            code.add(tirx.BufferStore(acc, constant(0.0, "float32", self.lanes), [number(i)]))
        group = LANE_GROUP if self.machine.neon else 1
        whole = self.depth // group
        most = max(self.machine.recipe.unrolled_operations // (sums * group), 1)
        unrolled = max((n for n in range(1, most + 1) if whole % n == 0), default=1)
        if whole:
            with code.loop("k", whole // unrolled) as k:
                for n in range(unrolled):
                    self._steps(acc, x, weights, k * (unrolled * group) + n * group, group)
        for k in range(whole * group, self.depth):
            self._steps(acc, x, weights, k, 1)
        places = [[[number(r * self.vectors + v)] for v in range(self.vectors)] for r in range(self.rows)]
        return [[tirx.BufferLoad(acc, place) for place in row] for row in places]

    def _steps(self, acc: tirx.Buffer, x: tirx.Buffer, weights: tirx.Buffer, k: Offset, count: int) -> None:
        """`count` steps of the sums from `k` on."""
        code, lanes = self.code, self.lanes
        loaded = [code.let("a", load(x, k + r * self.depth, count)) for r in range(self.rows)]
        for step in range(count):
            row = (k + step) * self.columns
            w = [code.let("w", load(weights, row + v * lanes, lanes)) for v in range(self.vectors)]
            for r, a in enumerate(loaded):
                same = tirx.Broadcast(a, lanes) if count == 1 else shuffle([a], [step] * lanes)
                for v in range(self.vectors):
                    place = [number(r * self.vectors + v)]
                    code.add(tirx.BufferStore(acc, tirx.BufferLoad(acc, place) + w[v] * same, place))
