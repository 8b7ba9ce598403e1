"""`edgetvm verify`: is a package what its model says?"""

from __future__ import annotations

import argparse

from edgetvm import api
from edgetvm.cli.arguments import Commands, add_command, add_data, add_package, positive
from edgetvm.cli.show import print_json, print_table, progress
from edgetvm.report.types import VerifyReport


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        common,
        "verify",
        "compare a package with its model",
        "Run a package and its model on the same samples. Exit status 0 within tolerance, 1 not.",
    )
    add_package(parser)
    parser.add_argument("--model", metavar="MODEL", help="the model to compare with (default: the one in the package)")
    add_data(parser, required=False)
    parser.add_argument(
        "--samples",
        metavar="N",
        type=positive,
        help="the first N samples of DATA (default: all), or N random ones (10)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Verify, print the errors, and answer with the status."""
    with progress("verify"):
        report = api.load(arguments.package).verify(
            model=arguments.model,
            data=arguments.data,
            samples=arguments.samples,
            board=arguments.board,
            preprocess=arguments.preprocess,
        )
    if arguments.json:
        print_json(report.to_json())
    else:
        _print(report)
    return 0 if report.passed else 1


def _print(report: VerifyReport) -> None:
    verdict = "passed" if report.passed else "FAILED"
    samples = "1 sample" if report.samples == 1 else f"{report.samples} samples"
    print_table(
        f"{verdict}: {samples}, {report.target} on {report.runner}",
        ("output", ">largest error", ">of its range", ">tolerance", ""),
        [
            (
                error.name,
                f"{error.max_abs:.3g}",
                f"{error.max_rel:.2e}",
                f"{error.tolerance:.0e}" if error.tolerance else "equal",
                "" if error.passed else "FAILED",
            )
            for error in report.outputs
        ],
    )
