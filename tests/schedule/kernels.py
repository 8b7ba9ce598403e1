"""Schedules kernels for any machine, compiles them for this one and calls them as C functions."""

from __future__ import annotations

import ctypes
import functools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tvm
from tvm import relax

from edgetvm.codegen.assemble import constant_operands
from edgetvm.codegen.lower import LoweredKernel, build, lower
from edgetvm.codegen.objects import runtime_sources
from edgetvm.codegen.program import Program, extract_program
from edgetvm.importers.types import ImportedModel
from edgetvm.passes.join_rows import Segment
from edgetvm.passes.pipeline import OptimizedModel, optimize, with_rows
from edgetvm.resources import runtime_dir
from edgetvm.schedule.apply import schedule_module
from edgetvm.schedule.recipe import Machine, machine_for
from edgetvm.schedule.types import ScheduledKernel, TileSize
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources, link_shared
from edgetvm.target.tvm_target import tvm_target

Emit = Callable[[tvm.ir.Expr], relax.Var]
Body = Callable[[list[relax.Var], Emit], tvm.ir.Expr]

# What differs between machines: vectors of 64 or 32 bytes, of 16, and none at all.
MACHINES = ("host", "cortex-a53", "cortex-m4")
GUARD = 64
ALIGN = 8
SENTINEL = 0xA5


@dataclass(frozen=True)
class Scheduled:
    """A small graph after fusion and scheduling."""

    program: Program
    kernels: dict[str, ScheduledKernel]

    @property
    def rules(self) -> list[str]:
        return [self.kernels[call.kernel].rule for call in self.program.calls]

    @property
    def only(self) -> ScheduledKernel:
        (kernel,) = self.kernels.values()
        return kernel


@functools.cache
def machine(name: str) -> Machine:
    return machine_for(load_target(name), "library")


def schedule(
    body: Body,
    inputs: Sequence[np.ndarray],
    target: str = "host",
    join: Sequence[Segment] = (),
    tile: TileSize | None = None,
) -> Scheduled:
    """Schedule what `body` makes of inputs like these for the machine of `target`, kernels of `join` joined."""
    return schedule_optimized(with_rows(optimized(body, inputs), join), target, tile)


def optimized(body: Body, inputs: Sequence[np.ndarray]) -> OptimizedModel:
    """The kernels of what `body` makes of inputs like these."""
    builder = relax.BlockBuilder()
    params = [relax.Var(f"x{i}", relax.TensorType(x.shape, str(x.dtype))) for i, x in enumerate(inputs)]
    with builder.function("main", params):
        with builder.dataflow():
            result = builder.emit_output(builder.emit(body(params, builder.emit)))
        builder.emit_func_output(result)
    return optimize(ImportedModel(builder.get(), (), (), "test"))


def schedule_optimized(model: OptimizedModel, target: str, tile: TileSize | None = None) -> Scheduled:
    """Schedule kernels for the machine of `target`, in a tile if there is one like it."""
    program = extract_program(model.module, model.sources)
    given = machine(target)
    fixed = given if tile is None else replace(given, tile=tile)
    return Scheduled(program, schedule_module(model.module, fixed, constant_operands(program)))


def run(scheduled: Scheduled, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """Call the kernels in order; nothing but their outputs may be written. Gives the one output."""
    program = scheduled.program
    lowered = {name: lower(name, kernel.func, _host()) for name, kernel in scheduled.kernels.items()}
    library = _link(list(lowered.values()))
    memory: dict[int, np.ndarray] = dict(zip(program.inputs, map(guarded, inputs), strict=True))
    for call in program.calls:
        sources = []
        for position, index in enumerate(call.inputs):
            value = program.values[index]
            if value.data is not None:
                packing = scheduled.kernels[call.kernel].packing.get(position)
                sources.append(guarded(value.data if packing is None else packing.pack(value.data)))
            else:
                sources.append(memory[program.root(index)])
        for index in call.outputs:
            value = program.values[index]
            memory[index] = guarded(np.zeros(value.shape, value.dtype))
        kernel = lowered[call.kernel]
        scratch = [guarded(np.zeros(size, np.uint8), 64) for size in kernel.workspaces]
        arrays = [*sources, *(memory[index] for index in call.outputs), *scratch]
        before = [array.copy() for array in sources]
        function = library[call.kernel]
        status = function(*(ctypes.c_void_p(array.ctypes.data) for array in arrays))
        assert not kernel.returns_status or status == 0
        assert all(map(guard_intact, arrays)), f"{call.kernel} wrote outside of its buffers"
        for array, old in zip(sources, before, strict=True):
            assert array.tobytes() == old.tobytes(), f"{call.kernel} wrote to an input"
    (output,) = program.outputs
    return memory[program.root(output)].reshape(program.values[output].shape)


def run_over(scheduled: Scheduled, x: np.ndarray) -> np.ndarray:
    """Call the only kernel with its output as far before the input as it must begin, over which it writes."""
    (call,), program = scheduled.program.calls, scheduled.program
    kernel = scheduled.only
    position = call.inputs.index(program.inputs[0])
    lead = -(-kernel.leads[position] // ALIGN) * ALIGN
    value = program.values[call.outputs[0]]
    memory = guarded(np.zeros(max(lead + x.nbytes, value.bytes), np.uint8), ALIGN)
    memory[lead : lead + x.nbytes] = x.reshape(-1).view(np.uint8)
    lowered = lower(call.kernel, kernel.func.with_attr("tirx.noalias", False), _host())
    sources = [
        memory[lead:] if data is None else guarded(data if packing is None else packing.pack(data))
        for data, packing in ((program.values[i].data, kernel.packing.get(n)) for n, i in enumerate(call.inputs))
    ]
    scratch = [guarded(np.zeros(size, np.uint8), 64) for size in lowered.workspaces]
    arrays = [*sources, memory, *scratch]
    _link([lowered])[call.kernel](*(ctypes.c_void_p(array.ctypes.data) for array in arrays))
    assert all(map(guard_intact, [memory, *scratch]))
    return memory[: value.bytes].view(value.dtype).reshape(value.shape)


def guarded(array: np.ndarray, align: int | None = None) -> np.ndarray:
    """A copy between two runs of sentinels; aligned to `align`, by default no better than its element needs."""
    block = np.full(array.nbytes + 2 * GUARD + 128, SENTINEL, np.uint8)
    start = GUARD + -(block.ctypes.data + GUARD) % 64 + (array.itemsize if align is None else 0)
    place = block[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    place[...] = array
    return place


def guard_intact(array: np.ndarray) -> bool:
    block = array
    while isinstance(block.base, np.ndarray):
        block = block.base
    start = array.ctypes.data - block.ctypes.data
    return bool((block[:start] == SENTINEL).all() and (block[start + array.nbytes :] == SENTINEL).all())


@functools.cache
def _host() -> tvm.target.Target:
    return tvm_target(load_target("host"))


@functools.cache
def _runtime() -> list[Path]:
    folder = Path(_folder().name)
    target = load_target("host")
    flags = ["-O1", "-DEDGETVM_THREADS"]
    return compile_sources(
        runtime_sources(target), folder, target, include_dirs=[runtime_dir() / "include"], flags=flags
    )


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="edgetvm-kernels-")


def _link(kernels: list[LoweredKernel]) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory(prefix="edgetvm-kernels-") as folder:
        obj = Path(folder) / "kernels.o"
        build(kernels, _host()).write_to_file(str(obj))
        pool = _runtime() if any(kernel.returns_status for kernel in kernels) else []
        return ctypes.CDLL(str(link_shared([obj, *pool], obj.with_suffix(".so"), load_target("host"))))


def assert_close(ours: np.ndarray, expected: np.ndarray, tolerance: float = 1e-5) -> None:
    """Within `tolerance` of the range of the expected values; integers exactly."""
    assert ours.shape == expected.shape
    if not np.issubdtype(ours.dtype, np.floating):
        np.testing.assert_array_equal(ours, expected)
        return
    scale = max(float(np.abs(expected).max(initial=0)), 1e-6)
    np.testing.assert_allclose(ours.astype(np.float64), expected, rtol=0, atol=tolerance * scale)
