"""`edgetvm tune`: better decisions about a model's kernels, found by measuring."""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TextIO

from edgetvm import api
from edgetvm.api.tune import cost_text, gain_text
from edgetvm.cli.arguments import Commands, add_command, add_json, add_shape, positive
from edgetvm.cli.show import print_json, print_table
from edgetvm.cli.show_tuning import live_tuning
from edgetvm.errors import OutputError


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        common,
        "tune",
        "search for faster kernels of a model",
        "Build the kernels of a model in other ways than the rules choose, measure them on this machine, on an "
        "emulator of the target or on the board itself, and record what is found for compile.",
    )
    parser.add_argument("model", metavar="MODEL", help="an ONNX or .tflite file, as it will be compiled")
    parser.add_argument(
        "--target", metavar="T", required=True, help="a board, a processor, or the path of a TOML file of your own"
    )
    parser.add_argument(
        "--board",
        metavar="B",
        help="measure on board B, which has the target's core; B@PORT: on the board itself, at a serial port",
    )
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--minutes", metavar="M", type=minutes, help="stop after so many minutes")
    limit.add_argument(
        "--trials", metavar="N", type=positive, help="stop after so many candidates, recorded ones included"
    )
    parser.add_argument(
        "--objective", choices=api.OBJECTIVES, default="latency", help="what the kernels should take little of"
    )
    parser.add_argument(
        "--optimize", choices=api.OPTIMIZE, default="balanced", help="the mode of compile that the records are for"
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        type=positive,
        default=1,
        help="of the kernels, on this machine (default: 1); records are for compile --threads N",
    )
    parser.add_argument(
        "--records", metavar="FILE", default=api.DEFAULT_RECORDS, help="where to record (default: %(default)s)"
    )
    add_shape(parser)
    parser.add_argument("--integer-io", action="store_true", help="inputs and outputs as quantized integers")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="decides about what is left to chance")
    parser.add_argument("--log", metavar="FILE", help="write what happens, a line each (default: to stderr)")
    add_json(parser)
    parser.set_defaults(run=run)


def minutes(text: str) -> float:
    """A number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of minutes above 0")
    return number


def run(arguments: argparse.Namespace) -> int:
    """Tune and say what was found."""
    with live_tuning() as watch, _log(arguments.log) as log:  # a view takes stderr over
        try:
            report = api.tune(
                arguments.model,
                arguments.target,
                board=arguments.board,
                minutes=arguments.minutes,
                trials=arguments.trials,
                objective=arguments.objective,
                optimize=arguments.optimize,
                threads=arguments.threads,
                records=arguments.records,
                shapes=dict(arguments.shape),
                integer_io=arguments.integer_io,
                seed=arguments.seed,
                log=lambda line: print(line, file=log, flush=True),
                watch=watch,
            )
        except KeyboardInterrupt as stop:
            on = f"{arguments.records} has what was measured, the same command goes on from there"
            raise KeyboardInterrupt(on) from stop
    if arguments.json:
        print_json(report.to_json())
        return 0
    print_table(
        f"{report.trials} trials for {report.target}, recorded in {report.records}: "
        f"{gain_text(report.before, report.after, report.unit)}",
        ("kernel", "rule", ">calls", f">{report.unit} a call", ">best", ">ratio", "decision"),
        [
            (
                task.kernel,
                task.rule,
                str(task.calls),
                cost_text(task.before),
                cost_text(task.after),
                f"{task.after / task.before:.3f}",
                ", ".join(f"{name} {value}" for name, value in task.decision.items()),
            )
            for task in report.tasks
        ],
    )
    return 0


def _log(path: str | None) -> AbstractContextManager[TextIO]:
    """Where lines go. Raises OutputError for a file that cannot be opened."""
    if path is None:
        return nullcontext(sys.stderr)
    try:
        return Path(path).open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"log {path} cannot be opened: {error.strerror}") from error
