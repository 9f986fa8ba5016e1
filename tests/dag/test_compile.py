"""From workflow to DAG: tasks, edges, pools and rules, and that Airflow can keep and give back what was compiled."""

import copy
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models.serialized_dag import SerializedDagModel
from airflow.sdk import DAG, RetryAction, TriggerRule
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization
from kubernetes.client import ApiClient

from clara_ops.dag.compile import GPU_POOL, compile_file
from clara_ops.dag.errors import (
    DeadlineExceeded,
    ImageUnavailable,
    OutOfMemory,
    PodConfigurationError,
    PodLost,
    PodRefused,
    StageError,
)
from clara_ops.dag.stage_operator import PULLING_SECONDS, WAITING_SECONDS, StageOperator
from clara_ops.workflow.catalogue import Catalogue, load_catalogue
from clara_ops.workflow.pod import stage_pod

from .conftest import OWN_CATALOGUE, ROOT

RUN = "ct-ai-0123456789abcdef0123-g1"
BRANCHES = """\
id: 7b413e24-d018-4689-8c41-73272f6649d4
name: branches
priority: immediate
parameters:
  workers: {type: integer, default: 3, minimum: 1, maximum: 8, help: "slices at once, {{ 1 / 0 }}"}
  note: {default: "none"}
destinations: [ARCHIVE, READER]
stages:
  - {stage: dicom-reader, args: "--workers ${workers}", env: {NOTE: "${note}", TITLE: "{{ run_id }} {% raw %}"}}
  - {stage: ai-vnet, name: left, args: ["--model", "{{ 1 / 0 }}"]}
  - {stage: ai-vnet, name: right, after: dicom-reader}
  - stage: dicom-writer
    after: [left, right]
    env: {KEY: {secret: site, key: key}}
    resources: {shm: 1Gi}
    placement:
      runtimeClassName: gvisor
      nodeSelector: {disk: fast}
      tolerations: [{key: night, value: "true", effect: NoExecute, tolerationSeconds: 60}]
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [a]}]}]
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - {weight: 1, podAffinityTerm: {topologyKey: zone, labelSelector: {matchLabels: {app: pacs}}}}
  - {stage: dicom-writer, name: quick-writer, after: left}
"""


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The stages that the project ships."""
    return load_catalogue([OWN_CATALOGUE])


@pytest.fixture(scope="module")
def organ_seg(catalogue: Catalogue) -> DAG:
    """The main workflow."""
    (dag,) = compile_file(ROOT / "dags" / "workflows" / "organ-seg.yaml", catalogue)
    return dag


@pytest.fixture(scope="module")
def branches(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> DAG:
    """A workflow with branches and a join."""
    path = tmp_path_factory.mktemp("branches") / "branches.yaml"
    path.write_text(BRANCHES)
    (dag,) = compile_file(path, catalogue)
    return dag


def context(**parameters: Any) -> Any:
    return {"run_id": RUN, "dag_run": SimpleNamespace(conf={"payload": RUN, **parameters})}


def edges(dag: Any) -> dict[str, set[str]]:
    return {task.task_id: set(task.downstream_task_ids) for task in dag.tasks}


def test_the_main_workflow_is_a_chain(organ_seg: DAG) -> None:
    assert edges(organ_seg) == {
        "prepare": {"dicom-reader"},
        "dicom-reader": {"ai-vnet"},
        "ai-vnet": {"dicom-writer"},
        "dicom-writer": {"publish", "deliver"},
        "publish": set(),
        "deliver": set(),
    }


def test_a_run_starts_only_when_it_is_asked_for(organ_seg: DAG) -> None:
    assert organ_seg.schedule is None
    assert organ_seg.catchup is False
    assert organ_seg.is_paused_upon_creation is False
    assert organ_seg.max_active_runs == organ_seg.max_active_tasks == 1000
    assert organ_seg.tags == {"clara", "1db65f99-c9b7-4329-ab9c-d519e0557638"}


def test_only_stages_with_a_gpu_queue_for_one(organ_seg: DAG) -> None:
    pools = {task.task_id: task.pool for task in organ_seg.tasks}
    assert {name for name, pool in pools.items() if pool == GPU_POOL} == {"ai-vnet"}


def test_branches_and_joins(branches: DAG) -> None:
    assert edges(branches) == {
        "prepare": {"dicom-reader"},
        "dicom-reader": {"left", "right"},
        "left": {"dicom-writer", "quick-writer"},
        "right": {"dicom-writer"},
        "dicom-writer": {"publish", "deliver"},
        "quick-writer": {"publish", "deliver"},
        "publish": set(),
        "deliver": set(),
    }
    rules = {task.task_id: task.trigger_rule for task in branches.tasks}
    joins = {name for name, rule in rules.items() if rule == TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS}
    assert joins == {"dicom-writer", "publish", "deliver"}


def test_priority_is_the_weight_of_every_task(branches: DAG, organ_seg: DAG) -> None:
    assert {task.priority_weight for task in branches.tasks} == {1000}
    assert {task.priority_weight for task in organ_seg.tasks} == {10}
    assert {task.weight_rule for task in branches.tasks} == {"absolute"}


def test_what_is_delivered_and_where(branches: DAG) -> None:
    deliver = branches.get_task("deliver")
    assert deliver.folders == ("dicom-writer/output", "quick-writer/output")
    assert deliver.destinations == ("ARCHIVE", "READER")


def test_the_payload_gets_every_folder_that_a_pod_mounts(branches: DAG, catalogue: Catalogue) -> None:
    prepare = branches.get_task("prepare")
    made = {prepare.input_folder, *prepare.folders, "locks", "logs", "payload.json"}
    for task in branches.tasks:
        if isinstance(task, StageOperator):
            for mount in stage_pod(task.workflow, task.stage, RUN)["spec"]["containers"][0]["volumeMounts"]:
                if mount["name"] == "data":
                    assert mount["subPath"].removeprefix(f"payloads/{RUN}/") in made


def test_a_task_may_take_as_long_as_its_pod_its_waiting_and_a_minute(organ_seg: DAG) -> None:
    task = organ_seg.get_task("ai-vnet")
    assert task.execution_timeout == timedelta(seconds=300 + WAITING_SECONDS + PULLING_SECONDS + 60)
    assert task.retries >= 1
    assert task.durable is True


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (PodLost("x"), 1),
        (ImageUnavailable("x"), 60),
        (PodConfigurationError("x"), 60),
        (PodRefused("x"), 60),
        (OutOfMemory("x"), None),
        (DeadlineExceeded("x"), None),
        (StageError("x"), None),
    ],
)
def test_a_stage_is_tried_again_after_a_time_that_fits_the_cause(
    organ_seg: DAG, error: StageError, seconds: int | None
) -> None:
    """Where the cause says nothing, Airflow's own back-off counts: 5 s, then twice as long each time."""
    task = DagSerialization.from_dict(DagSerialization.to_dict(organ_seg)).get_task("ai-vnet")
    assert (task.retries, task.retry_delay, task.retry_exponential_backoff) == (2, timedelta(seconds=5), 2.0)
    decision = organ_seg.get_task("ai-vnet").retry_policy.evaluate(error, 1, 3)
    assert decision.action is (RetryAction.DEFAULT if seconds is None else RetryAction.RETRY)
    assert decision.retry_delay == (None if seconds is None else timedelta(seconds=seconds))


def test_airflow_keeps_the_whole_dag(branches: DAG) -> None:
    data = DagSerialization.to_dict(branches)
    kept = DagSerialization.from_dict(data)
    assert edges(kept) == edges(branches)
    assert {task.task_id: task.pool for task in kept.tasks} == {task.task_id: task.pool for task in branches.tasks}
    reader = kept.get_task("dicom-reader")
    assert reader.pod_template_dict["spec"]["containers"][0]["args"][:2] == ["--workers", "3"]


def test_the_same_file_gives_the_same_dag_and_another_image_another(tmp_path: Path, catalogue: Catalogue) -> None:
    path = ROOT / "dags" / "workflows" / "organ-seg.yaml"
    changed = tmp_path / "values.yaml"
    changed.write_text(OWN_CATALOGUE.read_text().replace('tag: "0.1.0"', 'tag: "0.1.1"', 1))
    hashes = [
        SerializedDagModel.hash(DagSerialization.to_dict(compile_file(path, entries)[0]))
        for entries in (catalogue, catalogue, load_catalogue([changed]))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_only_the_payload_is_filled_in_and_nothing_is_a_template(branches: DAG) -> None:
    task = branches.get_task("left")
    assert isinstance(task, StageOperator)
    task.render_template_fields(context())
    assert task.pod_template_dict == stage_pod(task.workflow, task.stage, RUN)
    assert "{{ 1 / 0 }}" in task.pod_template_dict["spec"]["containers"][0]["args"]


def test_parameters_are_filled_in_at_run_time_and_are_no_templates_either(branches: DAG) -> None:
    task = branches.get_task("dicom-reader")
    assert isinstance(task, StageOperator)
    task.render_template_fields(context(workers=5, note="{{ run_id }} $(CLARA_STAGE)"))
    (container,) = task.pod_template_dict["spec"]["containers"]
    assert container["args"][:2] == ["--workers", "5"]
    variables = {item["name"]: item["value"] for item in container["env"]}
    assert variables["NOTE"] == variables["CLARA_PARAMETER_NOTE"] == "{{ run_id }} $$(CLARA_STAGE)"


def test_the_trigger_dialog_asks_for_the_input_and_the_parameters(branches: DAG) -> None:
    form = {name: branches.params.get_param(name) for name in branches.params}
    assert list(form) == ["ae_title", "group", "workers", "note"]
    assert [field.has_value for field in form.values()] == [False, False, True, True]
    assert form["workers"].schema == {"title": "workers", "type": "integer", "minimum": 1, "maximum": 8}
    for wrong in ({}, {"ae_title": "CT_AI", "group": "1.2", "workers": 9}, {"ae_title": "", "group": "1.2"}):
        with pytest.raises(ParamValidationError):
            params = copy.deepcopy(branches.params)
            params.update(wrong)
            params.validate()


@pytest.mark.parametrize(
    ("timeout", "deferrable", "expected"),
    [(900, None, False), (901, None, True), (10, True, True), (9000, False, False)],
)
def test_a_long_stage_waits_in_the_triggerer(
    catalogue: Catalogue, tmp_path: Path, timeout: int, deferrable: bool | None, expected: bool
) -> None:
    entry = catalogue["dicom-reader"].model_copy(update={"timeout": timeout, "deferrable": deferrable})
    (tmp_path / "one.yaml").write_text(
        "id: 7b413e24-d018-4689-8c41-73272f6649d4\nname: one\nstages: [{stage: dicom-reader}]"
    )
    (dag,) = compile_file(tmp_path / "one.yaml", Catalogue({"dicom-reader": entry}))
    assert dag.get_task("dicom-reader").deferrable is expected


def test_a_stage_holds_a_slot_for_each_of_its_gpus(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(
        "id: 7b413e24-d018-4689-8c41-73272f6649d4\nname: two\nstages: [{stage: ai-vnet, resources: {gpu: 2}}]"
    )
    (dag,) = compile_file(tmp_path / "two.yaml", catalogue)
    assert (dag.get_task("ai-vnet").pool, dag.get_task("ai-vnet").pool_slots) == (GPU_POOL, 2)


@pytest.mark.parametrize("name", ["dicom-reader", "left", "dicom-writer"])
def test_what_the_operator_sends_is_the_pod_of_the_stage(
    branches: DAG, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider merges the template with its own defaults: all of the template has to come through."""
    monkeypatch.setenv("AIRFLOW_CONN_CLARA_KUBERNETES", '{"conn_type": "kubernetes", "extra": {"namespace": "clara"}}')
    task = branches.get_task(name)
    assert isinstance(task, StageOperator)
    task.render_template_fields(context())
    sent = ApiClient().sanitize_for_serialization(task.build_pod_request_obj(dry_run=True))
    own = stage_pod(task.workflow, task.stage, RUN)
    assert sent["metadata"]["name"].startswith(own["metadata"]["name"] + "-")
    assert own["metadata"]["labels"].items() <= sent["metadata"]["labels"].items()
    sent["spec"]["containers"] = [without_nothing(container) for container in sent["spec"]["containers"]]
    assert without_nothing(sent["spec"]) == own["spec"]


def without_nothing(part: dict[str, Any]) -> dict[str, Any]:
    """Without the empty values that the provider adds."""
    return {
        key: value
        for key, value in part.items()
        if value not in ([], {}, False) or key == "automountServiceAccountToken"
    }
