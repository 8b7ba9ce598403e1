"""`edgetvm fit`: which boards does a model fit on?"""

from __future__ import annotations

import argparse

from edgetvm import api
from edgetvm.cli.arguments import Commands, add_command, add_json, add_shape
from edgetvm.cli.show import print_json, print_table, progress
from edgetvm.report.fit import BoardFit


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        common,
        "fit",
        "list the boards that a model fits on",
        "Compile a model for the core of every board that ships, and list what each board has left.",
    )
    parser.add_argument("model", metavar="MODEL", help="an ONNX or .tflite file")
    add_shape(parser)
    parser.add_argument("--optimize", choices=api.OPTIMIZE, default="balanced", help="what to spend memory on")
    parser.add_argument("--integer-io", action="store_true", help="inputs and outputs as quantized integers")
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compile for every core and print what is left."""
    with progress("fit") as step:
        boards = api.fit(
            arguments.model,
            shapes=dict(arguments.shape),
            optimize=arguments.optimize,
            integer_io=arguments.integer_io,
            progress=step,
        )
    if arguments.json:
        print_json({"boards": [board.to_json() for board in boards]})
        return 0
    print_table(
        f"{arguments.model} fits on {sum(board.fits for board in boards)} of {len(boards)} boards, in bytes",
        ("board", "processor", "fits", ">flash left", ">RAM left", "regions"),
        [_row(board) for board in boards],
    )
    return 0


def _row(board: BoardFit) -> list[str]:
    margins = ["-" if margin is None else f"{margin:,}" for margin in map(board.margin, ("flash", "ram"))]
    regions = ", ".join(
        f"{use.region.name} {use.bytes:,} of {use.region.bytes:,}" for use in board.regions if use.bytes
    )
    return [board.board, board.processor, "yes" if board.fits else "no", *margins, board.reason or regions]
