"""`edgetvm`: reads the command line, calls the command, and turns what happened into an exit status."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Sequence

from edgetvm.cli import (
    bench,
    compile,  # noqa: A004
    debug_accuracy,
    evaluate,
    export,
    fit,
    inspect,
    profile,
    records,
    targets,
    tune,
    verify,
)
from edgetvm.cli.arguments import Parser, version_text
from edgetvm.errors import EdgeTVMError

COMMANDS = (compile, verify, bench, profile, evaluate, debug_accuracy, inspect, fit, tune, records, export, targets)
DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 an error to act on, 2 wrong usage, 130 interrupted."""
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as stop:  # argparse has printed already
        return int(stop.code or 0)
    try:
        status = int(arguments.run(arguments))
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        print(": ".join(["edgetvm: interrupted", *map(str, stop.args)]), file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has seen enough; Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if arguments.debug:
            traceback.print_exc()
        _explain(error)
        return FAILED
    return status


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = Parser(
        prog="edgetvm", description="Compile a neural network into a small verified C library for one device."
    )
    parser.add_argument("--version", action="version", version=version_text())
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands, common)
    return parser


def _explain(error: Exception) -> None:
    if isinstance(error, EdgeTVMError):
        message, hint = error.message, error.hint
    elif isinstance(error, OSError) and error.errno in _NO_ROOM:
        message = f"no room for {error.filename or 'a file'}: {error.strerror}"
        hint = "TMPDIR names the folder of temporary files"
    else:
        what = " ".join(str(error).split())[:300]
        message = f"unexpected {type(error).__name__}: {what}" if what else f"unexpected {type(error).__name__}"
        hint = "this is a defect of EdgeTVM: run again with --debug and report what it shows"
    print(f"edgetvm: error: {message}", file=sys.stderr)
    for line in (hint or "").splitlines():
        print(f"  {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
