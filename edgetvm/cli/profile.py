"""`edgetvm profile`: what does each kernel of a package take?"""

from __future__ import annotations

import argparse

from edgetvm import api
from edgetvm.cli.arguments import Commands, add_command, add_package, positive
from edgetvm.cli.show import print_json, print_table, progress
from edgetvm.report.profile import CallProfile, ProfileReport


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        common,
        "profile",
        "measure a package kernel by kernel",
        "Measure every kernel call of one inference: its time on a real machine, its instructions under an emulator.",
    )
    add_package(parser)
    parser.add_argument("--threads", metavar="N", type=positive, default=1, help="threads to use (default: 1)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    with progress("profile"):
        report = api.load(arguments.package).profile(threads=arguments.threads, board=arguments.board)
    if arguments.json:
        print_json(report.to_json())
    else:
        _print(report)
    return 0


def _print(report: ProfileReport) -> None:
    threads = "1 thread" if report.threads == 1 else f"{report.threads} threads"
    timed = any(call.latency_us_median is not None for call in report.calls)
    unit = "us" if timed else "instructions"
    cycles = report.total_cycles
    modelled = "" if cycles is None else f", {cycles:,} modelled cycles"
    print_table(
        f"{report.target} on {report.runner}, {threads}: {_figure(report.total, timed)} {unit}{modelled}",
        [f">{unit}", ">share", ">predicted", ">cycles", "rule", "kernel", "nodes"],
        [_row(call, report.total, timed) for call in report.calls],
    )


def _row(call: CallProfile, total: float | None, timed: bool) -> list[str]:
    share = "-" if call.cost is None or not total else f"{100 * call.cost / total:.1f} %"
    measured, predicted = _figure(call.cost, timed), _figure(call.predicted, timed)
    cycles = _figure(call.modelled_cycles, timed=False)
    return [measured, share, predicted, cycles, call.rule or "-", call.kernel, ", ".join(call.nodes)]


def _figure(value: float | None, timed: bool) -> str:
    return "-" if value is None else f"{value:,.2f}" if timed else f"{value:,.0f}"
