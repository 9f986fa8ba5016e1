"""Make the three environments and install Debian packages: `python3 -m clara_ops.laptop.setup [--tests]`.

Runs before anything is installed, so it uses the standard library only. A second run finds everything in place and
takes less than a second.
"""

import argparse
import ctypes.util
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENVS = ROOT / ".venvs"
STAMP = ".clara-lock"
OLDEST_PYTHON = (3, 11)
OLDEST_GLIBC = (2, 35)
APT_PATIENCE_SECONDS = 300
_APT_IS_AT_WORK = "Could not get lock"


class SetupError(Exception):
    """Set-up cannot go on; the message says what to do."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment under `.venvs`, made from a lock file in `requirements/`."""

    name: str
    purpose: str
    installs_project: bool
    newest_python: tuple[int, int] | None = None
    for_tests: bool = False


@dataclass(frozen=True)
class SystemProgram:
    """A program that comes with a Debian package, and what is lost without it."""

    program: str
    package: str
    purpose: str

    def is_there(self) -> bool:
        """Whether it is on the PATH, or where Debian puts servers."""
        return find_program(self.program) is not None


@dataclass(frozen=True)
class PythonLibrary:
    """Python's shared library, which Triton's python backend loads; Debian has it in a package of its own."""

    program: str = f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so"
    package: str = f"libpython{sys.version_info[0]}.{sys.version_info[1]}"
    purpose: str = "Triton's python backend"

    def is_there(self) -> bool:
        """Whether this interpreter brings it, or the system has it."""
        beside = Path(str(sysconfig.get_config_var("LIBDIR"))) / str(sysconfig.get_config_var("INSTSONAME"))
        return beside.is_file() or ctypes.util.find_library(self.package.removeprefix("lib")) is not None


ENVIRONMENTS = (
    Environment("airflow", "Apache Airflow", installs_project=True),
    Environment("airflow34", "tests with the next Apache Airflow", installs_project=True, for_tests=True),
    Environment("clara", "listener, stages, pod API, clara-wf", installs_project=True),
    # Triton's python backend needs a numpy older than 2, which Python 3.13 has none of
    Environment("triton", "Triton and its python backend", installs_project=False, newest_python=(3, 12)),
)
DEMO_PROGRAMS = (
    SystemProgram("Orthanc", "orthanc", "the demo's PACS; without it pynetdicom's qrscp stands in"),
    PythonLibrary(),
)
TEST_PROGRAMS = (
    SystemProgram("storescu", "dcmtk", "tests that send and receive with DCMTK"),
    SystemProgram("dciodvfy", "dicom3tools", "tests that validate DICOM objects"),
    SystemProgram("dcm2niix", "dcm2niix", "tests that compare volumes with dcm2niix"),
    SystemProgram("plastimatch", "plastimatch", "tests that fill the contours of RT Structure Sets"),
    SystemProgram("pdftotext", "poppler-utils", "tests that read PDF reports"),
    SystemProgram("chromium", "chromium", "tests that open pages"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Set everything up, saying what is done; 0 when all that is needed is there."""
    parser = argparse.ArgumentParser(prog="setup", description=__doc__)
    parser.add_argument("--tests", action="store_true", help="also what only tests use: Debian packages, environments")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        check_machine()
        install_programs((*DEMO_PROGRAMS, *TEST_PROGRAMS) if options.tests else DEMO_PROGRAMS)
        make_environments(tests=options.tests)
    except SetupError as error:
        say(f"cannot go on: {error}")
        return 1
    except subprocess.CalledProcessError as error:
        say(f"cannot go on: this command failed with exit code {error.returncode}: {' '.join(map(str, error.cmd))}")
        return 1
    say(f"ready after {time.monotonic() - started:.1f} s")
    return 0


def say(message: str) -> None:
    """One line of progress."""
    print(f"setup: {message}", flush=True)


def check_machine() -> None:
    """Refuse a machine that the locked packages do not run on.

    Raises:
        SetupError: Python is too old, or the operating system is another.
    """
    if sys.version_info[:2] < OLDEST_PYTHON:
        raise SetupError(
            f"Python {platform.python_version()} is too old: install 3.11 or newer and run 'make PYTHON=python3.11'"
        )
    if sys.platform != "linux":
        raise SetupError("the laptop runs on Linux only; on other systems use a cluster")
    library, version = platform.libc_ver()
    found = tuple(int(part) for part in version.split(".")[:2]) if library == "glibc" else (0, 0)
    if platform.machine() != "x86_64" or found < OLDEST_GLIBC:
        say(
            "warning: AI stages will not run: Triton needs x86-64 and glibc 2.35 or newer, "
            f"here are {platform.machine()} and {library} {version}"
        )


def install_programs(programs: Sequence[SystemProgram | PythonLibrary]) -> None:
    """Install the Debian packages of missing programs when we are root; otherwise say what is missing and what for."""
    missing = [program for program in programs if not program.is_there()]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        for program in missing:
            say(f"missing: {program.program} ({program.purpose})")
        say(f"as root, 'apt-get install {' '.join(program.package for program in missing)}' brings it")
        return
    packages = [program.package for program in missing]
    say(f"installing Debian packages: {' '.join(packages)}")
    _apt_get("update", "-qq")
    with _services_stay_off():
        _apt_get("install", "-y", "-qq", "--no-install-recommends", *packages)


def find_program(name: str) -> str | None:
    """Where a program is, `/usr/sbin` included: Debian keeps Orthanc there, and users have it not on their PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin")


class _services_stay_off:  # noqa: N801  (reads as a verb in `with`)
    """While packages are installed no service is started: Debian's policy-rc.d says no (101)."""

    policy = Path("/usr/sbin/policy-rc.d")

    def __enter__(self) -> None:
        self.ours = not self.policy.exists()
        if self.ours:
            self.policy.write_text("#!/bin/sh\nexit 101\n")
            self.policy.chmod(0o755)

    def __exit__(self, *error: object) -> None:
        if self.ours:
            self.policy.unlink(missing_ok=True)


def _apt_get(*arguments: str) -> None:
    """Run apt-get, waiting for another one that is at work: a new machine upgrades itself first."""
    command = ["apt-get", "-o", f"DPkg::Lock::Timeout={APT_PATIENCE_SECONDS}", *arguments]
    deadline = time.monotonic() + APT_PATIENCE_SECONDS
    while (done := _captured(command, {"DEBIAN_FRONTEND": "noninteractive"})).returncode != 0:
        if _APT_IS_AT_WORK not in done.stdout or time.monotonic() > deadline:
            print(done.stdout, end="", flush=True)
            raise subprocess.CalledProcessError(done.returncode, command)
        say("another apt-get is at work; waiting for it")
        time.sleep(5)


def make_environments(*, tests: bool = False) -> None:
    """Make each environment whose lock file, interpreter or project metadata changed since it was made."""
    uv: str | None = None
    for environment in ENVIRONMENTS:
        if environment.for_tests and not tests:
            continue
        stamp = _stamp(environment)
        stamp_file = VENVS / environment.name / STAMP
        if stamp_file.is_file() and stamp_file.read_text() == stamp:
            continue
        uv = uv or find_uv()
        say(f"environment '{environment.name}' ({environment.purpose}): a minute or two the first time")
        started = time.monotonic()
        _make_environment(uv, environment)
        stamp_file.write_text(stamp)
        say(f"environment '{environment.name}' is ready after {time.monotonic() - started:.0f} s")


def _stamp(environment: Environment) -> str:
    """What an environment was made from; a moved checkout or another interpreter makes it anew."""
    sources = [ROOT / "requirements" / f"{environment.name}.txt"]
    if environment.name == "triton":
        sources.append(ROOT / "requirements" / "triton-server.txt")
    if environment.installs_project:
        sources.append(ROOT / "pyproject.toml")
    digest = hashlib.sha256(f"{sys.executable} {platform.python_version()} {ROOT}".encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _make_environment(uv: str, environment: Environment) -> None:
    folder = VENVS / environment.name
    python = folder / "bin" / "python"
    (folder / STAMP).unlink(missing_ok=True)
    run([uv, "venv", "--quiet", "--allow-existing", "--python", _python_for(environment), str(folder)])
    install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    lock = ROOT / "requirements" / f"{environment.name}.txt"
    run([*install, "--require-hashes", "--compile-bytecode", "--requirement", str(lock)])
    if environment.installs_project:
        run([*install, "--no-deps", "--editable", str(ROOT)])
    if environment.name == "triton":
        server = ROOT / "requirements" / "triton-server.txt"
        run(
            [
                *install,
                "--require-hashes",
                "--no-deps",
                "--target",
                str(folder / "server"),
                "--requirement",
                str(server),
            ]
        )


def _python_for(environment: Environment) -> str:
    """This interpreter, or an older one from PATH where the environment needs it.

    Raises:
        SetupError: there is no such interpreter.
    """
    newest = environment.newest_python
    if newest is None or sys.version_info[:2] <= newest:
        return sys.executable
    names = [f"python3.{minor}" for minor in range(newest[1], OLDEST_PYTHON[1] - 1, -1)]
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise SetupError(f"environment '{environment.name}' needs one of {', '.join(names)} on the PATH: install one")
    return found


def find_uv() -> str:
    """The `uv` that is there, else one installed by pip into `.venvs/uv`.

    Raises:
        SetupError: neither uv nor pip is there, and we may not install pip.
    """
    found = shutil.which("uv")
    if found is not None:
        return found
    ours = VENVS / "uv" / "bin" / "uv"
    if not ours.is_file():
        _ensure_pip()
        say("installing uv by pip")
        run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(VENVS / "uv"), "uv>=0.5"])
    return str(ours)


def _ensure_pip() -> None:
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SetupError(
            "neither uv nor pip is there: install one of them, for example 'apt-get install python3-pip' as root"
        )
    say("installing Debian package: python3-pip")
    _apt_get("update", "-qq")
    _apt_get("install", "-y", "-qq", "--no-install-recommends", "python3-pip", "ca-certificates")


def run(command: Sequence[str]) -> None:
    """Run a command; its output is shown as it comes."""
    done = subprocess.run(command, check=False, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, command)


def _captured(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    full = {**os.environ, **environment}
    return subprocess.run(command, check=False, env=full, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


if __name__ == "__main__":
    sys.exit(main())
