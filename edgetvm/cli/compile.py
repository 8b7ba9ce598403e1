"""`edgetvm compile`: a model becomes a package."""

from __future__ import annotations

import argparse
import sys

from edgetvm import api
from edgetvm.cli.arguments import Commands, add_command, add_quantization, add_shape, positive
from edgetvm.cli.show import progress
from edgetvm.cli.show_footprint import foreseen_rows, print_arena
from edgetvm.cli.show_package import print_package
from edgetvm.errors import EdgeTVMError


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
    parser.add_argument(
        "--threads",
        metavar="N",
        type=positive,
        default=1,
        help="use what was tuned for so many threads (default: 1); a package runs on any number",
    )
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
            threads=arguments.threads,
            records=arguments.records,
            use_records=not arguments.no_records,
            name=arguments.name,
            progress=step,
            note=lambda line: print(f"edgetvm: note: {line}", file=sys.stderr),
        )
        step("foresee", 0, 1)
        footprint = package.footprint()
        foreseen = _foresee(package)
    print_package(package, arguments.output, footprint, foreseen)
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
