"""A stage as the product makes it, on a real Kubernetes that enforces Pod Security `restricted`."""

import gzip
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from kubernetes import client, config
from kubernetes.client import ApiException

from clara_ops.contract import payload
from clara_ops.contract.run_id import make_run_id
from clara_ops.imaging.geometry import grid_of
from clara_ops.imaging.metaimage import write_volume
from clara_ops.workflow.catalogue import load_catalogue
from clara_ops.workflow.loading import load_workflows
from clara_ops.workflow.pod import stage_pod
from clara_ops.workflow.workflow import Stage, Workflow
from tests.kube.platform.claim import list_files, read_file, write_files
from tests.kube.platform.deployment import Json, Platform
from tests.kube.platform.image import REGISTRY, ROOT

pytestmark = [pytest.mark.kube, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

ABDOMEN_A = ROOT / "tests" / "data" / "abdomen_a"
LIVER = 5
"""TotalSegmentator's value."""


@pytest.fixture(scope="module")
def organ_seg() -> Workflow:
    catalogue = load_catalogue([ROOT / "helm" / "clara-workflow" / "values.yaml"])
    (workflow,) = load_workflows(ROOT / "dags" / "workflows" / "organ-seg.yaml", catalogue)
    return workflow


@pytest.fixture(scope="module")
def ai_vnet(organ_seg: Workflow) -> Stage:
    return next(stage for stage in organ_seg.stages if stage.name == "ai-vnet")


def put_payload(platform: Platform, workflow: Workflow, stage: Stage, group: str, folder: Path) -> str:
    """A payload as it is when the stage's turn comes, with a real CT; its run id."""
    image = sitk.ReadImage(str(ABDOMEN_A / "ct.nii.gz"))
    write_volume(folder / "1.2.3.mhd", sitk.GetArrayFromImage(image).astype(np.int16), grid_of(image))
    run = make_run_id(workflow.id, "CT_AI", group, 1)
    root = f"payloads/{run}"
    places = [workflow.input, stage.inputs[0].folder, stage.output, payload.LOCKS, payload.LOGS]
    places.append(f"{payload.PUBLISH}/{stage.name}")
    files = {f"{root}/{stage.inputs[0].folder}/{path.name}": path.read_bytes() for path in folder.glob("1.2.3.*")}
    files[f"{root}/{payload.MANIFEST}"] = b"{}"
    write_files(platform, files, tuple(f"{root}/{place}" for place in places))
    return run


def reference_liver_ml() -> float:
    """Volume of the liver in the labels of the sample."""
    content = gzip.decompress((ABDOMEN_A / "labels.nii.gz").read_bytes())
    voxel_mm3 = float(np.prod(struct.unpack_from("<3f", content, 80)))
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(ABDOMEN_A / "labels.nii.gz")))
    return float(np.count_nonzero(labels == LIVER) * voxel_mm3 / 1000)


def test_ai_vnet_finds_the_liver_through_triton(
    platform: Platform, organ_seg: Workflow, ai_vnet: Stage, tmp_path: Path
) -> None:
    run = put_payload(platform, organ_seg, ai_vnet, "liver", tmp_path)
    ended = platform.run_pod(stage_pod(organ_seg, ai_vnet, run, REGISTRY))
    assert ended.status.phase == "Succeeded", platform.describe_pods()
    assert ended.spec.containers[0].resources.requests["nvidia.com/gpu"] == "1"
    output = f"payloads/{run}/{ai_vnet.output}"
    assert {"1.2.3.mhd", "1.2.3.raw", "1.2.3.labels.json", "result.json"} <= set(list_files(platform, output))
    facts = json.loads(read_file(platform, f"{output}/result.json"))["facts"]
    assert facts["liver_ml"] == pytest.approx(reference_liver_ml(), rel=0.15)
    assert list_files(platform, f"payloads/{run}/{payload.LOCKS}") == [ai_vnet.lock]
    events = read_file(platform, f"payloads/{run}/{payload.LOGS}/{ai_vnet.name}.events.jsonl").decode().splitlines()
    assert [json.loads(events[0])["event"], json.loads(events[-1])["event"]] == ["start", "end"]
    assert json.loads(events[-1])["exit_code"] == 0


def test_without_triton_the_stage_fails_and_says_why(
    platform: Platform, organ_seg: Workflow, ai_vnet: Stage, tmp_path: Path
) -> None:
    run = put_payload(platform, organ_seg, ai_vnet, "nobody", tmp_path)
    lost = replace(ai_vnet, args=("--triton", "127.0.0.1:9", "--timeout", "1"))
    ended = platform.run_pod(stage_pod(organ_seg, lost, run, REGISTRY))
    state = ended.status.container_statuses[0].state.terminated
    assert state.exit_code == 1
    assert "no Triton at 127.0.0.1:9" in state.message


def test_the_namespace_refuses_what_is_not_restricted(platform: Platform, organ_seg: Workflow, ai_vnet: Stage) -> None:
    pod = stage_pod(organ_seg, ai_vnet, "ct-ai-0123456789abcdef0123-g1", REGISTRY)
    del pod["spec"]["containers"][0]["securityContext"]
    with pytest.raises(ApiException, match="violates PodSecurity"):
        platform.core.create_namespaced_pod(platform.namespace, pod)


def test_airflow_may_do_what_its_operator_does_and_no_more(platform: Platform, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    platform.write_airflow_kubeconfig(kubeconfig)
    assert kubeconfig.stat().st_mode & 0o077 == 0
    configuration = client.Configuration()
    config.load_kube_config(str(kubeconfig), client_configuration=configuration)
    airflow = client.CoreV1Api(client.ApiClient(configuration))
    pod: Json = {
        "metadata": {"generateName": "probe-"},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "base",
                    "image": "localhost/none:1",
                    "imagePullPolicy": "Never",
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
    name = airflow.create_namespaced_pod(platform.namespace, pod).metadata.name
    airflow.patch_namespaced_pod(name, platform.namespace, {"metadata": {"labels": {"checked": "true"}}})
    assert airflow.list_namespaced_pod(platform.namespace, label_selector="checked=true").items
    assert airflow.list_namespaced_event(platform.namespace) is not None
    airflow.delete_namespaced_pod(name, platform.namespace, grace_period_seconds=0)
    forbidden: tuple[Callable[[], object], ...] = (
        lambda: airflow.list_namespaced_secret(platform.namespace),
        lambda: airflow.list_namespaced_pod("kube-system"),
        lambda: airflow.connect_get_namespaced_pod_exec("shell", platform.namespace, command="id"),
    )
    for call in forbidden:
        with pytest.raises(ApiException) as refused:
            call()
        assert refused.value.status == 403
