"""How far a stage is, for a person at a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from clara_ops.driver.progress import Progress


@contextmanager
def progress_bar(stage: str) -> Iterator[Progress]:
    """A bar on stderr, which is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.fields[stage]}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bar(*columns, TextColumn("{task.description}"), console=console) as bar:
        task = bar.add_task("", total=100, stage=stage)

        def show(percent: float, message: str = "", /) -> None:
            bar.update(task, completed=percent, description=message)

        yield show
