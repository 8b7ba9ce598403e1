"""`edgetvm verify`: is a package what its model says?"""

from __future__ import annotations

import argparse

from edgetvm import api
from edgetvm.cli.arguments import Commands, add_command, add_data, add_package, positive
from edgetvm.cli.show import print_json, print_table, progress
from edgetvm.report.types import OutputError, VerifyReport


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
    parser.add_argument(
        "--per-layer", action="store_true", help="of an integer package, list what differs kernel by kernel"
    )
    parser.add_argument(
        "--canary",
        action="store_true",
        help="look at the memory after every kernel call: none may write outside its output and its scratch",
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
            canary=arguments.canary,
        )
    if arguments.json:
        print_json(report.to_json())
    else:
        _print(report)
        _print_kernels(report, arguments.per_layer)
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
                _tolerance(error, report),
                "" if error.passed or report.integer_mismatches is not None else "FAILED",
            )
            for error in report.outputs
        ],
    )


def _tolerance(error: OutputError, report: VerifyReport) -> str:
    if report.integer_mismatches is not None:
        return "-"  # quantized: how far it is from float is told, not judged
    return f"{error.tolerance:.0e}" if error.tolerance else "equal"


def _print_kernels(report: VerifyReport, every: bool) -> None:
    """What of an integer package differs from the interpreter: each kernel, or the first that does."""
    if report.integer_mismatches is None:
        return
    judged = [kernel for kernel in report.kernels if kernel.wrong is not None]
    wrong = [kernel for kernel in judged if kernel.wrong]
    compared = f"{len(judged)} of {len(report.kernels)} compared"
    title = f"integer kernels: {compared}, {report.integer_mismatches} values differ"
    rows = report.kernels if every else wrong[:1]
    if not rows:
        print(title)
        return
    print_table(
        title,
        ("kernel", "computes", ">values that differ"),
        [(k.kernel, ", ".join(k.nodes), "float" if k.wrong is None else str(k.wrong)) for k in rows],
    )
