"""The life-cycle of Clara Deploy's Python SDK: startup, prepare, execute, cleanup, and error, as handlers of a Driver.

Follows the SDK's user guide (Clara Deploy 0.7 and 0.8, "Clara Pipeline Driver", Python). Other than there, `start` runs
the life-cycle in the calling thread: a stage has one thing to do.
"""

import inspect
import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clara_ops.contract import environment
from clara_ops.contract.errors import ClaraError, NothingToDo
from clara_ops.driver.folders import StageFolders
from clara_ops.driver.lifecycle import run_stage
from clara_ops.driver.logs import log_to_stdout
from clara_ops.driver.progress import Progress
from clara_ops.driver.publish import Study, publish
from clara_ops.driver.settings import StageSettings

logger = logging.getLogger(__name__)

Handler = Callable[..., Any]


class HandlerError(ClaraError):
    """A handler said that it failed, by returning False."""


class DriverStateError(ClaraError):
    """The driver is used before it runs, or twice."""


@dataclass(frozen=True)
class PayloadEntry:
    """A folder of the payload: `input` or `output`, and its path."""

    name: str
    path: str


@dataclass(frozen=True)
class Payload:
    """What an execute handler works on."""

    input_entries: tuple[PayloadEntry, ...]
    output_entries: tuple[PayloadEntry, ...]


@dataclass(frozen=True)
class Error:
    """What an error handler is told.

    Attributes:
        result: exit code of the stage.
        entry_point: the handler that failed: startup, prepare, execute or cleanup.
        kind: name of the exception's class.
    """

    result: int
    message: str
    entry_point: str
    kind: str


class Driver:
    """Runs the handlers of one stage in its container.

    Every handler is optional, and gets as many of the arguments below as it takes, so `def execute():` is fine. One
    that returns False has failed; an exception says why. The error handler is told before the stage fails.

    Args:
        startup_handler: `(driver)`, first, before anything else.
        prepare_handler: `(driver)`, before the inputs are there.
        execute_handler: `(driver, payload)`, the stage's work.
        cleanup_handler: `(driver)`, after execute, also after one that failed.
        error_handler: `(driver, error)`, or with four arguments `(result, message, entry_point, kind)`.
        application_data: anything that the handlers want to find as `driver.application_data`.
    """

    def __init__(
        self,
        startup_handler: Handler | None = None,
        prepare_handler: Handler | None = None,
        execute_handler: Handler | None = None,
        cleanup_handler: Handler | None = None,
        error_handler: Handler | None = None,
        application_data: Any = None,
    ) -> None:
        self._handlers: Mapping[str, Handler | None] = {
            "startup": startup_handler,
            "prepare": prepare_handler,
            "execute": execute_handler,
            "cleanup": cleanup_handler,
        }
        self._error_handler = error_handler
        self._progress: Progress | None = None
        self._folders: StageFolders | None = None
        self._exit_code: int | None = None
        self.application_data = application_data

    @property
    def stage_name(self) -> str:
        """Name of the stage, from `CLARA_STAGE`."""
        return StageSettings.from_environment().stage

    @property
    def job_id(self) -> str:
        """Id of the run, from `CLARA_RUN_ID`; empty outside of one."""
        return os.environ.get(environment.RUN_ID, "")

    @property
    def job_name(self) -> str:
        """Id of the workflow, from `CLARA_WORKFLOW_ID`; empty outside of one."""
        return os.environ.get(environment.WORKFLOW_ID, "")

    def start(self) -> None:
        """Run the life-cycle to its end, and leave the process with the stage's exit code when it failed.

        Raises:
            SystemExit: the stage failed, or had nothing to do.
            DriverStateError: the driver has been started before.
        """
        if self._exit_code is not None or self._folders is not None:
            raise DriverStateError("a Driver runs one life-cycle; make another one")
        log_to_stdout()
        try:
            folders, settings = StageFolders.from_environment(), StageSettings.from_environment()
        except ClaraError as error:
            sys.exit(f"{type(error).__name__}: {error}")
        self._exit_code = run_stage(self._run, folders, settings)
        if self._exit_code:
            sys.exit(self._exit_code)

    def wait_for_completion(self) -> bool:
        """True once the life-cycle is complete.

        Raises:
            DriverStateError: the driver was never started.
        """
        if self._exit_code is None:
            raise DriverStateError("the driver was not started; call start() first")
        return self._exit_code == 0

    def report_progress(self, percent: float, message: str = "") -> None:
        """Say how far the stage is, 0 to 100 percent.

        Raises:
            DriverStateError: called outside of a handler.
        """
        if self._progress is None:
            raise DriverStateError("progress can be reported by a handler, while the driver runs")
        self._progress(percent, message)

    def publish(self, study: Study, model: str | None = None) -> None:
        """Publish files for the render server: see `clara_ops.driver.publish.publish`.

        Raises:
            DriverStateError: called outside of a handler.
        """
        if self._folders is None:
            raise DriverStateError("files can be published by a handler, while the driver runs")
        publish(self._folders, study, model)

    def _run(self, folders: StageFolders, progress: Progress) -> None:
        self._folders, self._progress = folders, progress
        payload = Payload(
            input_entries=(PayloadEntry("input", str(folders.input)),),
            output_entries=(PayloadEntry("output", str(folders.output)),),
        )
        try:
            for name in ("startup", "prepare"):
                self._call(name, self)
            try:
                self._call("execute", self, payload)
            except BaseException:
                self._clean_up_after_failure()
                raise
            self._call("cleanup", self)
        finally:
            self._progress = None

    def _clean_up_after_failure(self) -> None:
        """Run the cleanup handler; should it fail too, the first failure is still the one that counts."""
        try:
            self._call("cleanup", self)
        except Exception:
            logger.exception("cleanup failed too")

    def _call(self, name: str, *arguments: object) -> None:
        handler = self._handlers[name]
        if handler is None:
            return
        logger.info("%s", name)
        try:
            if _call_with_as_many(handler, *arguments) is False:
                raise HandlerError(f"the {name} handler returned False; its log says why")
        except NothingToDo:
            raise
        except Exception as error:
            self._tell(Error(getattr(error, "exit_code", 1), str(error), name, type(error).__name__))
            raise

    def _tell(self, error: Error) -> None:
        if self._error_handler is None:
            return
        if _positional_count(self._error_handler) >= 4:
            self._error_handler(error.result, error.message, error.entry_point, error.kind)
        else:
            _call_with_as_many(self._error_handler, self, error)


def _call_with_as_many(handler: Handler, *arguments: object) -> object:
    return handler(*arguments[: _positional_count(handler)])


def _positional_count(handler: Handler) -> int:
    """How many positional arguments a handler takes; very many for `*args`."""
    kinds = [parameter.kind for parameter in inspect.signature(handler).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return 99
    return sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)
