"""The live view of a search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edgetvm.api.tune import Status, TaskStatus, cost_text, gain_text, time_text

_COLUMNS = ("kernel", "rule", ">calls", ">share", ">before", ">best", ">ratio", ">trials", "state")


@contextmanager
def live_tuning() -> Iterator[Callable[[Status], None] | None]:
    """A view on the terminal's stderr, wiped in the end, below the lines that are printed meanwhile; None where stderr
    is no terminal.

    Gives the function that shows a status.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Live(console=console, transient=True, auto_refresh=False) as live:
        yield lambda status: live.update(view(status), refresh=True)


def view(status: Status) -> Group:
    """The figures of all in a line, then a row a task, those with the largest share first."""
    parts = [
        f"tune: {status.trials} trials, {status.rate:.0f} a minute",
        f"{status.done} of {len(status.tasks)} tasks done",
    ]
    if status.before is not None and status.best is not None:
        parts.append(gain_text(status.before, status.best, status.unit))
    parts.append(time_text(status.seconds) + ("" if status.left is None else f", {time_text(status.left)} left"))
    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in _COLUMNS:
        table.add_column(
            column.lstrip(">"), justify="right" if column.startswith(">") else "left", no_wrap=column != _COLUMNS[0]
        )
    for task in status.tasks:  # where room is short, names are cut off
        table.add_row(Text(task.kernel, no_wrap=True, overflow="ellipsis"), *map(Text, _cells(task)))
    return Group(Text("; ".join(parts)), table)


def _cells(task: TaskStatus) -> tuple[str, ...]:
    """All but the name."""
    ratio = "-" if not task.before or task.best is None else f"{task.best / task.before:.3f}"
    return (
        task.rule,
        str(task.calls),
        f"{100 * task.share:.1f} %",
        cost_text(task.before),
        cost_text(task.best),
        ratio,
        str(task.trials),
        task.state,
    )
