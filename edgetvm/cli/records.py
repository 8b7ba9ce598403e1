"""`edgetvm records`: what tuning recorded."""

from __future__ import annotations

import argparse

from edgetvm import api
from edgetvm.cli.arguments import Commands, add_command
from edgetvm.cli.show import print_table

ACTIONS = ("list", "merge", "prune", "export")


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        common,
        "records",
        "list, merge, prune or export what tuning recorded",
        "list: what a file of records holds. merge: add the records of other FILEs. prune: keep the best of each "
        "kernel, of this version. export: write them as text, a folder a core.",
    )
    parser.add_argument("action", metavar="action", choices=ACTIONS, help=", ".join(ACTIONS))
    parser.add_argument("files", metavar="FILE", nargs="*", help="merge: what to add; export: the folder to write to")
    parser.add_argument(
        "--records", metavar="FILE", default=api.DEFAULT_RECORDS, help="the file of records (default: %(default)s)"
    )
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it and say what came of it."""
    wanted = {"list": (0, 0), "merge": (1, None), "prune": (0, 0), "export": (1, 1)}[arguments.action]
    given = len(arguments.files)
    if given < wanted[0] or (wanted[1] is not None and given > wanted[1]):
        arguments.parser.error(
            {"merge": "merge needs a FILE", "export": "export needs one folder"}.get(
                arguments.action, f"{arguments.action} takes no FILE"
            )
        )
    match arguments.action:
        case "list":
            rows = [
                (
                    entry.core,
                    entry.optimize,
                    str(entry.kernels),
                    str(entry.improved),
                    ", ".join(f"{count} {status}" for status, count in entry.statuses.items()),
                    entry.tools,
                    entry.features,
                )
                for entry in api.list_records(arguments.records)
            ]
            columns = ("core", "optimize", ">kernels", ">improved", "records", "tools", "features")
            print_table(f"records in {arguments.records}", columns, rows)
        case "merge":
            print(f"{api.merge_records(arguments.files, arguments.records)} records added to {arguments.records}")
        case "prune":
            print(f"{api.prune_records(arguments.records)} records dropped from {arguments.records}")
        case _:
            for path in api.export_records(arguments.files[0], arguments.records):
                print(f"written: {path}")
    return 0
