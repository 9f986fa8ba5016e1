"""The workflow files of one moment, and where they come from."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from clara_ops.workflow.yaml_source import file_name

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Files:
    """The workflow files of one moment.

    Attributes:
        folder: where they lie; a link that leads out of it is refused.
        workflows: oldest first: where two claim the same ID, the newer one is in error.
        catalogues: catalogue files.
        root: names in messages are relative to it; None for whole paths.
        commit: of a git repository; empty for a folder.
    """

    folder: Path
    workflows: tuple[Path, ...]
    catalogues: tuple[Path, ...]
    root: Path | None = None
    commit: str = ""

    def name(self, path: Path) -> str:
        """What messages call a file; the same on every machine that has the same commit."""
        return file_name(path if self.root is None else Path(os.path.relpath(path, self.root)))


class Place(Protocol):
    """Where workflow files come from."""

    def now(self) -> Files:
        """The newest ones."""

    def at(self, version: str) -> Files:
        """Those that a version of the bundle was made of, where they can still be had; else the newest ones."""


class Folder:
    """Workflow files of a folder on this machine."""

    def __init__(self, folder: Path, catalogues: Sequence[Path]) -> None:
        self._folder = folder
        self._catalogues = tuple(catalogues)

    def now(self) -> Files:
        """The files that are there."""
        times = {path: time for path in workflow_files(self._folder) if (time := _time_of(path)) is not None}
        oldest = sorted(times, key=lambda path: (times[path], path.name))
        return Files(self._folder, tuple(oldest), self._catalogues)

    def at(self, version: str) -> Files:  # noqa: ARG002 - a folder has its present state only
        """What is there now: the older states of a folder are not kept."""
        return self.now()


def workflow_files(folder: Path) -> list[Path]:
    """The files of a folder that are named like workflow files; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.suffix in _SUFFIXES and not path.name.startswith(".")]


def _time_of(path: Path) -> int | None:
    """When a file was changed, in ns; None where it has just been taken away."""
    try:
        return path.lstat().st_mtime_ns
    except FileNotFoundError:
        return None
