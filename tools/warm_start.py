"""How much sooner does a search end that begins with the records of a core of the same family?

    python tools/warm_start.py MODEL [--core cortex-a72] [--sibling cortex-a53] [--trials N]

Three runs of `edgetvm tune`, each to its end or to N trials: of the core from nothing (cold), of its sibling from
nothing, and of the core beside the sibling's records (warm). Says after how many trials the warm run was where the cold
one ended.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import edgetvm
from edgetvm.api.tune import TuneReport


def trials_to(report: TuneReport, cost: float) -> int | None:
    """After how many trials an inference cost no more than that; None if it never did."""
    return next((point.trials for point in report.curve if point.cost <= cost), None)


def main() -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--core", default="cortex-a72")
    parser.add_argument("--sibling", default="cortex-a53")
    parser.add_argument("--trials", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        alone, shared = Path(name) / "cold.sqlite", Path(name) / "warm.sqlite"
        runs = [("cold", options.core, alone), ("sibling", options.sibling, shared), ("warm", options.core, shared)]
        print("| run | core | trials | before | after | trials to the cold run's end | of the cold run's trials |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        cold: TuneReport | None = None
        for run, core, file in runs:
            report = edgetvm.tune(options.model, core, trials=options.trials, records=file)
            cold = cold or report
            reached = trials_to(report, cold.curve[-1].cost)
            share = "never" if reached is None else f"{100 * reached / cold.trials:.0f} %"
            cells = [run, core, report.trials, f"{report.before:,.6g}", f"{report.after:,.6g}", reached or "-", share]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
