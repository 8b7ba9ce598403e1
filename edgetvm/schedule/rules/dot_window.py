"""How the products of one output are grouped by four, and in which order a tile goes through them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.write_code import Code, Offset

GROUP = 4  # products that one instruction sums in a lane


@dataclass(frozen=True)
class Window:
    """`loops` are (iterations, step of x) around runs of `length` neighbouring products.

    `joined` axes of the weights before the last make a run. `shared` is how many pixels of `depth` a run spans
    where pixel p + 1 reads, one pixel further, what pixel p reads; 1 where loads are not shared.
    """

    loops: tuple[tuple[int, int], ...]
    length: int
    joined: int
    shared: int
    depth: int

    @property
    def groups(self) -> int:
        return -(-self.length // GROUP)

    @property
    def runs(self) -> int:
        product = 1
        for extent, _ in self.loops:
            product *= extent
        return product

    @property
    def panel_groups(self) -> int:
        """Groups of one panel of weights."""
        return self.runs * self.groups


@dataclass(frozen=True)
class Load:
    """`groups` groups that one load of activations brings: from byte `x` on, against weights from `w` on."""

    x: int
    w: int
    groups: int


def window_of(kernel: DotKernel, unit: int) -> Window:
    """The window of a kernel for loads of `unit` groups.

    Where neighbouring taps of a row are neighbours in memory, the row is one run: 3 taps of 3 channels are 9
    products, not 3 times 3.
    """
    (i, j), (step_i, step_j) = kernel.taps, kernel.steps
    if len(kernel.w.shape) == 2:
        return Window((), kernel.depth, 1, 1, kernel.depth)
    if j == 1 or step_j == kernel.depth:
        whole = unit > 1 and kernel.depth % (unit * GROUP) == 0
        next_pixel = kernel.x.rows[-1] == kernel.depth
        shared = j if whole and next_pixel else 1
        return Window(((i, step_i),), j * kernel.depth, 2, shared, kernel.depth)
    return Window(((i, step_i), (j, step_j)), kernel.depth, 1, 1, kernel.depth)


def loads_of(window: Window, unit: int, spare: bool, most: int) -> list[tuple[int, int, list[Load]]]:
    """The loops over a run: (iterations, groups that x and w move on in each, loads of one iteration).

    At most `most` groups are unrolled. `spare` tells that what lies behind a run may be read.
    """
    if window.shared > 1:
        per_pixel = window.depth // GROUP
        one = [Load(j * window.depth, j * per_pixel, unit) for j in range(window.shared)]
        return [(per_pixel // unit, unit, one)]
    whole, rest = divmod(window.groups, unit)
    plan: list[tuple[int, int, list[Load]]] = []
    limit = max(min(most, window.depth // GROUP) // unit, 1)
    if whole:
        count = max(d for d in range(1, min(whole, limit) + 1) if whole % d == 0)
        one = [Load(n * unit * GROUP, n * unit, unit) for n in range(count)]
        plan.append((whole // count, count * unit, one))
    at = whole * unit
    tail: list[Load] = []
    if rest and spare:
        tail.append(Load(at * GROUP, at, rest))
        rest = 0
    while rest:
        size = 1 << (rest.bit_length() - 1)
        tail.append(Load(at * GROUP, at, size))
        at, rest = at + size, rest - size
    return [*plan, (1, 0, tail)] if tail else plan


@contextmanager
def over_runs(code: Code, window: Window) -> Iterator[tuple[Offset, Offset]]:
    """Loops over the runs: the offset of x in elements and the number of the run."""
    with ExitStack() as loops:
        x: Offset = 0
        run: Offset = 0
        for name, (extent, step) in zip("ij", window.loops, strict=False):
            index = loops.enter_context(code.loop(name, extent))
            x, run = x + index * step, run * extent + index
        yield x, run
