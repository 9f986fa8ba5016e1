import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clara_ops.contract.documents import read_document, write_document
from clara_ops.contract.errors import BadInput, ClaraError, NothingToDo, StageExit
from clara_ops.contract.publication import Publication
from clara_ops.contract.result import StageResult
from clara_ops.contract.source import SourceMap
from clara_ops.driver.folders import StageFolders
from clara_ops.driver.lifecycle import Work, run_stage
from clara_ops.driver.progress import Progress
from clara_ops.driver.publish import PublishError, publish
from clara_ops.driver.settings import StageSettings

SETTINGS = StageSettings(stage="user-ai", lock_name="user-ai.lock", log_name="user-ai.log")

ReadEvents = Callable[[], list[dict[str, object]]]


def failing(error: BaseException) -> Work:
    def work(folders: StageFolders, progress: Progress) -> None:
        (folders.output / "half.raw").write_text("half")
        assert folders.publish is not None
        (folders.publish / "half.raw").write_text("half")
        progress(40, "so far")
        raise error

    return work


def no_work(folders: StageFolders, progress: Progress) -> None:
    """A stage that is done at once."""


def names(folder: Path | None) -> set[str]:
    assert folder is not None
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_outputs_appear_when_the_work_is_done_and_the_lock_last(folders: StageFolders, read_events: ReadEvents) -> None:
    def work(hidden: StageFolders, progress: Progress) -> StageResult:
        (hidden.output / "1.2.3.mhd").write_text("volume")
        progress(50, "half way")
        assert [path.name for path in folders.output.iterdir()] == [hidden.output.name]
        assert names(folders.locks) == set()
        return StageResult(facts={"volumes": 1})

    assert run_stage(work, folders, SETTINGS) == StageExit.DONE
    assert names(folders.output) == {"1.2.3.mhd", "result.json"}
    assert read_document(StageResult, folders.output / "result.json").facts == {"volumes": 1}
    assert names(folders.locks) == {"user-ai.lock"}
    events = read_events()
    assert [set(event) for event in events] == [{"time", "event", "percent", "exit_code", "message"}] * 3
    assert [(event["event"], event["percent"], event["exit_code"], event["message"]) for event in events] == [
        ("start", 0.0, None, ""),
        ("progress", 50.0, None, "half way"),
        ("end", 100.0, 0, ""),
    ]
    assert folders.locks is not None
    assert folders.logs is not None
    lock, log = folders.locks / "user-ai.lock", folders.logs / "user-ai.events.jsonl"
    assert lock.stat().st_mtime_ns >= log.stat().st_mtime_ns


def test_a_source_map_reaches_the_output_before_anybody_sees_the_volume(
    folders: StageFolders, source_map: SourceMap
) -> None:
    write_document(source_map, folders.input / "1.2.3.source.json")

    def work(hidden: StageFolders, progress: Progress) -> None:
        (hidden.output / "1.2.3.mhd").write_text("volume")

    run_stage(work, folders, SETTINGS)
    assert read_document(SourceMap, folders.output / "1.2.3.source.json") == source_map
    assert names(folders.output) == {"1.2.3.mhd", "1.2.3.source.json"}


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (BadInput("series 1.2.3: one slice; send the whole series"), 65, "BadInput: series 1.2.3: one slice; send the"),
        (ClaraError("Triton: not there"), 1, "ClaraError: Triton: not there"),
        (OSError(28, "No space left on device"), 1, "OSError: [Errno 28] No space left on device"),
        (SystemExit(7), 7, "SystemExit: 7"),
        (SystemExit("no weights"), 1, "SystemExit: no weights"),
    ],
)
def test_a_failed_stage_leaves_its_error_and_nothing_else(
    folders: StageFolders,
    tmp_path: Path,
    read_events: ReadEvents,
    capfd: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    message: str,
) -> None:
    (termination_log := tmp_path / "termination-log").touch()
    settings = StageSettings("user-ai", "user-ai.lock", "user-ai.log", termination_log=termination_log)
    assert run_stage(failing(error), folders, settings) == code
    assert names(folders.output) == names(folders.publish) == names(folders.locks) == set()
    assert termination_log.read_text().startswith(message)
    assert capfd.readouterr().out.splitlines()[-1].startswith(message)
    end = read_events()[-1]
    assert (end["event"], end["percent"], end["exit_code"]) == ("end", None, code)
    assert str(end["message"]).startswith(message)


def test_an_unexpected_error_leaves_its_traceback_in_the_log(
    folders: StageFolders, caplog: pytest.LogCaptureFixture
) -> None:
    assert run_stage(failing(KeyError("weights")), folders, SETTINGS) == 1
    assert "in work" in caplog.text
    assert "KeyError: 'weights'" in caplog.text


def test_nothing_to_do_says_why_in_its_result(folders: StageFolders) -> None:
    assert run_stage(failing(NothingToDo("no liver in the image")), folders, SETTINGS) == StageExit.NOTHING_TO_DO
    assert names(folders.output) == {"result.json"}
    assert read_document(StageResult, folders.output / "result.json").reason == "no liver in the image"
    assert names(folders.publish) == names(folders.locks) == set()


def test_a_retry_starts_clean(folders: StageFolders) -> None:
    assert folders.locks is not None
    (folders.output / "of-the-first-try.mhd").touch()
    (folders.locks / "user-ai.lock").touch()
    (folders.locks / "dicom-reader.lock").touch()

    def work(hidden: StageFolders, progress: Progress) -> None:
        assert names(folders.locks) == {"dicom-reader.lock"}
        (hidden.output / "new.mhd").touch()

    run_stage(work, folders, SETTINGS)
    assert names(folders.output) == {"new.mhd"}
    assert names(folders.locks) == {"dicom-reader.lock", "user-ai.lock"}


def test_leaving_with_0_is_done(folders: StageFolders) -> None:
    def work(hidden: StageFolders, progress: Progress) -> None:
        (hidden.output / "new.mhd").touch()
        raise SystemExit(0)

    assert run_stage(work, folders, SETTINGS) == 0
    assert names(folders.output) == {"new.mhd"}


def test_the_stage_waits_for_its_locks(folders: StageFolders, capfd: pytest.CaptureFixture[str]) -> None:
    settings = StageSettings("user-ai", wait_locks=("dicom-reader.lock",), wait_seconds=0.3)
    started = time.monotonic()
    assert run_stage(no_work, folders, settings) == 1
    assert time.monotonic() - started >= 0.3
    assert "LockTimeout" in capfd.readouterr().out
    assert folders.locks is not None
    (folders.locks / "dicom-reader.lock").touch()
    assert run_stage(no_work, folders, settings) == 0


@pytest.mark.parametrize(("no_locks", "waits"), [("TRUE", ()), ("1", ()), ("FALSE", ("a.lock", "b.lock"))])
def test_locks_are_waited_for_only_outside_of_airflow(no_locks: str, waits: tuple[str, ...]) -> None:
    environ = {"NVIDIA_CLARA_NOSYNCLOCK": no_locks, "CLARA_WAIT_LOCK": "a.lock, /app/locks/b.lock"}
    assert StageSettings.from_environment(environ).wait_locks == waits


def test_without_a_name_the_stage_is_called_as_its_lock() -> None:
    assert StageSettings.from_environment({"CLARA_LOCK_NAME": "/app/locks/ai-vnet.lock"}).stage == "ai-vnet"


def test_what_is_published_appears_when_the_work_is_done(folders: StageFolders) -> None:
    def work(hidden: StageFolders, progress: Progress) -> None:
        (hidden.output / "a").mkdir()
        (hidden.output / "a" / "1.mhd").write_text("volume")
        (hidden.output / "2.mhd").write_text("labels")
        publish(hidden, hidden.output / "a", model="vnet")
        publish(hidden, [str(hidden.output / "2.mhd")])
        assert folders.publish is not None
        assert not (folders.publish / "publish.json").exists()

    assert run_stage(work, folders, SETTINGS) == 0
    assert names(folders.publish) == {"1.mhd", "2.mhd", "publish.json"}
    assert folders.publish is not None
    assert read_document(Publication, folders.publish / "publish.json") == Publication(("1.mhd", "2.mhd"), "vnet")


def test_two_published_files_of_one_name_are_refused(folders: StageFolders) -> None:
    for name in ("a", "b"):
        (folders.input / name).mkdir()
        (folders.input / name / "1.mhd").touch()
    with pytest.raises(PublishError, match=r"published under the same name '1\.mhd'"):
        publish(folders, [folders.input / "a" / "1.mhd", folders.input / "b" / "1.mhd"])
    with pytest.raises(PublishError, match="no such file or folder"):
        publish(folders, folders.input / "missing.mhd")


def test_progress_is_told_once_a_percent(folders: StageFolders, read_events: ReadEvents) -> None:
    def work(hidden: StageFolders, progress: Progress) -> None:
        for step in range(10_000):
            progress(step / 100)
        progress(250)

    run_stage(work, folders, SETTINGS)
    percents = [event["percent"] for event in read_events() if event["event"] == "progress"]
    assert percents == [float(percent) for percent in range(101)]
