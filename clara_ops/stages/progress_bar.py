"""How far a stage is, for a person at a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from clara_ops.driver.progress import Progress


@contextmanager
def progress_bar(stage: str) -> Iterator[Progress]:
    """A bar on stderr when that is a terminal, else a line for each step."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _print_line
        return
    columns = (TextColumn("{task.fields[stage]}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bar(*columns, TextColumn("{task.description}"), console=console) as bar:
        task = bar.add_task("", total=100, stage=stage)

        def show(percent: float, message: str = "", /) -> None:
            bar.update(task, completed=percent, description=message)

        yield show


def _print_line(percent: float, message: str = "", /) -> None:
    print(f"{percent:5.1f}% {message}".rstrip(), file=sys.stderr, flush=True)
