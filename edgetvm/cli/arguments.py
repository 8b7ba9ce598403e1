"""What several commands read from the command line."""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn, TypeAlias

from edgetvm import api

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and a hint, as all errors are."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: error: {message}\n  `{self.prog} --help` lists what there is\n")


def version_text() -> str:
    """What ``--version`` prints."""
    try:
        return f"edgetvm {version('edgetvm')}"
    except PackageNotFoundError:
        return "edgetvm, from a checkout that is not installed"


def add_command(
    commands: Commands, common: argparse.ArgumentParser, name: str, summary: str, description: str
) -> argparse.ArgumentParser:
    """The parser of one command, with the options common to all."""
    # Abbreviated options would change their meaning when an option is added.
    return commands.add_parser(name, parents=[common], help=summary, description=description, allow_abbrev=False)


def positive(text: str) -> int:
    """A whole number, 1 or more."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of 1 or more")
    return number


def named_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """``NAME=1,3,224,224``; a name may itself hold a ``=``. ``NAME=`` is the shape of a scalar."""
    name, equals, extents = text.rpartition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=1,3,224,224")
    return name, tuple(positive(extent) for extent in extents.split(",")) if extents else ()


def names(text: str) -> tuple[str, ...]:
    """``a,b``."""
    return tuple(name for name in text.split(",") if name)


def named_calibrator(text: str) -> tuple[str, str]:
    """``TENSOR=CALIBRATOR``; a name may itself hold a ``=``."""
    tensor, _, calibrator = text.rpartition("=")
    if not tensor or calibrator not in api.CALIBRATORS:
        raise argparse.ArgumentTypeError(f"'{text}' is not TENSOR=CALIBRATOR, one of {', '.join(api.CALIBRATORS)}")
    return tensor, calibrator


def points(text: str) -> float:
    """A number, 0 or more."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of 0 or more")
    return number


def add_shape(parser: argparse.ArgumentParser) -> None:
    """``--shape``, which may be given once an input."""
    parser.add_argument(
        "--shape",
        type=named_shape,
        action="append",
        default=[],
        metavar="NAME=1,3,224,224",
        help="shape of input NAME, for a model with dynamic dimensions; may be repeated",
    )


def add_package(parser: argparse.ArgumentParser) -> None:
    """The package, where to run it, and how to print what came out."""
    parser.add_argument("package", metavar="DIR", help="the folder that compile wrote")
    parser.add_argument(
        "--board",
        metavar="B",
        help="run on board B instead of the target it was compiled for; B@PORT: on the board itself, at a serial port",
    )
    add_json(parser)


def add_data(parser: argparse.ArgumentParser, required: bool) -> None:
    """``--data`` and what tells how to read it."""
    parser.add_argument(
        "--data",
        metavar="DATA",
        required=required,
        help="an .npz file, or a folder of images (docs/formats.md)",
    )
    parser.add_argument("--preprocess", metavar="FILE.toml", help="how images become numbers (docs/formats.md)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object to stdout, and nothing else")


def add_quantization(parser: argparse.ArgumentParser) -> None:
    """How a float model is quantized, and what a quantized one must be."""
    group = parser.add_argument_group("quantization")
    group.add_argument(
        "--quantize",
        choices=api.SCHEMES,
        help="quantize a float model: activations and weights, some weights of 4 bits, int16 activations, or dense "
        "layers at run time",
    )
    group.add_argument("--calibration", metavar="DATA", help="samples like those the model will see, without labels")
    group.add_argument("--preprocess", metavar="FILE.toml", help="how the images of --calibration become numbers")
    group.add_argument("--window", metavar="W", type=positive, help="cut each sample into windows of W rows")
    group.add_argument(
        "--calibrator",
        choices=("auto", *api.CALIBRATORS),
        default="auto",
        help="how ranges are chosen (default: for each tensor the one with the best signal-to-noise ratio)",
    )
    group.add_argument(
        "--input-type",
        choices=api.INPUT_TYPES,
        help="uint8: the input takes an image's bytes as they are; mean and std of --preprocess go into the model",
    )
    group.add_argument("--no-equalize", action="store_true", help="do not balance the ranges of channels first")
    group.add_argument(
        "--tensor-calibrator",
        type=named_calibrator,
        action="append",
        default=[],
        metavar="TENSOR=CALIBRATOR",
        help="how the range of one activation is chosen; may be repeated",
    )
    group.add_argument(
        "--float-nodes", metavar="A,B", type=names, default=(), help="leave these nodes of the model in float"
    )
    group.add_argument(
        "--int16-nodes", metavar="A,B", type=names, default=(), help="give these nodes int16 activations"
    )
    group.add_argument(
        "--int8-weights", metavar="A,B", type=names, default=(), help="with int4: these nodes keep int8 weights"
    )
    group.add_argument(
        "--max-drop",
        metavar="P",
        type=points,
        help="lose P hundredths of the metric at most, on labels in --calibration: sensitive layers get more bits",
    )
    group.add_argument("--metric", choices=api.METRICS, default="top1", help="what --max-drop is about (default: top1)")
    group.add_argument("--score", metavar="NAME", help="the output that --metric scores (default: the first)")
    group.add_argument("--require-integer", action="store_true", help="fail if any operator is left in float")
    group.add_argument("--integer-io", action="store_true", help="inputs and outputs as quantized integers")
