"""How a stage says how far it is."""

from typing import Protocol


class Progress(Protocol):
    """Called by a stage with percent done, 0 to 100; `message` says what it is at, and never whose images they are."""

    def __call__(self, percent: float, message: str = "", /) -> None: ...


def clamp_percent(percent: float) -> float:
    """Percent as it is shown and stored: 0 to 100, one decimal."""
    return round(min(max(float(percent), 0.0), 100.0), 1)


def share_of(progress: Progress, index: int, count: int) -> Progress:
    """The progress of one volume of several, counted from 0, as a part of the whole."""

    def report(percent: float, message: str = "", /) -> None:
        progress((100 * index + percent) / count, f"volume {index + 1} of {count}: {message}")

    return report
