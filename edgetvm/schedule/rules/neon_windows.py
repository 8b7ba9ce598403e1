"""Windows of short runs, copied so that each is one run: taps of a first layer fill vectors then."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from tvm import tirx

from edgetvm.schedule.recipe import Machine
from edgetvm.schedule.rules.dot_copy import fill_bytes
from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.dot_window import Window, window_of
from edgetvm.schedule.rules.neon_strip import SPARE, VECTOR, Strip, strip_of
from edgetvm.schedule.rules.write_code import Code, Offset, load, store


@dataclass(frozen=True, kw_only=True)
class WindowStrip(Strip):
    """A strip of which the windows of all pixels are copied again, each to `pitch` bytes.

    A run is one load and one store, of as much as the next run overwrites.
    """

    window: Window

    @property
    def pitch(self) -> int:
        return pitch_of(self.window)

    @property
    def cost(self) -> int:
        """Instructions that a pixel takes: its end, a load and a store for each run, and the loop."""
        return 2 * self.window.runs + 4

    @property
    def starts(self) -> list[int]:
        """Where the runs of a window begin, from its first element."""
        steps = ([n * step for n in range(extent)] for extent, step in self.window.loops)
        return [sum(each) for each in itertools.product(*steps)]

    def write(self, code: Code, image: tirx.Buffer, b: Offset, y0: Offset, height: int) -> tuple[tirx.Buffer, Offset]:
        rows, at = super().write(code, image, b, y0, height)
        pixels, (_, down, across) = self.kernel.extents[2], self.kernel.x.rows
        size, width = height * pixels * self.pitch, 1 << (self.window.length - 1).bit_length()
        windows = code.array("windows", size + SPARE, "int8", "global")
        fill_bytes(code, windows, size, 0, SPARE, VECTOR)
        with code.loop("y", height) as y, code.loop("z", pixels) as z:
            place, origin = (y * pixels + z) * self.pitch, at + y * down + z * across
            fill_bytes(code, windows, place + self.pitch - VECTOR, 0, VECTOR, VECTOR)
            for n, start in enumerate(self.starts):
                code.add(store(windows, place + n * self.window.length, load(rows, origin + start, width)))
        return windows, 0


def pitch_of(window: Window) -> int:
    """Bytes of a window as one run, in whole vectors."""
    return -(-window.runs * window.length // VECTOR) * VECTOR


def windows_of(kernel: DotKernel, machine: Machine, least: int) -> tuple[DotKernel, Window, WindowStrip] | None:
    """The kernel as it reads such windows, in at least so many strips; None where runs fill vectors."""
    window = window_of(kernel, 1)
    if window.runs == 1 or window.length > VECTOR:
        return None
    pitch, products = pitch_of(window), window.runs * window.length
    row = kernel.extents[2] * pitch
    strip = strip_of(kernel, machine, True, least, row)
    read = replace(kernel, taps=(1, 1), depth=products, steps=(0, 0), border=None)
    read = replace(read, x=replace(kernel.x, base=0, rows=(0, row, pitch)))
    joined = len(kernel.w.shape) - 1
    copied = WindowStrip(kernel, strip.height, True, window=window)
    return read, Window((), products, joined, 1, products), copied
