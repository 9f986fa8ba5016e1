"""The pod of a stage: compared with checked-in pods, and with the schemas of three Kubernetes releases.

After a change that is meant, write the checked-in pods anew and read the difference:
`CLARA_WRITE_GOLDEN=1 python -m pytest tests/workflow/test_pod.py`.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from clara_ops.workflow.catalogue import Catalogue, load_catalogue
from clara_ops.workflow.entry import Resources
from clara_ops.workflow.loading import load_workflows
from clara_ops.workflow.pod import stage_pod
from clara_ops.workflow.workflow import Workflow

from .conftest import OWN_CATALOGUE, ROOT

GOLDEN = Path(__file__).parent / "golden"
RUN = "ct-ai-0123456789abcdef0123-g1"
RELEASES = ("1.32", "1.34", "1.36")

STAGES = """\
stages:
  foreign:
    image: {repository: example.com/vendor/segment, tag: "3"}
    stageName: foreign
    appDir: /opt/segment
    inputs: in
    outputs: out
    logName: /opt/segment/log/segment.log
    lockDir: /opt/segment/locks
    lockName: foreign.lock
    timeout: 900
    driver: false
    command: [/segment]
    env: {MODE: exact, COLOUR: "no", LICENCE: {secret: vendor.licence, key: licence.txt}}
    resources: {cpu: 500m, memory: 8Gi, gpu: 2, gpu-product: NVIDIA-A100-SXM4-40GB}
    securityContext: {readOnlyRootFilesystem: false}
    priorityClass: false
  sliced:
    image: {repository: tool}
    stageName: sliced
    logName: /app/logs/sliced.log
    lockName: sliced.lock
    timeout: 60
    resources: {memory: 1Gi, memory-retry: 2Gi, mig: 1g.10gb}
  placed:
    image: {repository: tool}
    stageName: placed
    logName: /app/logs/placed.log
    lockName: placed.lock
    timeout: 60
    resources: {memory: 8Gi, shm: 2Gi, gpu: 1, gpu-product: NVIDIA-L4}
    imagePullSecrets: [vendor-registry]
    placement:
      runtimeClassName: nvidia
      nodeSelector: {disk: fast}
      tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms:
              - {matchExpressions: [{key: zone, operator: In, values: [a, b]}]}
              - {matchFields: [{key: metadata.name, operator: In, values: [big-node]}]}
          preferredDuringSchedulingIgnoredDuringExecution:
            - {weight: 10, preference: {matchExpressions: [{key: cpus, operator: Gt, values: ["32"]}]}}
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: pacs}}}
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 1
              podAffinityTerm:
                topologyKey: zone
                namespaceSelector: {}
                labelSelector: {matchExpressions: [{key: a, operator: Exists}]}
    securityContext:
      runAsNonRoot: false
      runAsUser: 0
      capabilities: {add: [CHOWN]}
      seLinuxOptions: {type: container_t}
      seccompProfile: {type: Localhost, localhostProfile: profiles/vendor.json}
  roomy:
    image: {repository: tool}
    stageName: roomy
    logName: /app/logs/roomy.log
    lockName: roomy.lock
    timeout: 60
    resources: {memory: 4Gi, shm: 1Gi}
  claimed:
    image: {repository: tool}
    stageName: claimed
    logName: /app/logs/claimed.log
    lockName: claimed.lock
    timeout: 60
    resources: {claim: big-gpu}
  monai:
    image: {repository: monai-app}
    stageName: monai
    logName: /app/logs/monai.log
    lockName: monai.lock
    timeout: 600
    map: true
"""
WORKFLOW = """\
id: 7b413e24-d018-4689-8c41-73272f6649d4
name: vendors
priority: higher
timeout: 1200
stages:
  - stage: dicom-reader
    args: --split --workers 2
  - stage: foreign
    env: {MODE: fast, CLARA_DEID_KEY: {secret: clara-deid, key: key}}
    args: ["--title", "{{ run_id }} $(HOME) two words"]
  - stage: monai
    after: dicom-reader
  - stage: sliced
    after: []
    input: dicom/input
  - stage: claimed
    after: []
    input: dicom/input
  - stage: placed
    after: []
    input: dicom/input
    placement:
      nodeSelector: {rack: "7"}
      tolerations: [{key: night, value: "true", effect: NoExecute, tolerationSeconds: 60}]
  - stage: roomy
    after: []
    input: dicom/input
    placement:
      runtimeClassName: gvisor
      affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone}]}}
  - stage: dicom-writer
    name: writer
    after: [foreign, monai]
    input: [foreign/output, monai/output, dicom/input]
"""


@pytest.fixture(scope="module")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A workflow with every kind of stage."""
    folder = tmp_path_factory.mktemp("vendors")
    (folder / "site.yaml").write_text(STAGES)
    (folder / "vendors.yaml").write_text(WORKFLOW)
    (workflow,) = load_workflows(folder / "vendors.yaml", load_catalogue([OWN_CATALOGUE, folder / "site.yaml"]))
    return workflow


@pytest.fixture(scope="module")
def organ_seg(catalogue: Catalogue) -> Workflow:
    """The main workflow."""
    (workflow,) = load_workflows(ROOT / "dags" / "workflows" / "organ-seg.yaml", catalogue)
    return workflow


@pytest.fixture(scope="module")
def user_workflow(catalogue: Catalogue) -> Workflow:
    """The workflow of 2019."""
    (workflow,) = load_workflows(ROOT / "tests" / "data" / "clara2019" / "values.yaml", catalogue)
    return workflow


CASES = [
    ("organ_seg", "dicom-reader"),
    ("organ_seg", "ai-vnet"),
    ("organ_seg", "dicom-writer"),
    ("user_workflow", "user-ai"),
    ("vendors", "dicom-reader"),
    ("vendors", "foreign"),
    ("vendors", "monai"),
    ("vendors", "sliced"),
    ("vendors", "claimed"),
    ("vendors", "placed"),
    ("vendors", "roomy"),
    ("vendors", "writer"),
]


@pytest.fixture(params=CASES, ids=[f"{workflow}.{stage}" for workflow, stage in CASES])
def case(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """A pod, and the name of its checked-in copy."""
    fixture, stage = request.param
    workflow: Workflow = request.getfixturevalue(fixture)
    return f"{workflow.name}.{stage}.yaml", stage_pod(workflow, workflow.stage(stage), RUN)


def test_the_pod_is_the_checked_in_one(case: tuple[str, dict[str, Any]]) -> None:
    name, pod = case
    if os.environ.get("CLARA_WRITE_GOLDEN"):
        (GOLDEN / name).write_text(yaml.safe_dump(pod, sort_keys=False, width=120))
    assert pod == yaml.safe_load((GOLDEN / name).read_text())


@pytest.mark.parametrize("release", RELEASES)
def test_the_pod_is_one_for_kubernetes(case: tuple[str, dict[str, Any]], release: str) -> None:
    kubernetes_validate.validate(case[1], release, strict=True)


def test_the_schemas_would_notice_a_mistake(organ_seg: Workflow) -> None:
    pod = stage_pod(organ_seg, organ_seg.stages[0], RUN)
    pod["spec"]["priority_class_name"] = "clara-normal"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, RELEASES[-1], strict=True)


@pytest.mark.parametrize(
    ("asked", "limits"),
    [
        ({"gpu": 2}, {"nvidia.com/gpu": "2"}),
        ({"gpu": 0}, {}),
        ({"mig": "1g.10gb"}, {"nvidia.com/mig-1g.10gb": "1"}),
        ({"mig": "3g.40gb", "gpu": 2}, {"nvidia.com/mig-3g.40gb": "2"}),
        ({"mig": "1g.10gb", "gpu": 0}, {}),
        ({"cpu": 2, "memory": "1Gi"}, {"cpu": "2", "memory": "1Gi"}),
    ],
)
def test_what_is_asked_for_is_request_and_limit_in_one(
    organ_seg: Workflow, asked: dict[str, Any], limits: dict[str, str]
) -> None:
    stage = replace(organ_seg.stages[0], resources=Resources.model_validate(asked))
    container = stage_pod(organ_seg, stage, RUN)["spec"]["containers"][0]
    assert container.get("resources", {}) == ({"requests": limits, "limits": limits} if limits else {})


def test_args_are_handed_on_as_they_are(vendors: Workflow) -> None:
    pod = stage_pod(vendors, vendors.stage("foreign"), RUN)
    assert pod["spec"]["containers"][0]["args"] == ["--title", "{{ run_id }} $(HOME) two words"]


@pytest.mark.parametrize(
    ("repository", "registry", "image"),
    [
        ("clara-stages", "", "clara-stages:1"),
        ("clara-stages", "localhost", "localhost/clara-stages:1"),
        ("vendor/tool", "registry.local:5000/", "registry.local:5000/vendor/tool:1"),
        ("example.com/vendor/tool", "localhost", "example.com/vendor/tool:1"),
        ("localhost/tool", "registry.local", "localhost/tool:1"),
        ("registry:5000/tool", "localhost", "registry:5000/tool:1"),
    ],
)
def test_images_without_a_registry_get_the_platforms(
    organ_seg: Workflow, repository: str, registry: str, image: str
) -> None:
    stage = organ_seg.stages[0]
    named = stage.entry.image.model_copy(update={"repository": repository, "tag": "1"})
    stage = replace(stage, entry=stage.entry.model_copy(update={"image": named}))
    assert stage_pod(organ_seg, stage, RUN, registry)["spec"]["containers"][0]["image"] == image


def test_everything_written_lies_in_the_runs_own_payload(vendors: Workflow) -> None:
    for stage in vendors.stages:
        spec = stage_pod(vendors, stage, RUN)["spec"]
        for container in (*spec["containers"], *spec.get("initContainers", [])):
            for mount in container["volumeMounts"]:
                if mount["name"] == "data":
                    assert mount["subPath"].startswith(f"payloads/{RUN}/")
            places = [mount["mountPath"] for mount in container["volumeMounts"]]
            assert len(places) == len(set(places))


def test_long_names_give_a_pod_name_with_room_for_a_suffix(vendors: Workflow) -> None:
    long = replace(vendors, name="w" * 49 + "-" + "x" * 13)
    name = stage_pod(long, long.stages[0], RUN)["metadata"]["name"]
    assert name == "w" * 49
