"""Errors of workflow and catalogue files: every one says file, line, column, what is wrong and what would be right."""

from collections.abc import Iterable
from dataclasses import dataclass

from clara_ops.contract.errors import BadInput


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong in a file; `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class WorkflowFileError(BadInput):
    """A workflow or catalogue file cannot be used; `problems` holds all that was found, in the order of the lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))
