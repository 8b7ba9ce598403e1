"""How commands print what a package takes of a board's memories and time."""

from __future__ import annotations

from edgetvm.cli.show import amount, print_table
from edgetvm.report.footprint import Footprint
from edgetvm.report.foresee import Foreseen
from edgetvm.report.region_use import RegionUse


def region_rows(footprint: Footprint) -> list[tuple[str, str]]:
    """One line for each region in use: bytes, the region's size, and the sections in it."""
    return [(f"  {use.region.name}", _use(use)) for use in footprint.regions if use.bytes]


def _use(use: RegionUse) -> str:
    sections = ", ".join(f"{name} {size:,}" for name, size in use.sections.items())
    return f"{amount(use.bytes, use.region.bytes)}: {sections}"


def foreseen_rows(foreseen: Foreseen) -> list[tuple[str, str]]:
    """Instructions, cycles and time, with where the figures come from."""
    rows = []
    if foreseen.instructions is not None:
        rows.append(("instructions", f"{foreseen.instructions:,}, counted on {foreseen.emulated}"))
    if foreseen.modelled_cycles is not None:
        rows.append(("cycles", f"{foreseen.modelled_cycles:,}, by the prices of the core's manual"))
    if foreseen.milliseconds is not None:
        rows.append(
            (
                "time",
                f"{foreseen.milliseconds:,.2f} ms of these cycles at {foreseen.clock_mhz:g} MHz if memory never waits",
            )
        )
    return rows


def print_arena(footprint: Footprint) -> None:
    """The arenas over time, a line a call."""
    sizes = [f"{arena.bytes:,} bytes{f' in {arena.region}' if arena.region else ''}" for arena in footprint.arenas]
    print_table(
        f"arena of {', arena of '.join(sizes)}: a line is a call, a letter a tensor or scratch, a dot free",
        (">call", "first byte to last", ">bytes", "kernel"),
        [(str(i), call.picture, f"{call.bytes:,}", call.kernel) for i, call in enumerate(footprint.calls)],
    )
