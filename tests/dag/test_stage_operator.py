"""Stages as pods: the operator against localkube, from the pod's start to what its end means for the task."""

import json
import multiprocessing
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from kubernetes import client, config

from clara_ops.dag import pod_watch, stage_operator
from clara_ops.dag.errors import (
    DeadlineExceeded,
    ImageUnavailable,
    MemoryExhausted,
    OutOfMemory,
    PodConfigurationError,
    PodLost,
    PodRefused,
    PodUnschedulable,
    StageError,
    StageInputRefused,
    WorkflowTimeout,
)
from clara_ops.dag.running_time import USED
from clara_ops.dag.stage_operator import StageOperator
from clara_ops.workflow.catalogue import load_catalogue
from clara_ops.workflow.fields import SecretKey
from clara_ops.workflow.loading import load_workflows

from .conftest import OWN_CATALOGUE, ROOT
from .service import Service, running

RUN = "ct-ai-0123456789abcdef0123-g1"
RESULT = f"GET /v1/payloads/{RUN}/result?folder=dicom-reader%2Foutput"


@dataclass(frozen=True)
class Cluster:
    """A pod API, and the folder that its claim leads to."""

    payload: Path
    kubeconfig: Path

    @property
    def api(self) -> client.CoreV1Api:
        """A client of it."""
        configuration = client.Configuration()
        config.load_kube_config(str(self.kubeconfig), client_configuration=configuration)
        return client.CoreV1Api(client.ApiClient(configuration))

    def pods(self) -> list[str]:
        """The pods that are there."""
        return [pod.metadata.name for pod in self.api.list_namespaced_pod("clara").items]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """localkube with one payload."""
    folder = tmp_path_factory.mktemp("cluster")
    payload = folder / "data" / "payloads" / RUN
    for name in ("dicom/input", "dicom-reader/output", "locks", "logs", "publish/dicom-reader"):
        (payload / name).mkdir(parents=True)
    (payload / "payload.json").write_text("{}")
    (folder / "images.yaml").write_text("images: {clara-stages: {}}\n")
    kubeconfig = folder / "kubeconfig"
    command = [sys.executable, "-m", "clara_ops.localkube.command", "serve", "--state", str(folder / "state")]
    command += ["--kubeconfig", str(kubeconfig), "--claim", f"clara-data={folder / 'data'}"]
    command += ["--images", str(folder / "images.yaml"), "--cpu", "4", "--memory", "8Gi"]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log, cwd=ROOT) as process:
        try:
            wait_for(kubeconfig.exists, 20)
            yield Cluster(payload, kubeconfig)
        finally:
            process.terminate()


@pytest.fixture
def connected(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Airflow connections to the pod API and to a listener."""
    extra = {"kube_config_path": str(cluster.kubeconfig), "namespace": "clara"}
    monkeypatch.setenv("AIRFLOW_CONN_CLARA_KUBERNETES", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    with running(Service({})) as listener:
        connection = {"conn_type": "http", "host": "127.0.0.1", "port": listener.port, "schema": "http"}
        monkeypatch.setenv("AIRFLOW_CONN_CLARA_LISTENER", json.dumps(connection))
        yield listener


def wait_for(holds: Callable[[], Any], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def stage_task(script: str, **changes: Any) -> StageOperator:
    """The task of a stage that runs a shell script."""
    path = ROOT / "dags" / "workflows" / "organ-seg.yaml"
    (workflow,) = load_workflows(path, load_catalogue([OWN_CATALOGUE]))
    stage = workflow.stages[0]
    when, env = changes.pop("when", None), changes.pop("env", {})
    memory = {"memory": changes.pop("memory", "512Mi"), "memory_retry": changes.pop("memory_retry", None)}
    resources = stage.resources.model_copy(update={"cpu": "1", **memory})
    timeout = changes.pop("timeout", stage.timeout)
    entry = stage.entry.model_copy(update={"command": ("sh", "-c", script), **changes})
    stage = replace(stage, entry=entry, resources=resources, args=(), when=when, env=env, timeout=timeout)
    return StageOperator(workflow=replace(workflow, stages=(stage,)), stage=stage, task_id=stage.name)


def run(
    task: StageOperator,
    try_number: int = 1,
    store: dict[str, Any] | None = None,
    used: dict[str, float] | None = None,
    max_tries: int = 2,
    **facts: Any,
) -> dict[str, Any]:
    """Execute as Airflow's task runner does, and tell what the task hands on.

    Args:
        store: what is kept from try to try.
        used: what earlier stages have handed on.
        max_tries: which Airflow raises when a person clears the task.
    """
    xcoms: dict[str, Any] = {}
    instance = SimpleNamespace(
        dag_id="organ-seg",
        task_id=task.task_id,
        try_number=try_number,
        max_tries=max_tries,
        map_index=-1,
        xcom_push=lambda key, value: xcoms.update({key: value}),
        xcom_pull=lambda task_ids, **_: (used or {}).get(task_ids),
    )
    conf = {"payload": RUN, "facts": facts}
    dag = SimpleNamespace(parent_dag=None)
    kept = SimpleNamespace(get=store.get, set=store.__setitem__) if store is not None else None
    context: Any = {"ti": instance, "run_id": RUN, "dag": dag, "dag_run": SimpleNamespace(conf=conf)}
    context["task_state_store"] = kept
    task.render_template_fields(context)
    task.execute(context)
    return xcoms


@pytest.fixture
def no_pods_left(cluster: Cluster) -> Iterator[None]:
    """Whatever became of the task, its pod is gone."""
    yield
    wait_for(lambda: cluster.pods() == [], 20)


pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("connected", "no_pods_left")]


def test_a_stage_works_in_its_own_payload(cluster: Cluster) -> None:
    (cluster.payload / "dicom" / "input" / "slice").write_text("pixels")
    run(stage_task('cat /app/input/slice /app/dicom/slice > /app/output/result; echo "$CLARA_RUN_ID" > /app/logs/id'))
    assert (cluster.payload / "dicom-reader" / "output" / "result").read_text() == "pixelspixels"
    assert (cluster.payload / "logs" / "id").read_text() == f"{RUN}\n"


def test_the_log_of_a_stage_is_the_log_of_its_task(capsys: pytest.CaptureFixture[str]) -> None:
    run(stage_task("echo first; sleep 0.3; echo 'WARNING: last'"))
    log = capsys.readouterr().out
    assert re.search(r"info +\] first ", log)
    assert re.search(r"warning +\] WARNING: last", log)


def test_a_short_stage_takes_a_short_time() -> None:
    """The provider's own waiting costs seconds for each stage; a watch costs none."""
    run(stage_task("true"))
    start = time.monotonic()
    run(stage_task("true"))
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("script", "changes", "kind", "words"),
    [
        ("echo 'no CT' > /dev/termination-log; exit 65", {}, StageInputRefused, "refused its input: no CT"),
        ("echo boom; exit 3", {}, StageError, "failed with exit code 3: boom"),
        ("sleep 30", {"timeout": 1}, DeadlineExceeded, "longer than its 1 s"),
    ],
)
def test_the_end_of_a_pod_is_told_by_its_cause(
    script: str, changes: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as raised:
        run(stage_task(script, **changes))
    assert type(raised.value) is kind


# it holds on to the memory: localkube looks every tenth of a second, where a cgroup would be at once
HUNGRY = "exec python3 -c 'import time; x = bytearray(2**28); x[::4096] = bytes(2**16); time.sleep(2)'"


def test_a_stage_that_needs_more_memory_gets_it_once() -> None:
    store: dict[str, Any] = {}
    with pytest.raises(OutOfMemory, match=r"more memory than its limit \(128Mi\)"):
        run(stage_task(HUNGRY, memory="128Mi", memory_retry="512Mi"), store=store)
    run(stage_task(HUNGRY, memory="128Mi", memory_retry="512Mi"), 2, store)


def test_a_stage_that_needs_more_than_there_is_fails_at_once() -> None:
    store: dict[str, Any] = {}
    with pytest.raises(MemoryExhausted, match="128Mi"):
        run(stage_task(HUNGRY, memory="128Mi"), store=store)
    store["clara_out_of_memory"] = True
    with pytest.raises(MemoryExhausted, match="144Mi"):
        run(stage_task(HUNGRY, memory="128Mi", memory_retry="144Mi"), 2, store)


def after(*names: str, timeout: int, task: StageOperator) -> StageOperator:
    """The same task, after other stages and in a workflow with this much running time."""
    task.stage = replace(task.stage, after=names)
    task.workflow = replace(task.workflow, timeout=timeout)
    return task


def test_running_time_is_handed_on_along_the_longest_chain() -> None:
    task = after("left", "right", "skipped", timeout=600, task=stage_task("sleep 1.2"))
    used = run(task, used={"left": 20.5, "right": 10.0})[USED]
    assert 21.5 <= used <= 30, "times of containers are whole seconds"


def test_a_stage_gets_what_is_left_of_the_workflows_running_time() -> None:
    task = after("reader", timeout=600, task=stage_task("sleep 30"))
    with pytest.raises(DeadlineExceeded, match=r"longer than its 1 s \(its timeout in the catalogue, or what was left"):
        run(task, used={"reader": 598.7})
    with pytest.raises(
        WorkflowTimeout, match=r"used up its 600 s of running time: 599 s .* of stage 'dicom-reader'; raise"
    ):
        run(task, used={"reader": 599.2})


def test_tries_that_failed_use_running_time_until_a_person_clears_the_task() -> None:
    store: dict[str, Any] = {}

    def task(timeout: int) -> StageOperator:
        return after(timeout=timeout, task=stage_task("sleep 1.2; exit 3"))

    with pytest.raises(StageError, match="exit code 3"):
        run(task(600), store=store)
    with pytest.raises(WorkflowTimeout, match="used up its 1 s of running time"):
        run(task(1), 2, store)
    with pytest.raises(StageError, match="exit code 3"):
        run(task(600), 3, store, max_tries=4)


def test_a_pod_api_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cluster: Cluster) -> None:
    text = re.sub(r"server: .*", "server: http://127.0.0.1:1", cluster.kubeconfig.read_text())
    (tmp_path / "kubeconfig").write_text(text)
    extra = {"kube_config_path": str(tmp_path / "kubeconfig"), "namespace": "clara"}
    monkeypatch.setenv("AIRFLOW_CONN_CLARA_KUBERNETES", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    monkeypatch.setenv("AIRFLOW__WORKERS__API_RETRIES", "1")
    with pytest.raises(StageError, match="the pod API does not answer"):
        run(stage_task("true"))


def test_an_image_that_is_not_there(cluster: Cluster) -> None:
    task = stage_task("true", command=None)
    image = task.stage.entry.image.model_copy(update={"repository": "nowhere/nothing"})
    task.stage = replace(task.stage, entry=task.stage.entry.model_copy(update={"image": image}))
    with pytest.raises(ImageUnavailable, match=r"image 'nowhere/nothing:0.1.0' cannot be pulled"):
        run(task)


def test_a_pod_that_the_api_does_not_take(cluster: Cluster) -> None:
    task = stage_task("true")
    task.workflow = replace(task.workflow, timeout=2**40)
    task.stage = replace(task.stage, timeout=2**40)
    with pytest.raises(PodRefused, match=r"refuses its pod: Pod .* is invalid: spec.activeDeadlineSeconds"):
        run(task)


def test_a_pod_that_no_node_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_watch, "_START_SECONDS", 0.2)
    task = stage_task("true", memory="1Ti")
    task.schedule_timeout_seconds = 1
    task.startup_check_interval_seconds = 0.5
    with pytest.raises(PodUnschedulable, match=r"no node took its pod: .*memory"):
        run(task)


def test_a_task_that_a_person_ends_leaves_no_pod(cluster: Cluster) -> None:
    """Airflow calls `on_kill` in the task's process when someone marks the task, or the run, in the UI."""
    task = stage_task("exec sleep 60")

    def work() -> None:
        with pytest.raises(PodLost):
            run(task)

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: task.pod is not None and cluster.pods(), 20)
    time.sleep(0.5)
    task.on_kill()
    wait_for(lambda: cluster.pods() == [], 20)
    thread.join(30)
    assert not thread.is_alive()


def test_a_secret_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_watch, "CONFIGURATION_SECONDS", 0)
    monkeypatch.setattr(stage_operator, "_POLL_SECONDS", 0.1)
    with pytest.raises(PodConfigurationError, match=r'secret "site" not found; create it in namespace .clara'):
        run(stage_task("true", env={"SITE_KEY": SecretKey(secret="site", key="key")}))


def test_a_pod_waits_a_while_for_its_secret(cluster: Cluster) -> None:
    def create() -> None:
        wait_for(cluster.pods, 20)
        time.sleep(0.5)
        body = {"metadata": {"name": "late"}, "stringData": {"key": "from a secret"}}
        cluster.api.create_namespaced_secret("clara", body)

    thread = threading.Thread(target=create)
    thread.start()
    script = 'echo "$SITE_KEY" > /app/output/key'
    task = stage_task(script, env={"SITE_KEY": SecretKey(secret="late", key="key")})
    task.startup_check_interval_seconds = 0.2
    run(task)
    thread.join()
    assert (cluster.payload / "dicom-reader" / "output" / "key").read_text() == "from a secret\n"


def test_a_pod_that_is_deleted_from_outside_was_lost(cluster: Cluster) -> None:
    def delete() -> None:
        wait_for(cluster.pods, 10)
        time.sleep(0.5)
        for name in cluster.pods():
            cluster.api.delete_namespaced_pod(name, "clara", grace_period_seconds=0)

    thread = threading.Thread(target=delete)
    thread.start()
    with pytest.raises(PodLost):
        run(stage_task("sleep 20"))
    thread.join()


def test_nothing_to_do_needs_a_reason(connected: Service) -> None:
    connected.answers[RESULT] = [(200, {"version": 1, "reason": "no liver", "facts": {}})]
    with pytest.raises(AirflowSkipException, match="stage 'dicom-reader' had nothing to do: no liver"):
        run(stage_task("exit 99"))
    connected.answers[RESULT] = [(404, {"error": "ResultNotFound", "message": "none"})]
    with pytest.raises(StageError, match=r"gave no reason in result\.json"):
        run(stage_task("exit 99"))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"modality": "MR"}, "is not met: modality is 'MR', not eq 'CT'"),
        ({}, "cannot be decided: modality is missing"),
    ],
)
def test_a_stage_whose_when_is_not_met_starts_no_pod(cluster: Cluster, facts: dict[str, str], words: str) -> None:
    (cluster.payload / "dicom-reader" / "output" / "ran").unlink(missing_ok=True)
    task = stage_task("touch /app/output/ran", when={"attribute": "modality", "op": "eq", "value": "CT"})
    with pytest.raises(AirflowSkipException, match=f"stage 'dicom-reader' is left out, its 'when' {words}"):
        run(task, **facts)
    assert not (cluster.payload / "dicom-reader" / "output" / "ran").exists()
    run(task, modality="CT")
    assert (cluster.payload / "dicom-reader" / "output" / "ran").exists()


def test_when_reads_what_an_earlier_stage_found(connected: Service) -> None:
    task = stage_task("true", when={"attribute": "dicom-reader.slices", "op": "gt", "value": 10})
    connected.answers[RESULT] = [(200, {"version": 1, "facts": {"slices": 3}})]
    with pytest.raises(AirflowSkipException, match=r"dicom-reader\.slices is 3, not gt 10"):
        run(task)
    connected.answers[RESULT] = [(200, {"version": 1, "facts": {"slices": 30}})]
    run(task)


def test_a_next_try_takes_over_the_pod_of_a_worker_that_was_killed(cluster: Cluster) -> None:
    """The first try dies without a word; the second finds its pod by its labels, and there is never another."""
    (cluster.payload / "dicom-reader" / "output" / "starts").unlink(missing_ok=True)
    script = "echo x >> /app/output/starts; sleep 5"
    starts = cluster.payload / "dicom-reader" / "output" / "starts"
    killed = multiprocessing.get_context("fork").Process(target=run, args=(stage_task(script),))
    killed.start()
    wait_for(starts.exists, 60)
    killed.kill()
    killed.join()
    run(stage_task(script), try_number=2)
    assert starts.read_text() == "x\n"


def test_a_next_try_takes_over_what_has_ended_well_meanwhile(cluster: Cluster) -> None:
    """Minutes may pass until a killed worker is noticed: what the stage did by then is not done again."""
    starts = cluster.payload / "dicom-reader" / "output" / "starts"
    starts.unlink(missing_ok=True)
    script = "echo x >> /app/output/starts; sleep 0.5"
    killed = multiprocessing.get_context("fork").Process(target=run, args=(stage_task(script),))
    killed.start()
    wait_for(starts.exists, 60)
    killed.kill()
    killed.join()
    wait_for(lambda: cluster.api.list_namespaced_pod("clara").items[0].status.phase == "Succeeded", 10)
    run(stage_task(script), try_number=2)
    assert starts.read_text() == "x\n"
