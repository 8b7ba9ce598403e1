"""Our packages on emulated Cortex-A cores against peers, in instructions, and where their cycles go.

    python tools/compare_peers_arm.py [--models ic01,kws01] [--quantized DIR] [--samples 2] [--no-cycles]

Instructions of one inference on one thread repeat exactly, however busy this machine is. The peers' are those of
compare_peers_arm.toml. Every package is verified under the emulator first. The second part takes the hottest kernels
of each package and asks llvm-mca what their hot loops take on Cortex-A53, A72 and A76: compare_peers_cycles.py.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import tomllib
from pathlib import Path

import compare_peers_cycles
from compare_peers_models import prepare

import edgetvm

PEERS = Path(__file__).with_suffix(".toml")
CORES = {"cortex-a53": ("cortex-a53", "cortex-a72"), "cortex-a76": ("cortex-a76",)}  # that run a target's package
PRICED, HOTTEST = ("float", "int8"), 3
ENGINES = {"float": ("ours",), "int8": ("ours-int8", "ours-tflite")}


def measure(package: edgetvm.Package, samples: int) -> int | str:
    """Instructions of one inference, or why there are none."""
    try:
        if not package.verify(samples=samples).passed:
            return "it is wrong: edgetvm verify fails"
        return package.bench().instructions or "the emulator has no plugins to count with"
    except edgetvm.EdgeTVMError as error:
        return error.message


def print_table(peer: dict[str, object], figures: dict[tuple[str, str], int | str], models: list[str]) -> None:
    """Ours against one peer."""
    theirs = peer["instructions"]
    assert isinstance(theirs, dict)
    engines = ENGINES[str(peer["precision"])]
    name = str(peer["name"])
    print(f"\n### {peer['precision']}, {peer['processor']}: instructions of one inference, one thread\n")
    heads = [*engines, name, *(f"{engine} / {name}" for engine in engines)]
    print(f"| model | {' | '.join(heads)} |\n|{' --- |' * (1 + len(heads))}")
    ratios: dict[str, list[float]] = {engine: [] for engine in engines}
    for model in models:
        if model not in theirs:
            continue
        cells, shares = [], []
        for engine in engines:
            ours = figures.get((model, engine))
            if isinstance(ours, int):
                ratios[engine].append(ours / theirs[model])
            cells.append(f"{ours:,}" if isinstance(ours, int) else "-")
            shares.append(f"{ratios[engine][-1]:.2f}" if isinstance(ours, int) else "-")
        print(f"| {model} | {' | '.join([*cells, f'{theirs[model]:,}', *shares])} |")
    means = [math.exp(statistics.fmean(map(math.log, r))) if (r := ratios[engine]) else None for engine in engines]
    cells = ["-" if mean is None else f"{mean:.2f}" for mean in means]
    print(f"| geometric mean | {' | '.join([''] * (1 + len(engines)) + cells)} |", flush=True)


def print_cycles(target: str, models: list[str], folder: Path) -> list[str]:
    """Where the cycles of our packages go; gives the reasons for what is missing."""
    cores, cells, reasons = CORES[target], [], []
    for model in models:
        for kind in PRICED:
            path = folder / model / kind
            if not path.is_dir():
                continue  # told already
            print(f"{model}: pricing {kind} on {target}", file=sys.stderr, flush=True)
            try:
                found = compare_peers_cycles.kernels_of(path, cores)
            except (compare_peers_cycles.Unavailable, edgetvm.EdgeTVMError, OSError, ValueError) as error:
                reasons.append(f"{target}, {model}, {kind}, cycles: {error}")
                continue
            cells += [[model, kind, *row] for row in compare_peers_cycles.rows(found, cores, HOTTEST)]
    if cells:
        mca = Path(compare_peers_cycles.llvm_tool("llvm-mca")).name
        print(f"\n### The hottest kernels of the packages for {target}: modelled cycles by {mca}\n")
        compare_peers_cycles.print_table(["model", "package", *compare_peers_cycles.heads(cores)], cells)
    return reasons


def main() -> None:
    """Print Markdown."""
    peers = tomllib.loads(PEERS.read_text())
    known = list(dict.fromkeys(model for peer in peers["peer"] for model in peer["instructions"]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(known))
    parser.add_argument("--quantized", type=Path, help="a folder of NAME.onnx as edgetvm.quantize writes them")
    parser.add_argument("--no-cycles", action="store_true")
    parser.add_argument("--samples", type=int, default=2, help="to verify each package on")
    given = parser.parse_args()
    models = given.models.split(",")
    for model in models:
        if model not in known:
            parser.error(f"{model}: choose from {', '.join(known)}")
    print(f"Figures of the peers: {peers['source']}.")
    reasons = []
    with tempfile.TemporaryDirectory(prefix="edgetvm-peers-") as folder:
        for target in dict.fromkeys(peer["target"] for peer in peers["peer"]):
            wanted = [peer for peer in peers["peer"] if peer["target"] == target]
            engines = [engine for peer in wanted for engine in ENGINES[peer["precision"]]]
            figures: dict[tuple[str, str], int | str] = {}
            for model in models:
                files, missing = prepare(model, engines, Path(folder) / target, given.quantized, target)
                reasons += [f"{target}, {model}, {engine}: {reason}" for engine, reason in missing.items()]
                for engine, path in files.items():
                    print(f"{model}: running {engine} on {target}", file=sys.stderr, flush=True)
                    found = figures[model, engine] = measure(edgetvm.load(path), given.samples)
                    if isinstance(found, str):
                        reasons.append(f"{target}, {model}, {engine}: {found}")
            for peer in wanted:
                print_table(peer, figures, models)
            if not given.no_cycles:
                reasons += print_cycles(target, models, Path(folder) / target)
    if reasons:
        print("\nNot measured:\n")
        for reason in reasons:
            print(f"- {reason}")


if __name__ == "__main__":
    main()
