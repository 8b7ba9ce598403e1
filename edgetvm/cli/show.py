"""What commands print: tables and JSON to stdout, progress to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Timer

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

_WIDTH = 200  # of a pipe or file, which has none
_DELAY_S = 1.0  # what is done sooner needs no progress


def print_json(value: Mapping[str, object]) -> None:
    """Print one object to stdout."""
    print(json.dumps(value, indent=2, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under a title; columns whose name starts with ``>`` are set flush right."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = _console()
    console.print(title)
    console.print(table)


def print_figures(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Print a title and a list of names with their figures."""
    grid = Table.grid(padding=(0, 2))
    for name, figure in rows:
        grid.add_row("", name, figure)
    console = _console()
    console.print(title)
    console.print(grid)


def amount(value: int | None, of: int | None = None) -> str:
    """Bytes, and their share of what there is: ``12,345 bytes of 65,536 (18.8 %)``."""
    if value is None:
        return "-"
    text = f"{value:,} bytes"
    return f"{text} of {of:,} ({100 * value / of:.1f} %)" if of else text


@contextmanager
def progress(description: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on the terminal's stderr for what takes more than a second; nothing where stderr is no terminal.

    Gives the function that moves it: what is being done, steps done, steps in all.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda *_: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(description, total=None)
    timer = Timer(_DELAY_S, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda stage, done, total: bar.update(
            task, description=f"{description}: {stage}", completed=done, total=total
        )
    finally:
        timer.cancel()
        timer.join()
        bar.stop()


def _console() -> Console:
    # Names of nodes and files may hold brackets and colons, which are neither markup nor emoji here.
    width = None if sys.stdout.isatty() else _WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False)
