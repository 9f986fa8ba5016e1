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
from dicom_listener.errors import BadRequest, Conflict, DestinationNotFound, RunNotFound, SeriesNotFound, Superseded
from dicom_listener.journal import Journal
from dicom_listener.journal.deliveries import Delivery, request_delivery
from dicom_listener.journal.groups import (
    FILES_LEVEL,
    Group,
    Start,
    find_group,
    find_group_of_series,
    make_runs,
    note_files_group,
)
from dicom_listener.journal.runs import Run, find_requested_run, find_run, move_run
from dicom_listener.live_config import LiveConfig
from dicom_listener.payloads import delivery_folder
from dicom_listener.scu import find_dicom_files
from dicom_listener.uploads import Upload, UploadWriter, group_of, uploaded_files


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
        start = self._with_destination(start, ae_title, dag_id)
        uploaded = bool(uploaded_files(self._data, group))
        run_id = self._journal.write(
            partial(_start_run, start=start, ae_title=ae_title, value=group, uploaded=uploaded)
        )
        self._on_runs()
        return self.run(run_id)

    def receive_files(self, content_type: str) -> UploadWriter:
        """Begin to take the files of a request.

        Raises:
            BadRequest: it is no multipart request.
        """
        clara = self._live.current.clara
        return UploadWriter(self._data, content_type, clara.uploads, clara.storage)

    def start_run_on_files(
        self,
        start: Start,
        ae_title: str,
        writer: UploadWriter,
        upload: Upload,
        series_group: str | None,
        dag_id: str | None = None,
    ) -> Run:
        """Run a workflow on files, beside what was received of a group if one is named; as the next generation.

        Args:
            writer: holds the files, which are kept under the hash of their content.

        Raises:
            BadRequest: we have no such AE title.
            SeriesNotFound, Conflict: nothing of the named group was received, or nothing of it is kept.
        """
        if self._live.current.called(ae_title) is None:
            raise BadRequest(f"ae_title: {ae_title!r} is not one of dicom.scp.ae-titles")
        if series_group is not None:
            self._journal.read(partial(_group_with_input, ae_title=ae_title, value=series_group, uploaded=False))
        start = self._with_destination(start, ae_title, dag_id)
        value = group_of(upload, series_group)
        writer.keep(value)
        run_id = self._journal.write(
            partial(_start_run_on_files, start=start, ae_title=ae_title, value=value, series_group=series_group)
        )
        self._on_runs()
        return self.run(run_id)

    def _with_destination(self, start: Start, ae_title: str, dag_id: str | None) -> Start:
        """The workflow as the mapping of the AE title calls it, and where its results go."""
        mappings = self._live.current.mappings(ae_title)
        mapped = [mapping for mapping in mappings if mapping.workflow in (start.workflow, dag_id)]
        if mapped:
            return replace(start, workflow=mapped[0].workflow, destination=mapped[0].destination_name)
        return replace(start, destination=mappings[0].destination_name) if mappings else start

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


def _start_run(database: sqlite3.Connection, start: Start, ae_title: str, value: str, uploaded: bool) -> str:
    made = find_requested_run(database, start.request_id) if start.request_id else None
    if made is not None:
        return made
    group = _group_with_input(database, ae_title, value, uploaded=uploaded)
    (run_id,) = make_runs(database, group, [start], run_facts(database, group.id), time.time())
    return run_id


def _start_run_on_files(
    database: sqlite3.Connection, start: Start, ae_title: str, value: str, series_group: str | None
) -> str:
    made = find_requested_run(database, start.request_id) if start.request_id else None
    if made is not None:
        return made
    now = time.time()
    if series_group is None:
        group = replace(note_files_group(database, ae_title, value), last_instance=now)
    else:
        group = replace(_group_with_input(database, ae_title, series_group, uploaded=False), value=value)
    (run_id,) = make_runs(database, group, [start], run_facts(database, group.id), now)
    return run_id


def _group_with_input(database: sqlite3.Connection, ae_title: str, value: str, *, uploaded: bool) -> Group:
    group = find_group(database, ae_title, value)
    if group is None:
        raise SeriesNotFound(f"AE title {ae_title} received nothing of {value}")
    if group.level == FILES_LEVEL and not uploaded:
        raise Conflict(f"{value}: its files are not kept any more; send them again")
    if group.level != FILES_LEVEL and group.instances == 0:
        raise Conflict(f"{value}: no image of it is kept ({group.reason}); have it sent again")
    return group


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
