"""Placement and security context: Kubernetes' own words, checked as Kubernetes would, with the place of each error."""

from pathlib import Path

import pytest

from clara_ops.workflow.catalogue import load_catalogue
from clara_ops.workflow.errors import WorkflowFileError
from clara_ops.workflow.placement import Placement

from .conftest import Load, Problems

ENTRY = """\
stages:
  tool:
    image: {repository: tool, tag: "1"}
    stageName: tool
    logName: /app/logs/tool.log
    lockName: tool.lock
    timeout: "60"
"""
ID = "7b413e24-d018-4689-8c41-73272f6649d4"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def errors_of(folder: Path, lines: str) -> list[str]:
    path = folder / "values.yaml"
    path.write_text(ENTRY + lines, encoding="utf-8")
    with pytest.raises(WorkflowFileError) as raised:
        load_catalogue([path])
    return [line.removeprefix(f"{path}:") for line in str(raised.value).splitlines()]


@pytest.mark.parametrize(
    ("placement", "place", "message"),
    [
        ("node_selector: {a: b}", "9:7", "unknown key 'node_selector' (did you mean 'nodeSelector'?)"),
        ("affinity: {node_affinity: {}}", "9:18", "unknown key 'node_affinity' (did you mean 'nodeAffinity'?)"),
        (
            "affinity: {nodeAffinity: {required_during_scheduling_ignored_during_execution: {}}}",
            "9:33",
            f"(did you mean '{REQUIRED}'?)",
        ),
        (
            f"affinity: {{nodeAffinity: {{{REQUIRED}: {{nodeSelectorTerms: [{{match_expressions: []}}]}}}}}}",
            "9:103",
            "unknown key 'match_expressions' (did you mean 'matchExpressions'?)",
        ),
        (
            f"affinity: {{nodeAffinity: {{{REQUIRED}: {{nodeSelectorTerms: []}}}}}}",
            "9:101",
            "expected at least one item",
        ),
        (f"affinity: {{nodeAffinity: {{{REQUIRED}: {{nodeSelectorTerms: [{{}}]}}}}}}", "9:102", "fits no node"),
        (f"affinity: {{podAffinity: {{{REQUIRED}: [{{}}]}}}}", "9:81", "key 'topologyKey' is missing"),
        ("tolerations: [{key: a, operator: Exists, value: b}]", "9:21", "operator Exists takes no 'value'"),
        ("tolerations: [{effect: NoSchedule}]", "9:21", "without 'key' needs 'operator: Exists'"),
        ("tolerations: [{key: a, effect: Never}]", "9:38", "expected one of 'NoSchedule', 'PreferNoSchedule'"),
        ("tolerations: [{key: a, tolerationSeconds: 5}]", "9:21", "goes with 'effect: NoExecute' only"),
        ("nodeSelector: {disk: true}", "9:28", "expected text (put it in quotes); found True"),
        ("nodeSelector: {disk: a b}", "9:28", "'a b' is no value of a label"),
        ("nodeSelector: {'a/b/c': x}", "9:22", "'a/b/c' is no label of Kubernetes"),
        ("runtimeClassName: Nvidia", "9:25", "'Nvidia' is no name of a Kubernetes object"),
    ],
)
def test_what_is_wrong_with_a_placement(tmp_path: Path, placement: str, place: str, message: str) -> None:
    found = errors_of(tmp_path, f"    placement:\n      {placement}\n")
    assert any(line.startswith(f"{place}: ") and message in line for line in found), found


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        ("{key: a, operator: In}", "operator In needs at least one of 'values'"),
        ("{key: a, operator: Exists, values: [b]}", "operator Exists takes no 'values'"),
        ("{key: a, operator: Gt, values: [many]}", "needs exactly one of 'values', a whole number"),
        ("{key: a, operator: Is, values: [b]}", "expected one of 'In', 'NotIn', 'Exists' or 'DoesNotExist'"),
    ],
)
def test_what_is_wrong_with_a_requirement(tmp_path: Path, requirement: str, message: str) -> None:
    term = f"{{nodeSelectorTerms: [{{matchExpressions: [{requirement}]}}]}}"
    found = errors_of(tmp_path, f"    placement: {{affinity: {{nodeAffinity: {{{REQUIRED}: {term}}}}}}}\n")
    assert any(message in line for line in found), found


@pytest.mark.parametrize(
    ("context", "place", "message"),
    [
        ("run_as_user: 5", "9:7", "unknown key 'run_as_user' (did you mean 'runAsUser'?)"),
        ("runAsUser: 0", "9:7", "add 'runAsNonRoot: false'"),
        ("runAsUser: root", "9:18", "expected a whole number"),
        ("privileged: true", "9:7", "needs 'allowPrivilegeEscalation: true'"),
        ("capabilities: {add: [SYS_ADMIN]}", "9:7", "SYS_ADMIN needs 'allowPrivilegeEscalation: true'"),
        ("capabilities: {added: [CHOWN]}", "9:22", "unknown key 'added' (did you mean 'add'?)"),
        ("seccompProfile: {type: Localhost}", "9:23", "'localhostProfile' goes with 'type: Localhost'"),
        ("procMount: Masked", "9:18", "expected one of 'Default' or 'Unmasked'"),
    ],
)
def test_what_is_wrong_with_a_security_context(tmp_path: Path, context: str, place: str, message: str) -> None:
    found = errors_of(tmp_path, f"    securityContext:\n      {context}\n")
    assert any(line.startswith(f"{place}: ") and message in line for line in found), found


def test_names_of_pull_secrets_are_checked(tmp_path: Path) -> None:
    assert errors_of(tmp_path, "    imagePullSecrets: [{name: x}]\n")[0].startswith("8:24: imagePullSecrets[0]: ")


def test_a_stage_adds_to_the_placement_of_its_entry() -> None:
    entry = Placement.model_validate(
        {"nodeSelector": {"a": "1", "b": "1"}, "tolerations": [{"key": "x"}], "runtimeClassName": "nvidia"}
    )
    stage = Placement.model_validate({"nodeSelector": {"b": "2"}, "tolerations": [{"key": "y"}]})
    both = entry.overlaid(stage)
    assert both.node_selector == {"a": "1", "b": "2"}
    assert [toleration.key for toleration in both.tolerations] == ["x", "y"]
    assert both.runtime_class_name == "nvidia"
    assert entry.overlaid(Placement()) == entry


def test_a_workflow_may_place_a_stage(load: Load, problems: Problems) -> None:
    head = f"id: {ID}\nname: w\nstages:\n  - stage: dicom-reader\n"
    (workflow,) = load(head + "    placement: {nodeSelector: {disk: fast}}\n")
    assert workflow.stages[0].placement.node_selector == {"disk": "fast"}
    assert problems(head + "    placement: {nodeSelecter: {disk: fast}}\n") == [
        "w.yaml:5:17: unknown key 'nodeSelecter' (did you mean 'nodeSelector'?)"
    ]
