"""`edgetvm export`: a package of C sources for another build system."""

from __future__ import annotations

import argparse

from edgetvm import api
from edgetvm.cli.arguments import Commands, add_command


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        common,
        "export",
        "write a package for another build system",
        "Write a package of C sources as a Zephyr module, an Arduino library or a CMSIS-Pack.",
    )
    parser.add_argument("package", metavar="DIR", help="the folder that compile --format c wrote")
    parser.add_argument("--as", dest="system", choices=api.SYSTEMS, required=True, help="which build system")
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="the folder to write; must not exist yet")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Export and say where to."""
    api.load(arguments.package).export(arguments.system, arguments.output)
    print(f"written to {arguments.output}")
    return 0
