"""`edgetvm compile`: a model becomes a package."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from edgetvm import api
from edgetvm.cli.arguments import Commands, add_command, add_quantization, add_shape
from edgetvm.cli.show import amount, print_figures, print_table, progress
from edgetvm.cli.show_footprint import foreseen_rows, print_arena, region_rows
from edgetvm.errors import EdgeTVMError
from edgetvm.report.footprint import Footprint


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        common,
        "compile",
        "compile a model for a target",
        "Compile a model.",
    )
    parser.add_argument("model", metavar="MODEL", help="an ONNX or .tflite file")
    parser.add_argument(
        "--target", metavar="T", required=True, help="a board, a processor, or the path of a TOML file of your own"
    )
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="the folder to write; must not exist yet")
    add_shape(parser)
    parser.add_argument(
        "--format",
        choices=api.FORMATS,
        default="library",
        help="what to write: a static library (and a shared one for Linux), one object, or C sources",
    )
    parser.add_argument("--optimize", choices=api.OPTIMIZE, default="balanced", help="what to spend memory on")
    parser.add_argument(
        "--precision",
        choices=api.PRECISIONS,
        default="fp32",
        help="arithmetic of a float model; fp16 on cores that have it, in about half the memory",
    )
    parser.add_argument(
        "--libc",
        choices=api.LIBCS,
        help="C library of a Linux target: glibc 2.28 or newer (default), or static musl",
    )
    parser.add_argument("--recipe", metavar="FILE.toml", help="schedule numbers that replace the shipped ones")
    records = parser.add_mutually_exclusive_group()
    records.add_argument(
        "--records",
        metavar="FILE",
        help=f"what tune recorded (default: ./{api.DEFAULT_RECORDS} if there is one, then what ships)",
    )
    records.add_argument("--no-records", action="store_true", help="let rules decide, whatever was tuned")
    add_quantization(parser)
    parser.add_argument(
        "--keep-dead-channels",
        action="store_true",
        help="compute also the channels of a quantized model that no input can change, or that nothing reads",
    )
    parser.add_argument(
        "--no-reference", action="store_true", help="leave the model out of the package: verify then needs --model"
    )
    parser.add_argument("--name", help="prefix of all C names (default: the model file's name)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compile and say what came out."""
    with progress("compile") as step:
        package = api.compile(
            arguments.model,
            arguments.target,
            arguments.output,
            shapes=dict(arguments.shape),
            format=arguments.format,
            optimize=arguments.optimize,
            precision=arguments.precision,
            libc=arguments.libc,
            recipe=arguments.recipe,
            quantize=arguments.quantize,
            calibration=arguments.calibration,
            calibrator=arguments.calibrator,
            preprocess=arguments.preprocess,
            window=arguments.window,
            input_type=arguments.input_type,
            equalize=not arguments.no_equalize,
            tensor_calibrators=dict(arguments.tensor_calibrator),
            float_nodes=arguments.float_nodes,
            int16_nodes=arguments.int16_nodes,
            int8_weights=arguments.int8_weights,
            max_drop=arguments.max_drop,
            metric=arguments.metric,
            score=arguments.score,
            require_integer=arguments.require_integer,
            integer_io=arguments.integer_io,
            keep_dead_channels=arguments.keep_dead_channels,
            reference=not arguments.no_reference,
            records=arguments.records,
            use_records=not arguments.no_records,
            name=arguments.name,
            progress=step,
            note=lambda line: print(f"edgetvm: note: {line}", file=sys.stderr),
        )
        step("foresee", 0, 1)
        footprint = package.footprint()
        foreseen = _foresee(package)
    _summary(package, arguments.output, footprint, foreseen)
    _print_int8_weights(package)
    _print_floats(package)
    if footprint is not None:
        print_arena(footprint)
    return 0


def _foresee(package: api.Package) -> list[tuple[str, str]]:
    """What an inference will take, or why nobody knows."""
    try:
        foreseen = package.foresee()
    except EdgeTVMError as error:
        return [("an inference", f"not foreseen: {error.message}")]
    return [] if foreseen is None else foreseen_rows(foreseen)


def _summary(
    package: api.Package, output: str, footprint: Footprint | None, foreseen: Sequence[tuple[str, str]]
) -> None:
    manifest = package.manifest
    print_figures(
        f"{manifest['name']} for {manifest['target']}",
        [
            *_held(manifest["options"]),
            *_narrow(manifest["options"]),
            ("flash", amount(manifest["flash_bytes"])),
            ("RAM", amount(manifest["ram_bytes"])),
            ("arena", amount(manifest["arena"]["bytes"])),
            *(region_rows(footprint) if footprint else ()),
            *_stack(manifest["stack_bytes"]),
            *foreseen,
            ("kernels", f"{len(manifest['kernels'])} in {len(manifest['calls'])} calls"),
            *_tuned(manifest["kernels"]),
            ("arithmetic", _arithmetic(manifest)),
            *_dead(manifest["dead_channels"]),
            ("written to", output),
        ],
    )


def _tuned(kernels: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Of how many kernels records decided something."""
    count = sum(bool(kernel["decisions"]) for kernel in kernels)
    return [("tuned", f"{count} kernels, as recorded")] if count else []


def _stack(stack_bytes: int | None) -> list[tuple[str, str]]:
    return [] if stack_bytes is None else [("stack", f"{amount(stack_bytes)} at most below the caller of edgetvm_run")]


def _held(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What --max-drop chose."""
    held = options["max_drop"]
    if held is None:
        return []
    rows = [(held["metric"], f"{held['quantized']:.4f}, float {held['float']:.4f}, over {held['samples']} samples")]
    rows += [(f"{bits} nodes", ", ".join(options[f"{bits}_nodes"]) or "none") for bits in ("int16", "float")]
    return rows


def _narrow(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How many weights --quantize int4 made int4, and what all that is quantized does to the outputs."""
    if options["int4"] is None:
        return []
    layers = options["int4"]["layers"]
    held = [layer for layer in layers if layer["int4"]]
    weights, every = (sum(layer["weights"] for layer in some) for some in (held, layers))
    return [
        ("int4 weights", f"{weights:,} of {every:,} in {len(held)} of {len(layers)} layers that can have them"),
        ("SQNR", f"{_decibels(options['int4']['sqnr_db'])} at the outputs on calibration samples, against float"),
    ]


def _decibels(value: float | None) -> str:
    return "no error" if value is None else f"{value:.1f} dB"


def _arithmetic(manifest: Mapping[str, Any]) -> str:
    if manifest["integer"] is None:
        return "float" if manifest["options"]["precision"] == "fp32" else "float of half precision"
    if count := len(manifest["integer"]["float_operators"]):
        return f"integer, {count} operators in float"
    border = {tensor["dtype"] for tensor in (*manifest["inputs"], *manifest["outputs"])}
    return "integer, but for quantizing at the border" if "float32" in border else "integer"


def _dead(dead: Mapping[str, int] | None) -> list[tuple[str, str]]:
    """What the kernels do without."""
    if dead is None or not dead["removed"]:
        return []
    macs = f"{dead['removed_macs']:,} of {dead['macs']:,} multiply-adds"
    return [("dead channels", f"{dead['removed']:,} of {dead['channels']:,} removed, and with them {macs}")]


def _print_int8_weights(package: api.Package) -> None:
    """What keeps 8 bits of what could have int4 weights, and what 4 would do to the outputs."""
    int4 = package.manifest["options"]["int4"]
    layers = [] if int4 is None else int4["layers"]
    rows = [(x["node"], x["operator"], _decibels(x["sqnr_db"])) for x in layers if not x["int4"]]
    if rows:
        print_table("int8 weights kept", ("node", "operator", "SQNR of the outputs if int4"), rows)


def _print_floats(package: api.Package) -> None:
    """What of a quantized model is left in float, and why."""
    integer = package.manifest["integer"]
    if integer is not None and integer["float_operators"]:
        rows = [(", ".join(entry["nodes"]), entry["operator"], entry["reason"]) for entry in integer["float_operators"]]
        print_table("left in float", ("node", "operator", "reason"), rows)
