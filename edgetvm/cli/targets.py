"""`edgetvm targets`: what can be compiled for."""

from __future__ import annotations

import argparse

from edgetvm import api
from edgetvm.cli.arguments import Commands, add_command, add_json
from edgetvm.cli.show import print_json, print_table


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        common,
        "targets",
        "list boards and processors",
        "List the boards and processors that compile takes as --target.",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print boards, then processors."""
    targets = api.targets()
    boards = [
        {
            "name": board.name,
            "processor": board.processor,
            "cores": board.cores,
            "clock_mhz": board.clock_mhz,
            "memory": [{"name": m.name, "kind": m.kind, "bytes": m.bytes} for m in board.memory],
            "emulator": board.emulator.machine if board.emulator else None,
        }
        for board in (target.board for target in targets)
        if board is not None
    ]
    processors = [
        {
            "name": target.name,
            "arch": target.processor.arch,
            "os": target.processor.os,
            "cpu": target.processor.cpu,
            "emulator": target.processor.qemu_cpu,
        }
        for target in targets
        if target.board is None
    ]
    if arguments.json:
        print_json({"boards": boards, "processors": processors})
        return 0
    print_table(
        f"{len(boards)} boards",
        ("name", "processor", ">cores", ">MHz", "memory", "emulator"),
        [
            (
                target.board.name,
                target.board.processor,
                str(target.board.cores),
                f"{target.board.clock_mhz:g}",
                ", ".join(f"{m.name} {m.bytes / 1024:,.0f} KiB" for m in target.board.memory),
                target.board.emulator.machine if target.board.emulator else "-",
            )
            for target in targets
            if target.board is not None
        ],
    )
    print()
    print_table(
        f"{len(processors)} processors",
        ("name", "arch", "os", "cpu", "emulator"),
        [tuple(str(value or "-") for value in row.values()) for row in processors],
    )
    return 0
