"""The running listener: its parts put together, started, watched and stopped."""

import json
import logging
import os
import socket
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn

from clara_ops.contract import environment
from clara_ops.contract.documents import write_durably
from dicom_listener.airflow_client import AirflowClient
from dicom_listener.api import Sources, make_api
from dicom_listener.associations import Associations
from dicom_listener.completer import Completer
from dicom_listener.config import Api
from dicom_listener.delivery import Deliverer
from dicom_listener.errors import StartError
from dicom_listener.follow import Follower
from dicom_listener.intake import Intake
from dicom_listener.journal import Journal
from dicom_listener.journal.instances import end_all_associations, known_paths
from dicom_listener.live_config import LiveConfig
from dicom_listener.metrics import Metrics
from dicom_listener.receiver import Receiver
from dicom_listener.requests import Requests
from dicom_listener.retention import Retainer
from dicom_listener.spool import Spool
from dicom_listener.trigger import Trigger
from dicom_listener.uploads import clear_incoming
from dicom_listener.worker import Worker

log = logging.getLogger(__name__)

_WORKER_PATIENCE = 10.0
_API_PATIENCE = 5.0


@dataclass(frozen=True)
class Places:
    """Where the listener keeps things: the claim, the journal's file, and the file that says that it listens."""

    data: Path
    journal: Path
    ready_file: Path | None


class Service:
    """From `start` on it receives; `wait` returns when it was asked to stop or a part of it died."""

    def __init__(self, live: LiveConfig, places: Places) -> None:
        config = live.current
        self._live = live
        self._places = places
        self._token = _token(config.clara.api)
        self._stop = threading.Event()
        self._failed = False
        places.data.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(places.journal)
        self._spool = Spool(places.data)
        self._journal.write(lambda database: end_all_associations(database, time.time()))
        clear_incoming(places.data)
        orphans = self._spool.set_orphans_aside(self._journal.read(known_paths))
        if orphans:
            log.warning("files that were never acknowledged were set aside", extra={"count": orphans})
        self._spool.start()
        self._airflow = AirflowClient(config.services.platform_endpoint, config.clara.airflow)
        self._associations = Associations()
        complete, trigger, follow, deliver = (threading.Event() for _ in range(4))
        metrics = Metrics(self._journal, self._associations, places.data)
        completer = Completer(self._journal, self._spool.root, live, self._associations, complete.set, trigger.set)
        intake = Intake(self._journal, self._spool, live, self._associations, completer.instance_kept, metrics.answered)
        self._receiver = Receiver(live, intake, self._associations, completer, metrics.rejected)
        self._deliverer = Deliverer(self._journal, live, places.data, deliver.set)
        steps = (
            ("receive", self._receiver.step, threading.Event()),
            ("complete", completer.step, complete),
            ("trigger", Trigger(self._journal, self._airflow, places.data, follow.set).step, trigger),
            ("follow", Follower(self._journal, self._airflow).step, follow),
            ("deliver", self._deliverer.step, deliver),
            ("retain", Retainer(self._journal, live, places.data).step, threading.Event()),
        )
        self._workers = [Worker(name, step, bell, self._on_death) for name, step, bell in steps]
        requests = Requests(self._journal, live, places.data, trigger.set, deliver.set)
        sources = Sources(
            self._journal,
            requests,
            self._associations,
            places.data,
            self._not_ready,
            metrics.text,
            on_resume=partial(_ring, trigger, deliver),
        )
        self._api = _ApiServer(
            uvicorn.Config(
                make_api(sources, self._token),
                log_config=None,
                timeout_graceful_shutdown=3,
            ),
            config.clara.api,
        )

    def start(self) -> None:
        """Listen on both ports, then say so in the ready file.

        Raises:
            StartError: a port cannot be had.
        """
        self._api.start()
        for worker in self._workers:
            worker.start()
        dicom_port = self._receiver.start()
        facts = {"dicom_port": dicom_port, "api_url": self._api.url, "pid": os.getpid()}
        if self._places.ready_file is not None:
            write_durably(self._places.ready_file, json.dumps(facts).encode() + b"\n")
        log.info("listening", extra=facts)

    def request_stop(self) -> None:
        """Ask `wait` to return; safe in a signal handler."""
        self._stop.set()

    def wait(self) -> bool:
        """Until the listener is to stop; False when a part of it died."""
        self._stop.wait()
        return not self._failed

    def close(self) -> None:
        """Stop receiving, let open associations finish, end the workers, close the journal."""
        log.info("stopping")
        self._receiver.stop(self._live.current.clara.network.drain)
        for worker in self._workers:
            worker.stop(_WORKER_PATIENCE)
        self._deliverer.close()
        self._api.stop()
        self._airflow.close()
        self._spool.close()
        self._journal.close()
        if self._places.ready_file is not None:
            self._places.ready_file.unlink(missing_ok=True)
        log.info("stopped")

    def _on_death(self) -> None:
        self._failed = True
        self._stop.set()

    def _not_ready(self) -> str | None:
        if self._stop.is_set():
            return "stopping"
        dead = [worker for worker in self._workers if not worker.is_alive()]
        return "a worker does not run" if dead else None


class _ApiServer:
    """uvicorn in a thread, on a socket that is bound before."""

    def __init__(self, config: uvicorn.Config, api: Api) -> None:
        self._server = uvicorn.Server(config)
        self._api = api
        self._socket = socket.socket(socket.AF_INET6 if ":" in api.host else socket.AF_INET)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="api", daemon=True)
        self.url = ""

    def start(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((self._api.host, self._api.port))
        except OSError as error:
            where = f"{self._api.host}:{self._api.port}"
            raise StartError(f"{where}: the port of the REST interface cannot be opened: {error.strerror}") from error
        self.url = f"http://{self._api.host}:{self._socket.getsockname()[1]}"
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise StartError("the REST interface did not start: see the log")
            time.sleep(0.005)

    def stop(self) -> None:
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_API_PATIENCE)


def _ring(*bells: threading.Event) -> None:
    for bell in bells:
        bell.set()


def _token(api: Api) -> str:
    token = os.environ.get(environment.LISTENER_TOKEN, "")
    if not token and api.token_file is not None:
        try:
            token = api.token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise StartError(f"{api.token_file}: the token cannot be read: {error.strerror}") from error
    if not token:
        raise StartError(f"no token for the REST interface: set {environment.LISTENER_TOKEN}, or clara.api.token-file")
    return token
