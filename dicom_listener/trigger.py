"""The outbox: pending runs go to Airflow in the order in which they were made, for as long as it takes."""

import json
import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from clara_ops.contract.conf import RunConf, to_conf
from clara_ops.contract.states import RunState
from dicom_listener.airflow_client import AirflowClient
from dicom_listener.backoff import retry_delay
from dicom_listener.errors import AirflowError, AirflowRefused
from dicom_listener.journal import Journal
from dicom_listener.journal.pauses import find_pause
from dicom_listener.journal.runs import Run, hold_pending, mark_triggered, move_run, run_instances, runs_in
from dicom_listener.payloads import build_payload
from dicom_listener.predecessors import delivered_before, written_before

log = logging.getLogger(__name__)

_LONGEST_SLEEP = 60.0


class Trigger:
    """The step of a worker. A workflow that Airflow does not take now waits as a whole, so that its order stays."""

    def __init__(
        self,
        journal: Journal,
        airflow: AirflowClient,
        data: Path,
        on_triggered: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._airflow = airflow
        self._data = data
        self._on_triggered = on_triggered
        self._clock = clock
        self._failing_since: dict[str, float] = {}
        self._not_before: dict[str, float] = {}

    def step(self) -> float:
        """Trigger what can be triggered now; answers the seconds until the next attempt."""
        if self._journal.read(find_pause) is not None:
            return _LONGEST_SLEEP
        for run in self._journal.read(_pending):
            if self._clock() >= self._not_before.get(run.workflow, 0):
                self._attempt(run)
        waiting = {run.workflow for run in self._journal.read(_pending)}
        for workflow in set(self._not_before) - waiting:
            self._forget(workflow)
        now = self._clock()
        return max(0.0, min((self._not_before.get(name, now) for name in waiting), default=now + _LONGEST_SLEEP) - now)

    def _attempt(self, run: Run) -> None:
        try:
            instances = self._journal.read(partial(run_instances, run=run))
            predecessors = written_before(self._data, self._journal.read(partial(delivered_before, run=run)))
            build_payload(self._data, run, instances, predecessors)
            dag_id = self._airflow.find_dag(run.workflow)
            new = self._airflow.trigger(dag_id, run.run_id, _conf(run))
        except AirflowRefused as error:
            self._move(run, RunState.FAILED, str(error))
            return
        except (AirflowError, OSError) as error:
            self._hold(run, str(error))
            return
        reason = "" if new else "Airflow had this run already"
        self._journal.write(partial(mark_triggered, run=run, dag_id=dag_id, reason=reason, now=time.time()))
        self._forget(run.workflow)
        log.info("run triggered", extra={"run": run.run_id, "dag": dag_id, "new": new})
        self._on_triggered()

    def _hold(self, run: Run, reason: str) -> None:
        now = self._clock()
        since = self._failing_since.setdefault(run.workflow, now)
        self._not_before[run.workflow] = now + retry_delay(now - since)
        if reason != run.reason:
            log.warning("run held", extra={"run": run.run_id, "reason": reason})
            self._journal.write(partial(hold_pending, workflow=run.workflow, reason=reason, now=time.time()))

    def _move(self, run: Run, state: RunState, reason: str) -> None:
        log.error("run failed", extra={"run": run.run_id, "reason": reason})
        self._journal.write(partial(move_run, run_id=run.run_id, state=state, reason=reason, now=time.time()))

    def _forget(self, workflow: str) -> None:
        self._failing_since.pop(workflow, None)
        self._not_before.pop(workflow, None)


_pending = partial(runs_in, states=(RunState.PENDING,))


def _conf(run: Run) -> dict[str, object]:
    conf = RunConf(
        payload=run.run_id,
        ae_title=run.ae_title,
        calling_ae=run.calling_ae,
        study_uid=run.study_uid,
        series_uid=run.series_uid,
        group=run.group_value,
        generation=run.generation,
        facts=json.loads(run.facts),
        parameters=json.loads(run.parameters),
    )
    return to_conf(conf)
