"""What the counting plugin wrote: instructions, and modelled cycles of a core that has prices for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from edgetvm.cost.cycles import block_cycles
from edgetvm.deploy.exchange import by_call
from edgetvm.deploy.measurement import Measurement, RunRequest
from edgetvm.deploy.package import Package
from edgetvm.target.instructions import REFILL, read_patterns
from edgetvm.target.types import Processor

COUNTS = "counts.txt"


@dataclass(frozen=True)
class Block:
    """Straight code of `bytes` and `instructions` that ran `times` times, `jumps` of them behind other code."""

    address: int
    bytes: int
    instructions: int
    times: int
    jumps: int


Segment = tuple[Block, ...]  # what ran between one pair of markers
Figure = Callable[[Segment], float]


def counted(
    measurement: Measurement, folder: Path, package: Package, request: RunRequest, program: Path, processor: Processor
) -> Measurement:
    """The measurement with what the plugin counted: of the first inference, or of each call of a profile."""
    segments = read_segments(folder / COUNTS)
    cycles = cycle_model(program, processor) if processor.cycles else None
    if request.profile:
        return replace(
            measurement,
            call_instructions=_of_calls(segments, package, instructions),
            call_cycles=_of_calls(segments, package, cycles) if cycles else None,
        )
    return replace(
        measurement,
        instructions=_of_first_inference(segments, instructions),
        cycles=_of_first_inference(segments, cycles) if cycles else None,
    )


def read_segments(path: Path) -> list[Segment]:
    """The file's segments; none if there is no file."""
    texts = path.read_text().split("\n\n")[:-1] if path.is_file() else []
    return [tuple(Block(*(int(word, 16) for word in line.split())) for line in text.splitlines()) for text in texts]


def instructions(segment: Segment) -> int:
    """How many instructions ran."""
    return sum(block.instructions * block.times for block in segment)


def cycle_model(program: Path, processor: Processor) -> Figure:
    """The function that tells the cycles of a segment of the ELF file ``program``, as ``processor`` prices them."""
    with program.open("rb") as file:
        sections = [
            (section["sh_addr"], section.data())
            for section in ELFFile(file).iter_sections()
            if section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR
        ]
    patterns, prices = read_patterns(processor.arch), dict(processor.cycles)

    @cache
    def price(address: int, size: int, loaded: int | None) -> tuple[float, int | None]:
        code = next(data[address - start :][:size] for start, data in sections if start <= address < start + len(data))
        return block_cycles(code, patterns, prices, loaded)

    def cycles(segment: Segment) -> float:
        # The emulator cuts straight code where it likes, too: what a block loads last counts for the one behind it.
        loads = {block.address + block.bytes: price(block.address, block.bytes, None)[1] for block in segment}
        total = 0.0
        for block in segment:
            behind, _ = price(block.address, block.bytes, loads.get(block.address))
            jumped_to, _ = price(block.address, block.bytes, None)
            total += behind * (block.times - block.jumps) + (jumped_to + prices[REFILL]) * block.jumps
        return total

    return cycles


def _of_first_inference(segments: Sequence[Segment], figure: Figure) -> int | None:
    """The figure of the first inference, less the markers' own."""
    return round(figure(segments[1]) - figure(segments[0])) if len(segments) > 1 else None


def _of_calls(segments: Sequence[Segment], package: Package, figure: Figure) -> tuple[int, ...] | None:
    """The figure of each kernel call of the one inference of a profile, less the taps' own.

    The markers are given by taps: first one with nothing before it, at the end those of the inference, then one
    after its last call.
    """
    taps = sum(len(call.outputs) for call in package.calls)
    if len(segments) < taps + 2:
        return None
    own = figure(segments[1])
    return by_call(package, [max(0, round(figure(segment) - own)) for segment in segments[-taps - 1 : -1]])
