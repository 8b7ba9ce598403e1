"""`edgetvm evaluate`: how right is a package on labelled data?"""

from __future__ import annotations

import argparse

from edgetvm import api
from edgetvm.cli.arguments import Commands, add_command, add_data, add_package, positive
from edgetvm.cli.show import print_json, progress
from edgetvm.report.evaluate import METRICS


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        common,
        "evaluate",
        "score a package on labelled data",
        "Run a package on all of the data and score its answers.",
    )
    add_package(parser)
    add_data(parser, required=True)
    parser.add_argument("--metric", choices=METRICS, default="top1", help="what to compute (default: top1)")
    parser.add_argument(
        "--window",
        metavar="W",
        type=positive,
        help="a sample [T, F] is the mean of its T-W+1 windows of W rows",
    )
    parser.add_argument("--output", metavar="NAME", help="the output to score (default: the first)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print."""
    with progress("evaluate"):
        report = api.load(arguments.package).evaluate(
            arguments.data,
            metric=arguments.metric,
            window=arguments.window,
            output=arguments.output,
            board=arguments.board,
            preprocess=arguments.preprocess,
        )
    if arguments.json:
        print_json(report.to_json())
    else:
        print(f"{report.metric} {report.value:.4f} over {report.samples} samples")
    return 0
