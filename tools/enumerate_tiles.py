"""How good is the tile that a rule's closed form picks? Compile a layer in every tile and count what each executes.

    python tools/enumerate_tiles.py [--targets cortex-a53,cortex-a76] [--layers int8_conv,...] [--every 1] [--points]

Kernels run once under qemu-user, whose counts repeat exactly. One row a layer and target: how many tiles the rule had,
the rank of the one it chose and its instructions against the best; Spearman's correlation of predicted and counted
instructions; the same of modelled cycles where the core has prices.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tvm
from tvm import relax, tirx

from edgetvm.codegen.assemble import constant_operands
from edgetvm.codegen.lower import buffer_bytes, build, lower
from edgetvm.codegen.processes import share_out
from edgetvm.codegen.program import extract_program
from edgetvm.deploy.counting import counting_arguments
from edgetvm.deploy.counts import COUNTS, cycle_model, instructions, read_segments
from edgetvm.deploy.emulator import find_emulator
from edgetvm.importers.types import ImportedModel
from edgetvm.operators.convolve import convolve
from edgetvm.operators.requantize import requantize
from edgetvm.passes.pipeline import optimize
from edgetvm.resources import runtime_dir
from edgetvm.schedule.apply import schedule_kernel
from edgetvm.schedule.recipe import machine_for
from edgetvm.schedule.types import Constants, TileSize
from edgetvm.target.load import load_target
from edgetvm.target.toolchain import compile_sources, link_program
from edgetvm.target.tvm_target import tvm_target

Body = Callable[[relax.BlockBuilder, relax.Var], tvm.ir.Expr]


@dataclass(frozen=True)
class Layer:
    """A convolution of NHWC activations `x` by `kernel` x `kernel` taps, or without a kernel a product of rows."""

    dtype: str
    x: tuple[int, ...]
    outputs: int
    kernel: int = 0
    stride: int = 1
    groups: int = 1


LAYERS = {
    "int8_conv": Layer("int8", (1, 16, 16, 32), 32, kernel=3),
    "int8_pointwise": Layer("int8", (1, 14, 14, 96), 64, kernel=1),
    "int8_dense": Layer("int8", (1, 640), 128),
    "int8_depthwise": Layer("int8", (1, 14, 14, 64), 64, kernel=3, groups=64),
    "int8_depthwise_narrow": Layer("int8", (1, 25, 5, 64), 64, kernel=3, groups=64),
    "float_conv": Layer("float32", (1, 16, 16, 32), 64, kernel=3, stride=2),
    "float_pointwise": Layer("float32", (1, 14, 14, 96), 64, kernel=1),
    "float_depthwise": Layer("float32", (1, 28, 28, 32), 32, kernel=3, groups=32),
}


@dataclass(frozen=True)
class Point:
    """A tile, what its rule expected of it, and what ran."""

    tile: TileSize
    predicted: float
    instructions: int
    cycles: float | None


@dataclass(frozen=True)
class Enumeration:
    """The tiles of a layer, and the one that the rule picked."""

    rule: str
    chosen: Point
    points: Sequence[Point]

    @property
    def rank(self) -> int:
        """1 for the fewest instructions."""
        return 1 + sum(point.instructions < self.chosen.instructions for point in self.points)

    @property
    def ratio(self) -> float:
        """Instructions of the chosen tile by those of the best."""
        return self.chosen.instructions / min(point.instructions for point in self.points)

    @property
    def correlation(self) -> float:
        """Spearman's, of what was predicted and counted."""
        return spearman([p.predicted for p in self.points], [p.instructions for p in self.points])

    @property
    def cycle_ratio(self) -> float | None:
        """Modelled cycles of the chosen tile by those of the best."""
        cycles = [point.cycles for point in self.points if point.cycles is not None]
        return self.chosen.cycles / min(cycles) if self.chosen.cycles is not None else None


def enumerate_tiles(layer: Layer, target_name: str, every: int = 1) -> Enumeration:
    """Count each tile of a layer's rule, or one in `every` and the chosen one."""
    target = load_target(target_name)
    machine = machine_for(target, "library")
    machine = replace(machine, recipe=replace(machine.recipe, parallel_operations=0))
    func, constants = function_of(layer)
    untouched = schedule_kernel(func, machine, constants)
    if not untouched.tiles:
        raise ValueError(f"{untouched.rule} does not choose among tiles")
    best = min(untouched.tiles, key=untouched.tiles.__getitem__)
    tiles = list(dict.fromkeys([best, *list(untouched.tiles)[::every]]))
    compiler = tvm_target(target)
    with tempfile.TemporaryDirectory(prefix="edgetvm-tiles-") as name:
        work = Path(name)

        def compile_tile(number: int) -> None:
            scheduled = schedule_kernel(func, replace(machine, tile=tiles[number]), constants)
            kernel = lower(f"kernel_{number}", scheduled.func, compiler)
            build([kernel], compiler).write_to_file(str(work / f"{number}.o"))
            sizes = [buffer_bytes(param) for param in scheduled.func.params] + list(kernel.workspaces)
            (work / f"{number}.sizes").write_text(" ".join(map(str, sizes)))

        share_out(len(tiles), compile_tile)
        sizes = [[int(size) for size in (work / f"{n}.sizes").read_text().split()] for n in range(len(tiles))]
        (work / "calls.c").write_text(calls(sizes))
        harness = runtime_dir() / "harness"
        glue = compile_sources(
            [work / "calls.c", harness / "mark.c"], work, target, include_dirs=[harness], libc="musl"
        )
        objects = [work / f"{number}.o" for number in range(len(tiles))]
        program = link_program([*glue, *objects], work / "program", target, libc="musl")
        emulator = find_emulator(f"qemu-{target.processor.arch}")
        counting = counting_arguments(emulator, program, 8 if target.processor.arch == "aarch64" else 4)
        command = [emulator, "-cpu", str(target.processor.qemu_cpu), *counting]
        subprocess.run([*command, str(program)], cwd=work, check=True, timeout=600)
        own, *segments = read_segments(work / COUNTS)
        cycles = cycle_model(program, target.processor) if target.processor.cycles else None
        points = [
            Point(
                tile,
                untouched.tiles[tile],
                instructions(segment) - instructions(own),
                cycles(segment) - cycles(own) if cycles else None,
            )
            for tile, segment in zip(tiles, segments, strict=True)
        ]
    return Enumeration(untouched.rule, points[0], points)


def function_of(layer: Layer) -> tuple[tirx.PrimFunc, Constants]:
    """The one kernel of a layer with bias and ReLU, as the rules see it, with its constants."""
    builder, x = relax.BlockBuilder(), relax.Var("x", relax.TensorType(layer.x, layer.dtype))
    with builder.function("main", [x]):
        with builder.dataflow():
            result = builder.emit_output(_body(layer, builder, x))
        builder.emit_func_output(result)
    optimized = optimize(ImportedModel(builder.get(), (), (), "layer"))
    program = extract_program(optimized.module, optimized.sources)
    (call,) = program.calls
    return optimized.module[call.kernel], constant_operands(program)[call.kernel]


def _body(layer: Layer, builder: relax.BlockBuilder, x: relax.Var) -> tvm.ir.Expr:
    rng = np.random.default_rng(0)
    taps = (layer.kernel, layer.kernel) if layer.kernel else ()
    shape, pad = (*taps, layer.x[-1] // layer.groups, layer.outputs), layer.kernel // 2
    settings = {"strides": (layer.stride, layer.stride), "padding": (pad, pad, pad, pad), "groups": layer.groups}
    if layer.dtype == "float32":
        w = relax.const(rng.standard_normal(shape).astype("float32"))
        layout = {"data_layout": "NHWC", "kernel_layout": "HWIO"}
        sums = relax.op.nn.conv2d(x, w, **settings, **layout) if taps else relax.op.matmul(x, w)
        bias = relax.const(rng.standard_normal(layer.outputs).astype("float32"))
        return relax.op.nn.relu(builder.emit(relax.op.add(builder.emit(sums), bias)))
    # As a quantizer gives them: few are large, so that several products fit 16 bits.
    w = relax.const(np.clip(np.rint(rng.normal(0, 40, shape)), -127, 127).astype("int8"))
    whole = convolve(x, w, **settings, dilation=(1, 1), pad_value=0, dtype="int32")
    sums = whole if taps else relax.op.matmul(x, w, out_dtype="int32")
    along = [1] * (len(layer.x) - 1) + [layer.outputs]
    bias = relax.const(rng.integers(-5000, 5000, along).astype("int32"))
    multiplier = relax.const(rng.integers(1 << 29, 1 << 31, along).astype("int32"))
    shift = relax.const(np.full([1] * len(along), 40, "int32"))
    total = builder.emit(relax.op.add(builder.emit(sums), bias))
    return requantize(total, multiplier, shift, zero_point=-5, low=-5, high=127, dtype="int8")


def calls(sizes: Sequence[Sequence[int]]) -> str:
    """A program that calls kernels one after another, each between markers, on zeros of these bytes."""
    most = [max(column) + 64 for column in zip(*(row + [0] * (16 - len(row)) for row in map(list, sizes)), strict=True)]
    lines = ["#include <stddef.h>", '#include "mark.h"']
    lines += [f"static _Alignas(64) unsigned char m{i}[{size}];" for i, size in enumerate(most) if size > 64]
    names = [", ".join(f"m{i}" for i in range(len(row))) for row in sizes]
    lines += [f"void kernel_{n}({', '.join(['void *'] * len(row))});" for n, row in enumerate(sizes)]
    body = ["markers.begin();", "markers.end();"]
    for number, given in enumerate(names):
        body += ["markers.begin();", f"kernel_{number}({given});", "markers.end();"]
    return "\n".join([*lines, "int main(void) {", *body, "return 0;", "}", ""])


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """The correlation of ranks; equal values share theirs."""

    def ranks(values: Sequence[float]) -> np.ndarray:
        array = np.asarray(values, float)
        return np.asarray([(array < v).sum() + ((array == v).sum() - 1) / 2 for v in array])

    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", default="cortex-a53,cortex-a76")
    parser.add_argument("--layers", default=",".join(LAYERS))
    parser.add_argument("--every", type=int, default=1, help="one tile in so many")
    parser.add_argument("--points", action="store_true", help="print every tile")
    arguments = parser.parse_args()
    print("| layer | target | rule | tiles | chosen | rank | chosen / best | correlation | cycles / best |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in arguments.layers.split(","):
        for target in arguments.targets.split(","):
            found = enumerate_tiles(LAYERS[name], target, arguments.every)
            tile, cycles = found.chosen.tile, found.cycle_ratio
            size = f"{tile.pixels} x {tile.columns}{' by eight' * tile.by_eight}"
            cells = [name, target, found.rule, len(found.points), size, found.rank, f"{found.ratio:.2f}"]
            cells += [f"{found.correlation:.2f}", "-" if cycles is None else f"{cycles:.2f}"]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
            for point in sorted(found.points, key=lambda p: p.instructions) if arguments.points else ():
                print(f"    {point}")


if __name__ == "__main__":
    main()
