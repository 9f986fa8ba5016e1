"""Fixtures of the listener's tests."""

import itertools
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.listener.peers import (
    TOKEN,
    AirflowHandler,
    FakeAirflow,
    Listener,
    ListenerProcess,
    Pacs,
    configuration,
    free_port,
    start_pacs,
)


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAirflow]:
    monkeypatch.setenv("CLARA_AIRFLOW_USERNAME", "clara")
    monkeypatch.setenv("CLARA_AIRFLOW_PASSWORD", "secret")
    fake = FakeAirflow()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (AirflowHandler,), {"airflow": fake}))
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    peer = Pacs(free_port())
    server = start_pacs(peer)
    yield peer
    server.shutdown()


Make = Callable[..., Listener]


@pytest.fixture
def write_config(tmp_path: Path, airflow: FakeAirflow, pacs: Pacs) -> Callable[..., Path]:
    """Writes a configuration into a folder of its own; answers the folder."""
    numbers = itertools.count()

    def write(**changes: Any) -> Path:
        folder = tmp_path / f"listener{next(numbers)}"
        folder.mkdir()
        (folder / "config.yaml").write_text(yaml.safe_dump(configuration(airflow.url, pacs.port, **changes)))
        return folder

    return write


@pytest.fixture
def make_listener(write_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Starts listeners in this process."""
    yield from _maker(Listener, write_config, monkeypatch)


@pytest.fixture
def make_process(write_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Starts listeners in processes of their own."""
    yield from _maker(ListenerProcess, write_config, monkeypatch)


def _maker(kind: type[Listener], write_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setenv("CLARA_LISTENER_TOKEN", TOKEN)
    started: list[Listener] = []

    def make(**changes: Any) -> Listener:
        listener = kind(write_config(**changes))
        started.append(listener)
        listener.start()
        return listener

    yield make
    for listener in started:
        listener.stop()
