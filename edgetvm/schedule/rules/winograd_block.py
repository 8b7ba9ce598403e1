"""Sums of products of rows [R, C] with a panel of weights [C, O], in registers."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.winograd_numbers import Numbers
from edgetvm.schedule.rules.winograd_plan import WinogradPlan
from edgetvm.schedule.rules.write_code import Code, Offset, constant, load, number, shuffle, vector_type

LANE_GROUP = 4  # floats that NEON loads at once and multiplies by lane


def step_cost(rows: int, vectors: int, machine: Machine) -> float:
    """Operations of one step of a block of sums: multiply-adds, never fewer than hide their latency, and loads."""
    activations = rows / LANE_GROUP if machine.neon else rows
    loads = (vectors + activations) / machine.recipe.winograd_loads
    return max(rows * vectors, machine.recipe.least_accumulators) + loads


def block_sizes(columns: int, machine: Machine, numbers: Numbers) -> list[tuple[int, int]]:
    """(rows, vectors) of every block for so many columns that the registers hold."""
    vectors = min(-(-columns // machine.lanes(numbers.element_bytes)), machine.recipe.winograd_vectors)
    sizes = [(r, v) for v in range(1, vectors + 1) for r in range(1, machine.recipe.winograd_rows + 1)]
    return [size for size in sizes if _registers(*size, machine, numbers) <= machine.vector_registers]


def _registers(rows: int, vectors: int, machine: Machine, numbers: Numbers) -> int:
    """All sums, and what is multiplied: on NEON rows by lane, which stay for all lanes; elsewhere one at a time."""
    return rows * vectors * numbers.registers + (rows + vectors if machine.neon else 2)


@dataclass(frozen=True)
class Block:
    """Sums of a block of a plan."""

    code: Code
    plan: WinogradPlan

    def write(self, source: tirx.Buffer, at: Offset, weights: tirx.Buffer) -> list[list[tirx.Expr]]:
        """The loops; gives the vectors of each row. Rows begin at element `at` of `source`."""
        code, plan, depth, total = self.code, self.plan, self.plan.kernel.depth, self.plan.numbers.total
        sums = plan.rows * plan.vectors
        x = code.view("x", source, at, plan.rows * depth)
        acc = code.array("acc", sums, vector_type(total, plan.lanes), "local")
        for i in range(sums):
            code.add(tirx.BufferStore(acc, constant(0, total, plan.lanes), [number(i)]))
        group = plan.lanes if plan.machine.neon else 1
        whole = depth // group
        most = max(plan.machine.recipe.unrolled_operations // (sums * group), 1)
        unrolled = max((n for n in range(1, most + 1) if whole % n == 0), default=1)
        if whole:
            with code.loop("k", whole // unrolled) as k:
                for n in range(unrolled):
                    self._steps(acc, x, weights, k * (unrolled * group) + n * group, group)
        for k in range(whole * group, depth):
            self._steps(acc, x, weights, k, 1)
        places = [[[number(r * plan.vectors + v)] for v in range(plan.vectors)] for r in range(plan.rows)]
        return [[tirx.BufferLoad(acc, place) for place in row] for row in places]

    def _steps(self, acc: tirx.Buffer, x: tirx.Buffer, weights: tirx.Buffer, k: Offset, count: int) -> None:
        """`count` steps of the sums from `k` on."""
        code, plan, lanes = self.code, self.plan, self.plan.lanes
        loaded = [code.let("a", load(x, k + r * plan.kernel.depth, count)) for r in range(plan.rows)]
        for step in range(count):
            row = (k + step) * plan.columns
            w = [code.let("w", load(weights, row + v * lanes, lanes)) for v in range(plan.vectors)]
            for r, a in enumerate(loaded):
                same = tirx.Broadcast(a, lanes) if count == 1 else shuffle([a], [step] * lanes)
                for v in range(plan.vectors):
                    place = [number(r * plan.vectors + v)]
                    product = self._widened(w[v]) * self._widened(same)
                    code.add(tirx.BufferStore(acc, tirx.BufferLoad(acc, place) + product, place))

    def _widened(self, factor: tirx.Expr) -> tirx.Expr:
        """A vector of elements as one of sums."""
        total = vector_type(self.plan.numbers.total, self.plan.lanes)
        return factor if self.plan.numbers.registers == 1 else tirx.Cast(total, factor)
