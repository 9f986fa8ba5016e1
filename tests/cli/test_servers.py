"""Which Triton a local run uses."""

import os
from pathlib import Path

import pytest

from clara_ops.cli import servers
from clara_ops.laptop.processes import Supervisor
from clara_ops.laptop.state import Run, write_run

DEMO = Run(
    pid=os.getpid(),
    airflow="",
    airflow_username="",
    airflow_password="",
    listener="",
    listener_token="",
    dicom_port=0,
    triton_http="127.0.0.1:8000",
    triton_grpc="127.0.0.1:8001",
    kubeconfig="",
    pacs="",
    pacs_ae_title="",
    pacs_dicom_port=0,
)


def test_the_triton_of_a_running_demo_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".clara").mkdir()
    write_run(DEMO, tmp_path / ".clara" / "run.json")
    monkeypatch.setattr(servers, "INSTALLED", tmp_path)
    monkeypatch.delenv("CLARA_TRITON_URI", raising=False)
    with Supervisor(tmp_path / "log") as supervisor:
        triton = servers.triton_of(supervisor, tmp_path)
    assert servers.platform_data(triton) == {
        "CLARA_TRITON_URI": "http://127.0.0.1:8000",
        "CLARA_TRITON_GRPC": "127.0.0.1:8001",
        "NVIDIA_CLARA_TRTISURI": "127.0.0.1:8000",
    }


def test_the_triton_that_the_environment_names_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLARA_TRITON_URI", "http://gpu-server:8000")
    monkeypatch.setenv("CLARA_TRITON_GRPC", "gpu-server:8001")
    with Supervisor(tmp_path / "log") as supervisor:
        triton = servers.triton_of(supervisor, tmp_path)
    assert triton == servers.Triton("gpu-server:8000", "gpu-server:8001")


def test_without_models_there_is_no_triton() -> None:
    assert servers.platform_data(None) == {}
