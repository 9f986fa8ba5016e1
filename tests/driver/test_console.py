"""What a stage prints or writes to its log, seen from outside as Kubernetes sees it."""

import time
from collections.abc import Callable
from pathlib import Path

RunScript = Callable[[str], tuple[int, str]]

PRELUDE = "import clara, ctypes, os, subprocess, sys\nLOG = os.environ['CLARA_APP_DIR'] + '/logs/user-ai.log'\n"


def stage(*lines: str) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"{PRELUDE}@clara.execute_cb\ndef execute():\n{body}\nclara.start()\n"


def test_native_code_and_children_are_in_the_log_file_too(run_script: RunScript, app: Path) -> None:
    code, printed = run_script(
        stage(
            "print('from python')",
            "print('from python, stderr', file=sys.stderr)",
            "ctypes.CDLL(None).puts(b'from C'); ctypes.CDLL(None).fflush(None)",
            "subprocess.run(['sh', '-c', 'echo from a child; echo from its stderr >&2'], check=True)",
        )
    )
    assert code == 0
    for text in ("from python\n", "from python, stderr\n", "from C\n", "from a child\n", "from its stderr\n"):
        assert printed.count(text) == 1
    assert (app / "logs" / "user-ai.log").read_text() == printed


def test_a_stage_that_logs_only_to_its_log_file_is_heard(run_script: RunScript, app: Path) -> None:
    code, printed = run_script(
        stage(
            "import logging",
            "logging.getLogger('mine').addHandler(logging.FileHandler(LOG))",
            "logging.getLogger('mine').propagate = False",
            "for number in range(3): print('printed', number); logging.getLogger('mine').error('logged %d', number)",
        )
    )
    assert code == 0
    for number in range(3):
        assert printed.count(f"printed {number}\n") == printed.count(f"logged {number}\n") == 1
    assert (app / "logs" / "user-ai.log").read_text().count("logged") == 3


def test_a_log_file_that_the_stage_starts_anew_is_the_stage_s(run_script: RunScript, app: Path) -> None:
    code, printed = run_script(
        stage(
            "import time",
            "print('before'); time.sleep(0.5)",
            "log = open(LOG, 'w'); log.write('own log\\n'); log.flush(); time.sleep(0.5)",
            "print('after'); log.write('own end\\n'); log.close()",
        )
    )
    assert code == 0
    assert [printed.count(text) for text in ("before\n", "own log\n", "after\n", "own end\n")] == [1, 1, 1, 1]
    assert (app / "logs" / "user-ai.log").read_text() == "own log\nown end\n"


def test_the_log_of_an_earlier_try_is_kept_and_not_repeated(run_script: RunScript, app: Path) -> None:
    run_script(stage("print('first try')", "raise RuntimeError('no luck')"))
    code, printed = run_script(stage("print('second try')"))
    assert code == 0
    assert "first try" not in printed
    log = (app / "logs" / "user-ai.log").read_text()
    assert log.index("first try") < log.index("RuntimeError: no luck") < log.index("second try")


def test_what_a_crash_printed_last_is_not_lost(run_script: RunScript, app: Path) -> None:
    code, printed = run_script(stage("print('last words'); os.kill(os.getpid(), 9)"))
    assert code == -9
    deadline = time.monotonic() + 5
    while "last words" not in (log := (app / "logs" / "user-ai.log").read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "last words" in log
    assert "last words" in printed


def test_much_output_of_native_code_does_not_block(run_script: RunScript) -> None:
    code, printed = run_script(
        stage("libc = ctypes.PyDLL(None)", "for _ in range(3000): libc.puts(b'x' * 99)", "libc.fflush(None)")
    )
    assert code == 0
    assert printed.count("x" * 99 + "\n") == 3000


def test_a_child_left_behind_does_not_hold_the_stage(run_script: RunScript) -> None:
    started = time.monotonic()
    code, _ = run_script(
        stage("subprocess.Popen(['sleep', '20'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)")
    )
    assert code == 0
    assert time.monotonic() - started < 10


def test_an_unwritable_log_file_is_said_and_not_fatal(run_script: RunScript, app: Path) -> None:
    (app / "logs" / "user-ai.log").mkdir()
    code, printed = run_script(stage("print('work')"))
    assert code == 0
    assert "log file not written" in printed
    assert "work" in printed
