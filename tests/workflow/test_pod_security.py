"""The Pod Security Standards, a test for each control: the pod of a stage, and what a change of it needs.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

import copy
from pathlib import Path
from typing import Any

import pytest

from clara_ops.workflow.catalogue import Catalogue, load_catalogue
from clara_ops.workflow.loading import load_workflows
from clara_ops.workflow.pod import stage_pod
from clara_ops.workflow.pod_security import Level, Requirement, required_level

from .conftest import ROOT

RUN = "ct-ai-0123456789abcdef0123-g1"


@pytest.fixture(scope="module")
def default_pod(catalogue: Catalogue) -> dict[str, Any]:
    """The pod of a stage whose catalogue entry relaxes nothing, with an init container like those of foreign images."""
    (workflow,) = load_workflows(ROOT / "dags" / "workflows" / "organ-seg.yaml", catalogue)
    pod = stage_pod(workflow, workflow.stages[0], RUN)
    pod["spec"]["initContainers"] = [{**pod["spec"]["containers"][0], "name": "clean"}]
    return pod


@pytest.fixture
def spec(default_pod: dict[str, Any]) -> dict[str, Any]:
    """The spec of that pod, to be changed."""
    return copy.deepcopy(default_pod)["spec"]


def test_the_pods_of_all_shipped_workflows_are_restricted(catalogue: Catalogue) -> None:
    for path in (ROOT / "dags" / "workflows").glob("*.yaml"):
        for workflow in load_workflows(path, catalogue):
            for stage in workflow.stages:
                assert required_level(stage_pod(workflow, stage, RUN)) == Requirement(Level.RESTRICTED, ()), stage.name


IN_CONTAINER = [
    (Level.PRIVILEGED, {"windowsOptions": {"hostProcess": True}}, "windowsOptions.hostProcess: true"),
    (Level.PRIVILEGED, {"privileged": True}, "privileged: true"),
    (Level.PRIVILEGED, {"capabilities": {"add": ["SYS_ADMIN"], "drop": ["ALL"]}}, "capabilities.add: SYS_ADMIN"),
    (Level.PRIVILEGED, {"appArmorProfile": {"type": "Unconfined"}}, "appArmorProfile.type: Unconfined"),
    (Level.PRIVILEGED, {"seLinuxOptions": {"type": "spc_t"}}, "seLinuxOptions.type: spc_t"),
    (Level.PRIVILEGED, {"seLinuxOptions": {"user": "u"}}, "seLinuxOptions.user: u"),
    (Level.PRIVILEGED, {"seLinuxOptions": {"role": "r"}}, "seLinuxOptions.role: r"),
    (Level.PRIVILEGED, {"procMount": "Unmasked"}, "procMount: Unmasked"),
    (Level.PRIVILEGED, {"seccompProfile": {"type": "Unconfined"}}, "seccompProfile.type: Unconfined"),
    (Level.BASELINE, {"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation is not false"),
    (Level.BASELINE, {"runAsNonRoot": False}, "runAsNonRoot is not true"),
    (Level.BASELINE, {"runAsUser": 0}, "runAsUser: 0"),
    (Level.BASELINE, {"capabilities": {}}, "capabilities.drop lacks ALL"),
    (Level.BASELINE, {"capabilities": {"add": ["CHOWN"], "drop": ["ALL"]}}, "capabilities.add: CHOWN"),
    (Level.RESTRICTED, {"capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}}, ""),
    (Level.RESTRICTED, {"readOnlyRootFilesystem": False}, ""),
    (Level.RESTRICTED, {"seLinuxOptions": {"type": "container_engine_t"}}, ""),
    (Level.RESTRICTED, {"seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"}}, ""),
    (Level.RESTRICTED, {"appArmorProfile": {"type": "RuntimeDefault"}, "procMount": "Default", "runAsUser": 5}, ""),
]


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
@pytest.mark.parametrize(("level", "change", "reason"), IN_CONTAINER)
def test_a_control_of_containers(
    spec: dict[str, Any], kind: str, level: Level, change: dict[str, Any], reason: str
) -> None:
    container = spec[kind][0]
    container["securityContext"] = {**container["securityContext"], **change}
    reasons = (f"{kind}[{container['name']}].securityContext.{reason}",) if reason else ()
    assert required_level({"spec": spec}) == Requirement(level, reasons)


IN_POD = [
    (Level.PRIVILEGED, {"hostNetwork": True}, "hostNetwork: true"),
    (Level.PRIVILEGED, {"hostPID": True}, "hostPID: true"),
    (Level.PRIVILEGED, {"hostIPC": True}, "hostIPC: true"),
    (Level.PRIVILEGED, {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "volumes[v].hostPath"),
    (Level.BASELINE, {"volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}]}, "volumes[v].nfs"),
    (Level.RESTRICTED, {"volumes": [{"name": "v", "projected": {}}]}, ""),
    (Level.RESTRICTED, {"hostNetwork": False}, ""),
]


@pytest.mark.parametrize(("level", "change", "reason"), IN_POD)
def test_a_control_of_the_pod(spec: dict[str, Any], level: Level, change: dict[str, Any], reason: str) -> None:
    assert required_level({"spec": {**spec, **change}}) == Requirement(level, (reason,) if reason else ())


IN_POD_CONTEXT = [
    (Level.PRIVILEGED, {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}, ["sysctls: kernel.msgmax"]),
    (Level.RESTRICTED, {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}, []),
    (Level.PRIVILEGED, {"seLinuxOptions": {"type": "spc_t"}}, ["seLinuxOptions.type: spc_t"]),
    (Level.PRIVILEGED, {"seccompProfile": {"type": "Unconfined"}}, ["seccompProfile.type: Unconfined"]),
    (Level.PRIVILEGED, {"appArmorProfile": {"type": "Unconfined"}}, ["appArmorProfile.type: Unconfined"]),
    (Level.PRIVILEGED, {"windowsOptions": {"hostProcess": True}}, ["windowsOptions.hostProcess: true"]),
    (Level.BASELINE, {"runAsUser": 0}, ["runAsUser: 0"]),
]


@pytest.mark.parametrize(("level", "change", "reasons"), IN_POD_CONTEXT)
def test_a_control_of_the_pods_context(
    spec: dict[str, Any], level: Level, change: dict[str, Any], reasons: list[str]
) -> None:
    spec["securityContext"] |= change
    wanted = Requirement(level, tuple(f"securityContext.{reason}" for reason in reasons))
    assert required_level({"spec": spec}) == wanted


@pytest.mark.parametrize(
    ("key", "reason"), [("runAsNonRoot", "runAsNonRoot is not true"), ("seccompProfile", "seccompProfile is not set")]
)
def test_what_neither_pod_nor_container_sets(spec: dict[str, Any], key: str, reason: str) -> None:
    del spec["securityContext"][key]
    assert required_level({"spec": spec}) == Requirement(
        Level.BASELINE,
        (f"initContainers[clean].securityContext.{reason}", f"containers[base].securityContext.{reason}"),
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ports": [{"containerPort": 80, "hostPort": 80}]}, "ports.hostPort: 80"),
        ({"ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 0}]}, ""),
        ({"livenessProbe": {"httpGet": {"port": 80, "host": "10.0.0.1"}}}, "livenessProbe.httpGet.host: 10.0.0.1"),
        ({"startupProbe": {"tcpSocket": {"port": 80, "host": "h"}}}, "startupProbe.tcpSocket.host: h"),
        ({"readinessProbe": {"httpGet": {"port": 80}}}, ""),
        ({"lifecycle": {"preStop": {"httpGet": {"port": 1, "host": "h"}}}}, "lifecycle.preStop.httpGet.host: h"),
    ],
)
def test_ports_and_probes_of_the_host(spec: dict[str, Any], change: dict[str, Any], reason: str) -> None:
    spec["containers"][0] |= change
    wanted = Requirement(Level.PRIVILEGED, (f"containers[base].{reason}",)) if reason else Requirement(Level(0), ())
    assert required_level({"spec": spec}) == wanted


def test_a_pod_without_any_context_is_baseline() -> None:
    assert required_level({"spec": {"containers": [{"name": "c", "image": "i"}]}}).level is Level.BASELINE


def test_what_a_catalogue_entry_relaxes_is_found_in_its_pod(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(
        "stages:\n  tool:\n    image: {repository: tool}\n    stageName: tool\n    logName: /app/logs/tool.log\n"
        "    lockName: tool.lock\n    timeout: 60\n    securityContext: {runAsNonRoot: false, runAsUser: 0}\n"
    )
    (tmp_path / "w.yaml").write_text("id: 7b413e24-d018-4689-8c41-73272f6649d4\nname: w\nstages: [{stage: tool}]\n")
    (workflow,) = load_workflows(tmp_path / "w.yaml", load_catalogue([tmp_path / "values.yaml"]))
    assert required_level(stage_pod(workflow, workflow.stages[0], RUN)) == Requirement(
        Level.BASELINE,
        ("containers[base].securityContext.runAsNonRoot is not true", "containers[base].securityContext.runAsUser: 0"),
    )
