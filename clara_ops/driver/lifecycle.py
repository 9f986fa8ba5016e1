"""One try of one stage, from clean folders to the lock that says it is done."""

import logging
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path

from clara_ops.contract.documents import write_document
from clara_ops.contract.errors import ClaraError, NothingToDo, StageExit
from clara_ops.contract.payload import RESULT
from clara_ops.contract.result import StageResult
from clara_ops.driver import locks, outputs
from clara_ops.driver.console import console_copied_to
from clara_ops.driver.events import StageEvents, events_file
from clara_ops.driver.folders import StageFolders
from clara_ops.driver.progress import Progress
from clara_ops.driver.settings import StageSettings
from clara_ops.driver.stop import StageStopped, StopSignals

logger = logging.getLogger(__name__)

Work = Callable[[StageFolders, Progress], StageResult | None]


@dataclass(frozen=True)
class RunningStage:
    """What the work was given, for code that is called by it without."""

    folders: StageFolders
    progress: Progress


RUNNING_STAGE: ContextVar[RunningStage] = ContextVar("clara_running_stage")


@dataclass(frozen=True)
class Ending:
    """How a try ended: its exit code (contract.errors.StageExit) and, unless it is done, the named error."""

    exit_code: int = StageExit.DONE
    message: str = ""


def run_stage(work: Work, folders: StageFolders, settings: StageSettings, show: Progress | None = None) -> int:
    """Run a stage's work between clean folders and complete outputs.

    The work is given folders whose `output` and `publish` are hidden ones; what it wrote there appears when it returns,
    and never when it fails. `<name>.source.json` of the input is copied beside outputs of that name, the returned
    result becomes `result.json`, and the lock comes last.

    Args:
        work: the stage.
        folders: the stage's folders; output, publish folder and lock are emptied first.
        settings: names, and what to wait for.
        show: told of progress in place of the log, for a progress bar.

    Returns:
        the exit code for the container: of contract.errors.StageExit, 143 when stopped by SIGTERM, else 1.
    """
    events = StageEvents(settings.stage, folders.logs and events_file(folders.logs, settings.stage), show)
    log_file = folders.logs / settings.log_name if folders.logs and settings.log_name else None
    with StopSignals().held() as signals, console_copied_to(log_file):
        events.start()
        ending = _attempt(work, folders, settings, events, signals)
        events.end(ending.exit_code, ending.message)
        if ending.message:
            _say_last_words(ending.message, settings.termination_log)
        if ending.exit_code == StageExit.DONE and folders.locks and settings.lock_name:
            locks.drop_lock(folders.locks, settings.lock_name)
    return int(ending.exit_code)


def _attempt(
    work: Work, folders: StageFolders, settings: StageSettings, events: StageEvents, signals: StopSignals
) -> Ending:
    try:
        with signals.raising():
            result = _work_hidden(work, folders, settings, events)
        _reveal(folders, result)
    except StageStopped as stop:
        ending = Ending(stop.exit_code, f"{type(stop).__name__}: {stop}")
    except NothingToDo as error:
        _clean(folders)
        write_document(StageResult(reason=str(error)), folders.output / RESULT)
        return _ending(error)
    except ClaraError as error:
        ending = _ending(error)
    except SystemExit as error:
        ending = Ending(error.code if isinstance(error.code, int) else 1, f"SystemExit: {error.code}")
    except Exception as error:
        logger.exception("the stage failed")
        ending = _ending(error)
    else:
        return Ending()
    _clean(folders)
    return ending


def _work_hidden(work: Work, folders: StageFolders, settings: StageSettings, events: StageEvents) -> StageResult | None:
    if folders.locks and settings.lock_name:
        locks.remove_lock(folders.locks, settings.lock_name)
    hidden = replace(
        folders,
        output=outputs.begin(folders.output),
        publish=folders.publish and outputs.begin(folders.publish),
    )
    if folders.locks:
        locks.wait_for_locks(folders.locks, settings.wait_locks, settings.wait_seconds)
    token = RUNNING_STAGE.set(RunningStage(hidden, events.progress))
    try:
        return work(hidden, events.progress)
    except SystemExit as error:
        if error.code:
            raise
        return None
    finally:
        RUNNING_STAGE.reset(token)


def _reveal(folders: StageFolders, result: StageResult | None) -> None:
    partial = folders.output / outputs.PARTIAL
    outputs.copy_source_maps(folders.input, partial)
    if result is not None:
        write_document(result, partial / RESULT)
    outputs.reveal(partial)
    # Code of 2019 writes straight to /app/output, past the hidden folder.
    outputs.copy_source_maps(folders.input, folders.output)
    if folders.publish:
        outputs.reveal(folders.publish / outputs.PARTIAL)


def _clean(folders: StageFolders) -> None:
    for folder in (folders.output, folders.publish):
        if folder is not None:
            with suppress(OSError):
                outputs.empty(folder)


def _ending(error: Exception) -> Ending:
    code = error.exit_code if isinstance(error, ClaraError) else 1
    return Ending(code, f"{type(error).__name__}: {error}")


def _say_last_words(message: str, termination_log: Path | None) -> None:
    """The error as the log's last line and as the container's termination message."""
    print(message, flush=True)
    if termination_log is not None and termination_log.exists():
        with suppress(OSError):
            termination_log.write_text(message, encoding="utf-8")
