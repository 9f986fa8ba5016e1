"""What the REST interface asks of the listener, without HTTP."""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from clara_ops.contract.states import DeliveryState, RunState, SeriesState
from dicom_listener.completer import choose_for, close_group, run_facts
from dicom_listener.completion import Decision
from dicom_listener.errors import Conflict, DestinationNotFound, RunNotFound, SeriesNotFound, Superseded
from dicom_listener.journal import Journal
from dicom_listener.journal.deliveries import Delivery, request_delivery
from dicom_listener.journal.groups import Group, Start, find_group, find_group_of_series, make_runs
from dicom_listener.journal.runs import Run, find_requested_run, find_run, move_run
from dicom_listener.live_config import LiveConfig
from dicom_listener.payloads import delivery_folder
from dicom_listener.scu import find_dicom_files


class Requests:
    """Changes that people and DAGs ask for."""

    def __init__(
        self,
        journal: Journal,
        live: LiveConfig,
        data: Path,
        on_runs: Callable[[], None],
        on_delivery: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._live = live
        self._data = data
        self._spool = data / "spool"
        self._on_runs = on_runs
        self._on_delivery = on_delivery

    def run(self, run_id: str) -> Run:
        """A run.

        Raises:
            RunNotFound.
        """
        run = self._journal.read(partial(find_run, run_id=run_id))
        if run is None:
            raise RunNotFound(f"there is no run {run_id}")
        return run

    def start_run(self, start: Start, ae_title: str, group: str, dag_id: str | None = None) -> Run:
        """Run a workflow on what was received of a group, as the next generation; a request asked again is one run.

        Args:
            start: the workflow; its destination is that of the mapping.
            dag_id: the workflow's name, where `start` has its id.

        Raises:
            SeriesNotFound: nothing of that group was received by that AE title.
        """
        mappings = self._live.current.mappings(ae_title)
        mapped = [mapping for mapping in mappings if mapping.workflow in (start.workflow, dag_id)]
        if mapped:
            start = replace(start, workflow=mapped[0].workflow, destination=mapped[0].destination_name)
        elif mappings:
            start = replace(start, destination=mappings[0].destination_name)
        run_id = self._journal.write(partial(_start_run, start=start, ae_title=ae_title, value=group))
        self._on_runs()
        return self.run(run_id)

    def report_state(self, run_id: str, state: RunState, reason: str) -> Run:
        """Note what the DAG says of its run; a run at its end stays there.

        Raises:
            RunNotFound.
        """
        self.run(run_id)
        self._journal.write(partial(move_run, run_id=run_id, state=state, reason=reason, now=time.time()))
        return self.run(run_id)

    def release_series(self, series_uid: str, ae_title: str) -> list[str]:
        """Run the workflows of a held group as it is; answers the run ids.

        Raises:
            SeriesNotFound, Conflict.
        """
        group = self._journal.read(partial(_held_group, series_uid=series_uid, ae_title=ae_title))
        choice = choose_for(self._journal, self._spool, self._live.current, group, by_person=True)
        close = partial(
            close_group,
            group=group,
            decision=Decision(SeriesState.COMPLETE, "released by a person"),
            grounds={"asked": True},
            choice=choice,
            now=time.time(),
        )
        run_ids = self._journal.write(close)
        if run_ids is None:
            raise Conflict(f"series {series_uid} got another instance just now; look at it, and ask again")
        self._on_runs()
        return run_ids

    def deliver(self, payload: str, folder: str, destination: str | None) -> Delivery:
        """Have a folder of a payload sent; the same three get the same delivery.

        Raises:
            PayloadNotFound, BadRequest, DestinationNotFound, Superseded.
        """
        path = delivery_folder(self._data, payload, folder)
        if destination is not None and self._live.current.destination(destination) is None:
            raise DestinationNotFound(f"dicom.scu.destinations has no {destination!r}")
        empty = not (path.is_dir() and find_dicom_files(path))
        delivery = self._journal.write(
            partial(_request_delivery, payload=payload, folder=folder, destination=destination, empty=empty)
        )
        self._on_delivery()
        return delivery


def _start_run(database: sqlite3.Connection, start: Start, ae_title: str, value: str) -> str:
    made = find_requested_run(database, start.request_id) if start.request_id else None
    if made is not None:
        return made
    group = find_group(database, ae_title, value)
    if group is None:
        raise SeriesNotFound(f"AE title {ae_title} received nothing of {value}")
    if group.instances == 0:
        raise Conflict(f"{value}: no image of it is kept ({group.reason}); have it sent again")
    (run_id,) = make_runs(database, group, [start], run_facts(database, group.id), time.time())
    return run_id


def _held_group(database: sqlite3.Connection, series_uid: str, ae_title: str) -> Group:
    group = find_group_of_series(database, ae_title, series_uid)
    if group is None:
        raise SeriesNotFound(f"AE title {ae_title} received nothing of series {series_uid}")
    if group.state != SeriesState.HELD:
        raise Conflict(f"series {series_uid} is not held but {group.state}")
    return group


def _request_delivery(
    database: sqlite3.Connection, payload: str, folder: str, destination: str | None, empty: bool
) -> Delivery:
    run = find_run(database, payload)
    if run is None:
        raise RunNotFound(f"there is no run {payload}")
    if run.state == RunState.SUPERSEDED:
        raise Superseded(f"run {payload} is superseded {run.reason}: its result must not be delivered")
    target = destination or run.destination or ""
    state, reason = DeliveryState.SENDING, ""
    if empty:
        state, reason = DeliveryState.SKIPPED, f"{folder} holds no DICOM file"
    elif not target:
        state, reason = DeliveryState.SKIPPED, "the mapping names no destination"
    return request_delivery(database, payload, folder, target, state, reason, time.time())
