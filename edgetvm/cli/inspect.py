"""`edgetvm inspect`: what is in a model, and what of it cannot be compiled?"""

from __future__ import annotations

import argparse

from edgetvm import api
from edgetvm.cli.arguments import Commands, add_command, add_json, add_shape
from edgetvm.cli.show import print_json, print_table


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        common,
        "inspect",
        "list what a model holds and what is not supported",
        "List operators, shapes, MACs and parameters, and every node that cannot be compiled. "
        "Exit status 1 if there is one.",
    )
    parser.add_argument("model", metavar="MODEL", help="an ONNX file")
    add_shape(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Inspect and print."""
    summary = api.inspect(arguments.model, dict(arguments.shape))
    borders = {"inputs": summary.inputs, "outputs": summary.outputs}
    if arguments.json:
        print_json(
            {
                "name": summary.name,
                **{
                    key: [{"name": t.name, "shape": list(t.shape), "dtype": t.dtype} for t in tensors]
                    for key, tensors in borders.items()
                },
                "macs": summary.macs,
                "parameters": summary.parameters,
                "parameter_bytes": summary.parameter_bytes,
                "nodes": [
                    {
                        "name": node.name,
                        "operator": node.operator,
                        "shapes": [list(shape) for shape in node.shapes],
                        "macs": node.macs,
                        "parameters": node.parameters,
                    }
                    for node in summary.nodes
                ],
                "unsupported": [
                    {"node": refusal.node, "operator": refusal.operator, "reason": refusal.reason}
                    for refusal in summary.refusals
                ],
            }
        )
        return 1 if summary.refusals else 0
    figures = f"{summary.macs:,} MAC, {summary.parameters:,} parameters in {summary.parameter_bytes:,} bytes"
    print_table(
        f"{summary.name}: {figures}",
        ("", "name", "dtype", "shape"),
        [(key[:-1], t.name, t.dtype, _shape(t.shape)) for key, tensors in borders.items() for t in tensors],
    )
    print()
    print_table(
        f"{len(summary.nodes)} nodes",
        ("name", "operator", "output", ">MAC", ">parameters"),
        [
            (node.name, node.operator, " ".join(map(_shape, node.shapes)), f"{node.macs:,}", f"{node.parameters:,}")
            for node in summary.nodes
        ],
    )
    if summary.refusals:
        print()
        rows = [(refusal.node, refusal.operator, refusal.reason) for refusal in summary.refusals]
        print_table(f"{len(rows)} not supported", ("name", "operator", "reason"), rows)
    return 1 if summary.refusals else 0


def _shape(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"
