"""Both styles of Clara Deploy's SDK, as programs of about ten lines."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import clara
from clara_ops.driver.callbacks import Driver, DriverStateError

RunScript = Callable[[str], tuple[int, str]]
ReadEvents = Callable[[], list[dict[str, object]]]

DECORATED = """
import clara, shutil
@clara.startup_cb
def startup(): print("startup")
@clara.prepare_cb
def prepare(driver): print("prepare", driver.stage_name, driver.job_id)
@clara.execute_cb
def execute(driver, payload):
    shutil.copytree(payload.input_entries[0].path, payload.output_entries[0].path, dirs_exist_ok=True)
    clara.report_progress(50, "half way")
    clara.publish(payload.output_entries[0].path, "my-model")
@clara.cleanup_cb
def cleanup(): print("cleanup")
clara.start()
print("complete", clara.wait_for_completion())
"""

HANDLERS = """
from clara import Driver, Payload, Error
def execute(driver, payload):
    assert isinstance(payload, Payload)
    driver.application_data.append(payload.input_entries[0].name)
    driver.report_progress(50, "half way")
    with open(f"{payload.output_entries[0].path}/done.txt", "w") as file:
        file.write("by " + driver.stage_name)
    return True
driver = Driver(execute_handler=execute, application_data=[])
driver.start()
driver.wait_for_completion()
print("saw", driver.application_data)
"""

FAILING = """
import clara
@clara.execute_cb
def execute(driver, payload):
    open(payload.output_entries[0].path + "/half", "w").close()
    {failure}
@clara.error_cb
def error(result, message, entry_point, kind):
    print("told:", result, message, entry_point, kind)
@clara.cleanup_cb
def cleanup(): print("cleaned up")
clara.start()
"""


def test_decorators(run_script: RunScript, app: Path, read_events: ReadEvents) -> None:
    (app / "input" / "1.mhd").write_text("volume")
    code, printed = run_script(DECORATED)
    assert code == 0, printed
    steps = ("startup", "prepare user-ai ct-ai-0123456789abcdef0123-g1", "progress 50% half way", "cleanup", "complete")
    positions = [printed.index(f"\n{step}") if step != "startup" else printed.index(step) for step in steps]
    assert positions == sorted(positions)
    assert (app / "output" / "1.mhd").read_text() == "volume"
    assert json.loads((app / "publish" / "publish.json").read_text())["model"] == "my-model"
    assert (app / "locks" / "user-ai.lock").exists()
    assert [event["event"] for event in read_events()] == ["start", "progress", "end"]


def test_handlers(run_script: RunScript, app: Path) -> None:
    code, printed = run_script(HANDLERS)
    assert code == 0, printed
    assert (app / "output" / "done.txt").read_text() == "by user-ai"
    assert "saw ['input']" in printed


@pytest.mark.parametrize(
    ("failure", "code", "told"),
    [
        ("raise ValueError('no weights')", 1, "told: 1 no weights execute ValueError"),
        ("raise clara.BadInput('one slice')", 65, "told: 65 one slice execute BadInput"),
        ("return False", 1, "told: 1 the execute handler returned False; its log says why execute HandlerError"),
    ],
)
def test_a_failure_reaches_error_callback_cleanup_and_exit_code(
    run_script: RunScript, app: Path, failure: str, code: int, told: str
) -> None:
    exit_code, printed = run_script(FAILING.format(failure=failure))
    assert exit_code == code
    assert printed.index(told) < printed.index("cleaned up")
    assert not list((app / "output").iterdir())
    assert not list((app / "locks").iterdir())
    assert (app / "logs" / "user-ai.log").read_text() == printed


def test_a_failing_cleanup_does_not_hide_the_first_failure(run_script: RunScript) -> None:
    source = FAILING.format(failure="raise clara.BadInput('one slice')").replace('print("cleaned up")', "1 / 0")
    code, printed = run_script(source)
    assert code == 65
    assert "told: 1 division by zero cleanup ZeroDivisionError" in printed
    assert printed.splitlines()[-1] == "BadInput: one slice"


def test_where_nothing_can_be_mounted_the_folders_are_links(run_script: RunScript, app: Path, tmp_path: Path) -> None:
    for name in ("input", "output", "locks", "logs", "publish"):
        (app / name).rename(tmp_path / f"{name}-elsewhere")
        (app / name).symlink_to(tmp_path / f"{name}-elsewhere")
    (app / "input" / "1.mhd").write_text("volume")
    code, printed = run_script(DECORATED)
    assert code == 0, printed
    assert (tmp_path / "output-elsewhere" / "1.mhd").read_text() == "volume"
    assert (tmp_path / "publish-elsewhere" / "publish.json").exists()
    assert (app / "output").is_symlink()


def test_nothing_to_do_is_no_error(run_script: RunScript, app: Path) -> None:
    code, printed = run_script(FAILING.format(failure="raise clara.NothingToDo('no liver')"))
    assert code == 99
    assert "told:" not in printed
    assert "cleaned up" in printed
    assert json.loads((app / "output" / "result.json").read_text())["reason"] == "no liver"


def test_code_of_2019_that_writes_straight_to_the_output_folder(run_script: RunScript, app: Path) -> None:
    (app / "input" / "1.2.3.source.json").write_text("{}")
    code, _ = run_script(
        "import clara, os\n@clara.execute_cb\ndef execute():\n"
        "    open(os.environ['CLARA_APP_DIR'] + '/output/1.2.3.mhd', 'w').close()\nclara.start()\n"
    )
    assert code == 0
    assert {path.name for path in (app / "output").iterdir()} == {"1.2.3.mhd", "1.2.3.source.json"}


def test_sigterm_stops_cleanly(
    start_script: Callable[[str], subprocess.Popen[str]], app: Path, read_events: ReadEvents
) -> None:
    source = FAILING.format(failure="import time; time.sleep(60)")
    with start_script(source) as process:
        deadline = time.monotonic() + 20
        while not (app / "output" / ".partial" / "half").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=20)
    assert process.returncode == 143
    assert not list((app / "output").iterdir())
    assert "cleaned up" in printed
    assert printed.splitlines()[-1] == "StageStopped: stopped by SIGTERM"
    assert read_events()[-1]["exit_code"] == 143


def test_a_container_without_its_folders_says_what_is_missing(run_script: RunScript, app: Path) -> None:
    (app / "input").rmdir()
    code, printed = run_script(HANDLERS)
    assert code == 1
    assert printed.splitlines()[-1].startswith("FolderError: ")


def test_a_driver_runs_once_and_only_after_start(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLARA_APP_DIR", str(app))
    driver = Driver()
    with pytest.raises(DriverStateError, match="call start"):
        driver.wait_for_completion()
    driver.start()
    assert driver.wait_for_completion()
    with pytest.raises(DriverStateError, match="one life-cycle"):
        driver.start()


def test_publishing_and_progress_belong_to_handlers(tmp_path: Path) -> None:
    with pytest.raises(DriverStateError):
        clara.publish(tmp_path)
    with pytest.raises(DriverStateError):
        clara.report_progress(1)


def test_a_role_is_taken_once(run_script: RunScript) -> None:
    code, printed = run_script("import clara\n" + "@clara.execute_cb\ndef execute(): ...\n" * 2)
    assert code == 1
    assert "execute has this role already" in printed
