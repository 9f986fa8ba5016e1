"""What is missing is said by name, and server and stub are found where they really lie."""

import os
import sys
import sysconfig
from pathlib import Path

import pytest

from clara_ops.inference.errors import GlibcTooOld, TritonNotInstalled
from clara_ops.inference.installation import find_installation

VERSION = "{}.{}".format(*sys.version_info[:2])
LIBPYTHON = any(
    Path(folder, f"libpython{VERSION}.so.1.0").exists()
    for folder in (sysconfig.get_config_var("LIBDIR"), f"{sys.base_prefix}/lib")
)


def make_environment(folder: Path, stub_version: str = VERSION) -> Path:
    """The layout of a Triton environment around this interpreter; its programs do nothing."""
    server = folder / "server" / "pytriton" / "tritonserver"
    for name in (
        "bin/tritonserver",
        "backends/python/libtriton_python.so",
        f"python_backend_stubs/{stub_version}/triton_python_backend_stub",
    ):
        (server / name).parent.mkdir(parents=True)
        (server / name).touch()
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").symlink_to(sys.executable)
    return folder


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(TritonNotInstalled, match="make setup") as caught:
        find_installation(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in str(caught.value)


def test_made_for_another_python(tmp_path: Path) -> None:
    with pytest.raises(TritonNotInstalled, match=f"python_backend_stubs/{VERSION}"):
        find_installation(make_environment(tmp_path, stub_version="2.7"))


@pytest.mark.skipif(not LIBPYTHON, reason="this interpreter has no shared library")
def test_backends_are_linked_with_the_stub_beside_them(tmp_path: Path) -> None:
    installation = find_installation(make_environment(tmp_path / "environment"))
    installation.link_backends(tmp_path / "backends")
    linked = {path.name: path.resolve() for path in (tmp_path / "backends" / "python").iterdir()}
    assert linked["libtriton_python.so"] == installation.backends / "python" / "libtriton_python.so"
    assert linked["triton_python_backend_stub"] == installation.stub


@pytest.mark.skipif(not LIBPYTHON, reason="this interpreter has no shared library")
def test_models_run_in_the_environment_and_in_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PYTHONHOME", "/elsewhere")
    environment = find_installation(make_environment(tmp_path)).process_environment()
    assert environment["PATH"].split(":")[0] == str(tmp_path / "bin")
    assert not {"PYTHONPATH", "PYTHONHOME"} & set(environment)
    assert Path(environment["LD_LIBRARY_PATH"], f"libpython{VERSION}.so.1.0").exists()


@pytest.mark.parametrize("library", ["glibc 2.31", "glibc 2.9", None])
def test_an_old_machine(library: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "confstr", lambda _name: library)
    with pytest.raises(GlibcTooOld, match=r"2\.35 or newer"):
        find_installation(tmp_path)
