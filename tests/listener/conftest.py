"""Fixtures of the listener's tests."""

import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.listener.peers import AirflowHandler, FakeAirflow, Listener, Pacs, configuration, free_port, start_pacs


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


@pytest.fixture
def make_listener(tmp_path: Path, airflow: FakeAirflow, pacs: Pacs) -> Iterator[Callable[..., Listener]]:
    started: list[Listener] = []

    def make(**changes: Any) -> Listener:
        folder = tmp_path / f"listener{len(started)}"
        folder.mkdir()
        (folder / "config.yaml").write_text(yaml.safe_dump(configuration(airflow.url, pacs.port, **changes)))
        listener = Listener(folder)
        listener.start()
        started.append(listener)
        return listener

    yield make
    for listener in started:
        if listener.process is not None and listener.process.poll() is None:
            listener.stop()
