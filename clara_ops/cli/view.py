"""How a local run looks while it goes on."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from clara_ops.cli.stage_run import StageOutcome, StageState, View

COLORS = {
    StageState.DONE: "green",
    StageState.SKIPPED: "yellow",
    StageState.FAILED: "red",
    StageState.NOT_RUN: "dim",
}


class Lines:
    """A line for each step, where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def started(self, stage: str) -> None:
        """Print it."""
        self._print(f"{stage}: started")

    def progressed(self, stage: str, percent: float, message: str) -> None:
        """Print it."""
        self._print(f"{stage}: {percent:.0f}% {message}".rstrip())

    def ended(self, outcome: StageOutcome) -> None:
        """Print it."""
        self._print(f"{outcome.stage}: {outcome.state} after {outcome.seconds:.1f} s {outcome.reason}".rstrip())

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class Bars:
    """A bar for each stage."""

    def __init__(self, progress: Progress, stages: tuple[str, ...]) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {
            stage: progress.add_task("", total=100, start=False, stage=stage) for stage in stages
        }

    def started(self, stage: str) -> None:
        """Let the stage's clock run."""
        self._progress.start_task(self._tasks[stage])

    def progressed(self, stage: str, percent: float, message: str) -> None:
        """Move the stage's bar."""
        self._progress.update(self._tasks[stage], completed=percent, description=message)

    def ended(self, outcome: StageOutcome) -> None:
        """Stop the stage's clock, and say what became of it."""
        task = self._tasks[outcome.stage]
        if outcome.state is StageState.DONE:
            self._progress.update(task, completed=100)
        self._progress.update(task, description=f"[{COLORS[outcome.state]}]{outcome.state}")
        self._progress.stop_task(task)


@contextmanager
def stage_view(console: Console, stages: tuple[str, ...]) -> Iterator[View]:
    """Bars on a terminal, else lines."""
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = (TextColumn("{task.fields[stage]}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=console) as progress:
        yield Bars(progress, stages)
