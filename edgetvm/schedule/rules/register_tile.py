"""Reductions with a tile of accumulators in registers: convolution, matrix product, pooling, mean.

The last spatial axis (channels of NHWC, columns of a matrix) lies along the vector, the axis before
it gives the rows of the tile. All sums of a tile stay in registers until the epilogue has used them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tvm import s_tir, sym, tirx
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV

from edgetvm.schedule import analysis as facts
from edgetvm.schedule.packing import Panels
from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.vectors import vector_lanes, vectorize_last
from edgetvm.schedule.types import Constants, Packing


@dataclass(frozen=True)
class Tile:
    """`rows` x (`vectors` x `lanes`) accumulators; `steps` of the last reduction axis are unrolled."""

    rows: int
    vectors: int
    lanes: int
    steps: int

    @property
    def columns(self) -> int:
        return self.vectors * self.lanes


def register_tile(sch: Schedule, machine: Machine, constants: Constants) -> dict[int, Packing] | None:
    """Schedule a function with exactly one reduction; None when the rule does not apply.

    Returns the packing of constant operands (see `ScheduledKernel`).
    """
    blocks = facts.all_blocks(sch)
    reductions = [block for block in blocks if facts.reduction_axes(sch.get(block))]
    if len(reductions) != 1 or not all(facts.is_simple(sch.get(block)) for block in blocks):
        return None
    main = reductions[0]
    if not all(facts.extent(axis) for axis in sch.get(main).iter_vars):
        return None
    if facts.store_of(sch.get(main)) is None or not facts.spatial_axes(sch.get(main)):
        return None
    consumers = sch.get_consumers(main)
    if len(consumers) > 1:
        return None
    producers = blocks[: _position(sch, blocks, main)]
    if len(blocks) != len(producers) + 1 + len(consumers):
        return None
    out = consumers[0] if consumers else sch.cache_write(main, 0, "local")
    if not _identity(sch.get(out)):
        return None
    rows_fused = _flatten_rows(sch, main, out)
    block = sch.get(main)
    spatial, reduced = facts.spatial_axes(block), facts.reduction_axes(block)
    if not reduced:  # all were of one iteration, and flattening removed them
        return None
    lanes = vector_lanes(block, spatial[-1], machine)
    tile = choose_tile(
        rows=facts.extent(spatial[-2]) if len(spatial) > 1 else 1,
        columns=facts.extent(spatial[-1]),
        steps=facts.extent(reduced[-1]),
        lanes=lanes,
        machine=machine,
    )
    packing = _pack_weights(sch, main, tile, constants)

    block = sch.get(main)
    kept = [axis.var for axis in facts.spatial_axes(block)]
    outer: list[LoopRV] = []
    inner: list[LoopRV] = []
    for axis, loop in zip(block.iter_vars, sch.get_loops(main), strict=True):
        (outer if any(axis.var.same_as(var) for var in kept) else inner).append(loop)
    column, column_vector, lane = sch.split(outer[-1], [None, tile.vectors, tile.lanes])
    row, row_inner = sch.split(outer[-2], [None, tile.rows]) if len(spatial) > 1 else (None, None)
    step, step_inner = sch.split(inner[-1], [None, tile.steps])
    above = [*outer[:-2], *([row] if row is not None else [])]
    tiles = [row_inner] if row_inner is not None else []
    panels_first = _weights_exceed_cache(block, machine)
    order = [column, *above] if panels_first else [*above, column]
    sch.reorder(*order, *inner[:-1], step, step_inner, *tiles, column_vector, lane)

    sch.set_scope(main, 0, "local")
    sch.reverse_compute_at(out, order[-1], preserve_unit_loops=True)
    shared = _share_among_threads(sch, order, block, machine)
    for producer in producers:
        fits = not shared or _row_bytes(sch, producer, reduced) <= machine.recipe.thread_stack_bytes
        at_root = panels_first or rows_fused or not fits
        _place_producer(sch, producer, above, at_root, machine)
    for loop in (step_inner, *tiles, column_vector):
        sch.unroll(loop)
    if tile.lanes > 1:
        sch.vectorize(lane)
    _finish_output(sch, out, tile, machine)
    sch.decompose_reduction(main, inner[0] if len(inner) > 1 else step)
    return packing


def choose_tile(rows: int, columns: int, steps: int, lanes: int, machine: Machine) -> Tile:
    """The tile with the fewest cycles in closed form.

    A step of the reduction costs rows * vectors multiply-adds on two ports, one load a vector of weights and a
    row, and never less than the latency that `least_accumulators` would hide; a tile costs its epilogue.
    """
    recipe = machine.recipe
    budget = machine.vector_registers - recipe.spare_registers if lanes > 1 else recipe.scalar_accumulators
    widest = recipe.register_vectors if lanes > 1 else recipe.scalar_accumulators
    best: tuple[float, Tile] | None = None
    for height in _divisors(rows, recipe.max_rows):
        for vectors in _divisors(columns // lanes, widest):
            if height * vectors > max(budget, 1):
                continue
            work = height * vectors
            cycle = max(work / 2, (height + vectors) / 2, recipe.least_accumulators / 2)
            cost = (cycle * steps + recipe.register_epilogue * work + recipe.register_overhead) / work
            if best is None or cost < best[0] - 1e-9:
                unrolled = max(recipe.unrolled_operations // work, 1)
                best = (cost, Tile(height, vectors, lanes, max(_divisors(steps, min(unrolled, recipe.register_steps)))))
    assert best is not None
    return best[1]


def _divisors(number: int, limit: int) -> list[int]:
    return [d for d in range(1, min(number, max(limit, 1)) + 1) if number % d == 0]


def _position(sch: Schedule, blocks: list[SBlockRV], wanted: SBlockRV) -> int:
    return next(i for i, block in enumerate(blocks) if sch.get(block).same_as(sch.get(wanted)))


def _identity(block: s_tir.SBlock) -> bool:
    """Whether the block writes element (i, j, ...), or one a constant further, in iteration (i, j, ...); no sums."""
    store = facts.store_of(block)
    if store is None or facts.reduction_axes(block) or len(store.indices) != len(block.iter_vars):
        return False
    analyzer = sym.Analyzer()
    moved = (
        analyzer.simplify(index - axis.var)
        for index, axis in zip(store.indices, block.iter_vars, strict=True)
        if facts.extent(axis) > 1
    )
    return all(isinstance(by, tirx.IntImm) for by in moved)


def _flatten_rows(sch: Schedule, main: SBlockRV, out: SBlockRV) -> bool:
    """Make one axis of all but the last where every operand allows it: a 1x1 convolution becomes a matrix product."""
    block, last = sch.get(main), sch.get(out)
    spatial = facts.spatial_axes(block)
    store = facts.store_of(block)
    assert store is not None
    same = len(last.iter_vars) == len(spatial) == len(store.indices)
    if len(spatial) < 3 or not same or not all(map(_fusable, [block, last])):
        return False
    extents = [facts.extent(axis) for axis in spatial[:-1]]
    if not all(index.same_as(axis.var) for index, axis in zip(store.indices, spatial, strict=True)):
        return False

    def flat(*axes: tirx.Expr) -> list[tirx.Expr]:
        row = axes[0]
        for axis, size in zip(axes[1 : len(extents)], extents[1:], strict=True):
            row = row * size + axis
        return [row, *axes[len(extents) :]]

    sch.transform_layout(main, ("write", 0), _index_map(flat, len(spatial)))
    sch.transform_block_layout(main, _index_map(flat, len(block.iter_vars)))
    sch.transform_block_layout(out, _index_map(flat, len(spatial)))
    return True


def _index_map(function: Callable[..., list[tirx.Expr]], rank: int) -> tirx.IndexMap:
    return tirx.IndexMap.from_func(function, ndim=rank, index_dtype="int64")


def _fusable(block: s_tir.SBlock) -> bool:
    """Whether every access treats neighbouring row axes as one longer axis."""
    axes = facts.spatial_axes(block)[:-1]
    store = facts.store_of(block)
    if store is None:
        return False
    accesses = [(load.indices, load.source.shape) for load in facts.loads(block)]
    accesses.append((store.indices, store.buffer.shape))
    for indices, shape in accesses:
        steps = [facts.stride(indices, shape, axis) for axis in axes]
        for axis, step, inner, inner_step in zip(axes, steps, axes[1:], steps[1:], strict=False):
            if facts.extent(axis) > 1 and (inner_step is None or step != inner_step * facts.extent(inner)):
                return False
    return True


def _pack_weights(sch: Schedule, main: SBlockRV, tile: Tile, constants: Constants) -> dict[int, Packing]:
    """Let the columns of one tile lie together in constant operands."""
    block = sch.get(main)
    column = facts.spatial_axes(block)[-1]
    params = list(sch.mod["main"].params)
    packing: dict[int, Packing] = {}

    def panels(*at: tirx.Expr) -> list[tirx.Expr]:
        return [at[-1] // tile.columns, *at[:-1], at[-1] % tile.columns]

    if tile.columns in (1, facts.extent(column)):
        return packing
    for load in facts.loads(block):
        position = next((i for i, param in enumerate(params) if param.same_as(load.source)), None)
        if position is None or position not in constants or position in packing:
            continue
        if load.indices[-1].same_as(column.var) and int(load.source.shape[-1]) == facts.extent(column):
            region = next(i for i, read in enumerate(block.reads) if read.source.same_as(load.source))
            sch.transform_layout(main, ("read", region), _index_map(panels, len(load.indices)))
            packing[position] = Panels(tile.columns)
            block = sch.get(main)
            params = list(sch.mod["main"].params)
            column = facts.spatial_axes(block)[-1]
    return packing


def _weights_exceed_cache(block: s_tir.SBlock, machine: Machine) -> bool:
    """Whether the operand that all rows share is larger than half of the last cache level, and than the others."""
    axes = facts.spatial_axes(block)
    if not machine.cache_bytes or len(axes) < 2:
        return False
    shared, others = [0], [0]
    for load, step in zip(facts.loads(block), facts.reads_along(block, axes[-2]), strict=True):
        (shared if step == 0 else others).append(facts.buffer_bytes(load.source))
    return max(shared) > machine.cache_bytes[-1] // 2 and max(shared) > max(others)


def _place_producer(sch: Schedule, producer: SBlockRV, above: list[LoopRV], at_root: bool, machine: Machine) -> None:
    """Pad row by row where rows are the outer loop: a few rows of scratch instead of a second image."""
    if not at_root and len(above) >= 2:
        sch.compute_at(producer, above[-2], preserve_unit_loops=True)
    vectorize_last(sch, producer, machine)


def _row_bytes(sch: Schedule, producer: SBlockRV, reduced: list[facts.Axis]) -> int:
    """Bytes of the padded rows that one row of the output reads; with several threads they lie on the stack."""
    store = facts.store_of(sch.get(producer))
    if store is None or len(store.buffer.shape) < 3:
        return 0
    return facts.buffer_bytes(store.buffer) // int(store.buffer.shape[-3]) * facts.extent(reduced[0])


def _share_among_threads(sch: Schedule, order: list[LoopRV], block: s_tir.SBlock, machine: Machine) -> bool:
    """Run the outermost loop of more than one iteration on the thread pool, if the kernel is worth it."""
    operations = math.prod(facts.extent(axis) for axis in block.iter_vars)
    if not machine.recipe.parallel_operations or operations < machine.recipe.parallel_operations:
        return False
    loop = next((loop for loop in order if int(sch.get(loop).extent) > 1), None)
    if loop is not None:
        sch.parallel(loop)
    return loop is not None


def _finish_output(sch: Schedule, out: SBlockRV, tile: Tile, machine: Machine) -> None:
    loops = sch.get_loops(out)
    if tile.lanes > 1 and vector_lanes(sch.get(out), facts.spatial_axes(sch.get(out))[-1], machine) >= tile.lanes:
        vectors, lane = sch.split(loops[-1], [None, tile.lanes])
        sch.vectorize(lane)
        sch.unroll(vectors)
    else:
        sch.unroll(loops[-1])
    if tile.rows > 1:
        sch.unroll(loops[-2])
