"""The root of the project's errors, and the exit codes of a stage container (docs/architecture.md, 3.4)."""

from enum import IntEnum


class StageExit(IntEnum):
    """What a stage container says by its exit code; any other code is a failure that is worth a retry."""

    DONE = 0
    BAD_INPUT = 65
    NOTHING_TO_DO = 99


class ClaraError(Exception):
    """An error that a user is meant to read: what is wrong, where, and what to do."""

    exit_code: int = 1


class BadInput(ClaraError):
    """The input itself is wrong: running again cannot help."""

    exit_code = StageExit.BAD_INPUT


class NothingToDo(ClaraError):
    """The stage has no work for a good reason; what follows it is skipped and `result.json` says why."""

    exit_code = StageExit.NOTHING_TO_DO


class DocumentError(BadInput):
    """A JSON document is not of the form that the contract gives it."""


class NameRuleError(ClaraError, ValueError):
    """An id, a name, an AE title or a UID breaks the rule for its kind."""
