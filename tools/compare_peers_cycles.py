"""Where the cycles of a package go on real cores, by a static model: what ran under QEMU, priced by llvm-mca.

    python tools/compare_peers_cycles.py PACKAGE [--cores cortex-a53,cortex-a72] [--kernels 5]

QEMU tells which blocks of instructions each kernel call ran and how often; llvm-mca tells how many cycles one trip
of such a block takes when it follows itself, as the body of a hot loop does. Loads always hit the first cache and
branches are foreseen: it ranks kernels and shows what their arithmetic waits for, and measures nothing. LLVM's
Cortex-A53 lets a chain of multiply-adds wait for the whole of each (10 cycles of fmla, 6 of smlal), where the core
itself forwards accumulators: kernels with few of them look worse than they are. Blocks under a thousandth of a
kernel's instructions, and those that llvm-mca cannot read, are counted at the mean price of the others.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgetvm.deploy.build import build_linux
from edgetvm.deploy.counting import counting_arguments
from edgetvm.deploy.counts import COUNTS, Segment, read_segments
from edgetvm.deploy.emulator import find_emulator
from edgetvm.deploy.exchange import write_request
from edgetvm.deploy.measurement import RunRequest
from edgetvm.deploy.read_package import read_package
from edgetvm.deploy.runners import choose_target
from edgetvm.report.bench import random_inputs

# llvm-mca's name for each core: a Cortex-A76 is a Neoverse N1, which LLVM 16 and newer describe.
CORES = {"cortex-a53": "cortex-a53", "cortex-a72": "cortex-a72", "cortex-a76": "neoverse-n1"}
FEATURES = "+neon,+fullfp16,+dotprod,+i8mm"
MARGINAL = 1e-3
TRIPS = 100
NEWEST, OLDEST = 24, 14

Block = tuple[int, int]  # address, instructions
Counts = dict[Block, int]

_INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S.*)$")
_PLACE = re.compile(r"(?:#?-?0x[0-9a-f]+|-?\d+)?\s*<[^>]*>|\b0x[0-9a-f]+$")
_LEADS = re.compile(r"(b|bl|b\.\w+|cbn?z|tbn?z|adrp?)\s")
_CYCLES = re.compile(r"Total Cycles:\s+(\d+)")


class Unavailable(Exception):
    """Why there is no model, in one line."""


@dataclass(frozen=True)
class Kernel:
    """One kernel with all its calls: instructions, cycles by core, and the share of instructions priced."""

    name: str
    rule: str
    instructions: int
    cycles: dict[str, float]
    covered: float


@cache
def llvm_tool(name: str) -> str:
    """The newest of the tool that is installed."""
    for candidate in (*(f"{name}-{version}" for version in range(NEWEST, OLDEST - 1, -1)), name):
        found = shutil.which(candidate)
        if found:
            return found
    raise Unavailable(f"{name} is not installed (Debian, Ubuntu: apt-get install llvm-19)")


def blocks_of_calls(folder: Path, program_dir: Path) -> tuple[Path, list[Counts]]:
    """Run a package once under QEMU: the program, and what each kernel call of it ran."""
    package = read_package(folder.resolve())
    target = choose_target(package, None)
    if target.processor.arch != "aarch64" or target.processor.qemu_cpu is None:
        raise Unavailable(f"{target.name} is not an aarch64 core that QEMU emulates")
    emulator = find_emulator("qemu-aarch64")
    write_request(program_dir, package, RunRequest(random_inputs(package), profile=True))
    program = build_linux(package, target, program_dir, "musl", header="profile_entry.h")
    counting = counting_arguments(emulator, program, 8)
    if not counting:
        raise Unavailable("QEMU was built without plugins")
    command = [emulator, "-cpu", target.processor.qemu_cpu, *counting, str(program)]
    subprocess.run(command, cwd=program_dir, check=True, capture_output=True, timeout=600)
    segments = [by_block(segment) for segment in read_segments(program_dir / COUNTS)]
    taps = [len(call.outputs) for call in package.calls]
    passed = iter(segments[-sum(taps) - 1 : -1])
    return program, [merged(next(passed) for _ in range(count)) for count in taps]


def by_block(segment: Segment) -> Counts:
    """How often each block ran."""
    return merged({(block.address, block.instructions): block.times} for block in segment)


def merged(counts: Iterable[Counts]) -> Counts:
    """Their sum."""
    total: Counts = {}
    for one in counts:
        for block, times in one.items():
            total[block] = total.get(block, 0) + times
    return total


def disassemble(program: Path) -> dict[int, str]:
    """Every instruction by its address."""
    command = [llvm_tool("llvm-objdump"), "-d", "--no-show-raw-insn", f"--mattr={FEATURES}", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = (_INSTRUCTION.match(line) for line in done.stdout.splitlines())
    return {int(match[1], 16): match[2].split("//")[0].strip() for match in found if match}


def price(block: Block, code: dict[int, str], core: str) -> float | None:
    """Cycles of one trip through a block, as llvm-mca sees it; None of what it cannot read."""
    address, size = block
    lines = [code.get(address + 4 * i) for i in range(size)]
    if None in lines:
        return None
    # Where a branch or an adrp leads does not matter, and the assembler wants a name.
    body = [_PLACE.sub("here", line) if _LEADS.match(line or "") else line for line in lines]
    text = "\n".join(["here:", *map(str, body), ""])
    command = [llvm_tool("llvm-mca"), "-mtriple=aarch64", f"-mcpu={CORES[core]}", f"-mattr={FEATURES}"]
    command += [f"-iterations={TRIPS}", "-instruction-info=false", "-resource-pressure=false"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    match = _CYCLES.search(done.stdout)
    return int(match[1]) / TRIPS if done.returncode == 0 and match else None


def kernels_of(folder: Path, cores: Sequence[str]) -> list[Kernel]:
    """Every kernel of a package with its cycles, the most expensive first."""
    package = read_package(folder.resolve())
    manifest = json.loads((folder / "manifest.json").read_text())
    rules = {kernel["name"]: kernel["rule"] for kernel in manifest["kernels"]}
    with tempfile.TemporaryDirectory(prefix="edgetvm-cycles-") as work:
        program, counts = blocks_of_calls(folder, Path(work))
        code = disassemble(program)
    by_kernel: dict[str, Counts] = {}
    for call, ran in zip(package.calls, counts, strict=True):
        by_kernel[call.kernel] = merged([by_kernel.get(call.kernel, {}), ran])
    prices: dict[tuple[Block, str], float | None] = {}
    kernels = []
    for name, ran in by_kernel.items():
        total = sum(size * times for (_, size), times in ran.items())
        hot = [block for block, times in ran.items() if block[1] * times >= MARGINAL * total]
        cycles, least = {}, 1.0
        for core in cores:
            for block in hot:
                if (block, core) not in prices:
                    prices[block, core] = price(block, code, core)
            priced = {block: each for block in hot if (each := prices[block, core]) is not None}
            covered = sum(block[1] * ran[block] for block in priced)
            known = sum(ran[block] * each for block, each in priced.items())
            cycles[core] = known * total / covered if covered else float("nan")
            least = min(least, covered / total)
        kernels.append(Kernel(name, rules.get(name, "-"), total, cycles, least))
    return sorted(kernels, key=lambda kernel: -kernel.cycles[cores[0]])


def rows(kernels: Sequence[Kernel], cores: Sequence[str], count: int) -> list[list[str]]:
    """The cells of the hottest kernels and of all together, under `heads`."""
    totals = {core: sum(kernel.cycles[core] for kernel in kernels) for core in cores}
    everything = sum(kernel.instructions for kernel in kernels)
    least = min(kernel.covered for kernel in kernels[:count])
    whole = Kernel(f"all {len(kernels)}", "", everything, totals, least)
    return [
        [
            kernel.name,
            kernel.rule,
            f"{kernel.instructions:,}",
            *(
                f"{kernel.cycles[core]:,.0f}, {kernel.cycles[core] / totals[core]:.0%}, "
                f"{kernel.instructions / kernel.cycles[core]:.2f}"
                for core in cores
            ),
            f"{kernel.covered:.0%}",
        ]
        for kernel in (*kernels[:count], whole)
    ]


def heads(cores: Sequence[str]) -> list[str]:
    """The names of the columns of `rows`."""
    priced = [f"{core}: cycles, share, instructions a cycle" for core in cores]
    return ["kernel", "rule", "instructions", *priced, "priced"]


def print_table(columns: Sequence[str], cells: Iterable[Sequence[str]]) -> None:
    """A Markdown table."""
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for row in cells:
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--cores", default=",".join(CORES))
    parser.add_argument("--kernels", type=int, default=5, help="how many to show")
    given = parser.parse_args()
    cores = given.cores.split(",")
    for core in cores:
        if core not in CORES:
            parser.error(f"{core}: choose from {', '.join(CORES)}")
    try:
        found = kernels_of(given.package, cores)
        print(f"Modelled cycles by {Path(llvm_tool('llvm-mca')).name}.\n")
        print_table(heads(cores), rows(found, cores, given.kernels))
    except Unavailable as error:
        raise SystemExit(f"compare_peers_cycles: {error}") from error


if __name__ == "__main__":
    main()
