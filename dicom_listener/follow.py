"""Follows triggered runs in Airflow to their end."""

import logging
import time
from collections.abc import Callable
from functools import partial

from clara_ops.contract.states import RunState
from dicom_listener.airflow_client import AirflowClient, DagRun
from dicom_listener.backoff import retry_delay
from dicom_listener.errors import AirflowError
from dicom_listener.journal import Journal
from dicom_listener.journal.runs import ACTIVE, Run, move_run, runs_in, settle_delivered

log = logging.getLogger(__name__)

_SHORTEST, _LONGEST = 1.0, 30.0
_AGE_SHARE = 0.05
_ACTIVE = partial(runs_in, states=ACTIVE)


class Follower:
    """The step of a worker. Young runs are asked for every second, old ones less often."""

    def __init__(self, journal: Journal, airflow: AirflowClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._journal = journal
        self._airflow = airflow
        self._clock = clock
        self._due: dict[str, float] = {}
        self._failing_since: float | None = None

    def step(self) -> float:
        """Ask for the runs that are due; answers the seconds until the next one is."""
        active = self._journal.read(_ACTIVE)
        names = {run.run_id for run in active}
        self._due = {name: when for name, when in self._due.items() if name in names}
        for run in active:
            if self._due.get(run.run_id, 0) > self._clock():
                continue
            try:
                self._ask(run)
            except AirflowError as error:
                return self._wait_for_airflow(error)
            self._failing_since = None
            age = max(0.0, time.time() - (run.triggered or run.created))
            self._due[run.run_id] = self._clock() + min(max(age * _AGE_SHARE, _SHORTEST), _LONGEST)
        return max(0.0, min(self._due.values(), default=self._clock() + _LONGEST) - self._clock())

    def _wait_for_airflow(self, error: AirflowError) -> float:
        if self._failing_since is None:
            log.warning("runs cannot be followed", extra={"reason": str(error)})
            self._failing_since = self._clock()
        return retry_delay(self._clock() - self._failing_since)

    def _ask(self, run: Run) -> None:
        found = self._airflow.dag_run(run.dag_id or "", run.run_id)
        state, reason = _judge(found)
        if state is None or (state is RunState.RUNNING and run.state != RunState.TRIGGERED):
            return
        now = time.time()
        if state is RunState.DONE:
            self._journal.write(partial(settle_delivered, run_id=run.run_id, now=now))
        self._journal.write(partial(move_run, run_id=run.run_id, state=state, reason=reason, now=now))
        if state is not RunState.RUNNING:
            log.info("run ended", extra={"run": run.run_id, "state": state, "reason": reason})


def _judge(found: DagRun | None) -> tuple[RunState | None, str]:
    if found is None:
        return RunState.FAILED, "Airflow does not know the run any more"
    if found.state == "running":
        return RunState.RUNNING, ""
    if found.state == "success":
        return RunState.DONE, ""
    if found.state == "failed":
        return RunState.FAILED, f"task {found.failed_task} failed" if found.failed_task else "the DAG run failed"
    return None, ""
