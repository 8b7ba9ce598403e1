"""`edgetvm bench`: how fast is a package, and how much does it occupy?"""

from __future__ import annotations

import argparse

from edgetvm import api
from edgetvm.cli.arguments import Commands, add_command, add_package, positive
from edgetvm.cli.show import amount, print_figures, print_json, progress
from edgetvm.report.types import BenchReport


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        common,
        "bench",
        "measure a package",
        "Measure one inference: its time on a real machine, its instructions under an emulator.",
    )
    add_package(parser)
    parser.add_argument(
        "--runs", metavar="N", type=positive, help="time N inferences (default: about a second of them)"
    )
    parser.add_argument("--threads", metavar="N", type=positive, default=1, help="threads to use (default: 1)")
    parser.add_argument("--bound", action="store_true", help="keep each thread on a core of its own, the fastest ones")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    with progress("bench"):
        package = api.load(arguments.package)
        report = package.bench(
            runs=arguments.runs, threads=arguments.threads, bound=arguments.bound, board=arguments.board
        )
    if arguments.json:
        print_json(report.to_json())
    else:
        _print(report)
    return 0


def _print(report: BenchReport) -> None:
    threads = "1 thread" if report.threads == 1 else f"{report.threads} threads"
    print_figures(
        f"{report.target} on {report.runner}, {threads}",
        [
            ("latency, median", _time(report.latency_us_median)),
            ("latency, least", _time(report.latency_us_min)),
            ("instructions", _count(report.instructions)),
            ("modelled cycles", _count(report.modelled_cycles)),
            ("flash", amount(report.flash_bytes)),
            ("RAM", amount(report.ram_bytes)),
            ("arena", amount(report.arena_bytes)),
            ("stack", amount(report.stack_bytes)),
        ],
    )


def _time(microseconds: float | None) -> str:
    return "-" if microseconds is None else f"{microseconds:,.1f} us"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
