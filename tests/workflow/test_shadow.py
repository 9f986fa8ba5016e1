"""The shadow of a stage: same input, a folder of its own, no part of the results, and errors where they stand."""

import pytest

from clara_ops.workflow.pod import stage_pod
from clara_ops.workflow.workflow import StageInput

from .conftest import Load, Problems

RUN = "ct-ai-0123456789abcdef0123-g1"
HEAD = "id: 7b413e24-d018-4689-8c41-73272f6649d4\nname: w\n"
STAGES = "stages: [{stage: dicom-reader}, {stage: ai-vnet, name: organs}, {stage: dicom-writer}]\n"


def test_a_shadow_reads_what_its_stage_reads_and_is_compared_with_it(load: Load) -> None:
    shadow = "shadow: {of: organs, stage: ai-vnet, args: --model next, env: {A: b}, resources: {memory: 8Gi}}\n"
    (workflow,) = load(HEAD + shadow + STAGES)
    (plain,) = load(HEAD + STAGES)
    assert workflow.stages == plain.stages
    assert [stage.name for stage in workflow.results] == ["dicom-writer"]
    assert workflow.shadow is not None
    assert workflow.shadow.of == "organs"
    beside, comparison = workflow.shadow.stage, workflow.shadow.comparison
    assert (beside.name, beside.output, beside.inputs) == (
        "organs-shadow",
        "organs-shadow/output",
        workflow.stage("organs").inputs,
    )
    assert (beside.args[:2], beside.env, beside.resources.memory) == (("--model", "next"), {"A": "b"}, "8Gi")
    assert comparison.entry.stage_name == "compare-labels"
    assert comparison.inputs == (
        StageInput("organs/output", "organs"),
        StageInput("organs-shadow/output", "organs-shadow"),
    )
    assert comparison.args == ("--main", "organs", "--shadow", "organs-shadow")
    assert workflow.folders[-2:] == ("organs-shadow/output", "organs-shadow-comparison/output")


def test_its_pods_come_after_all_real_work(load: Load) -> None:
    (workflow,) = load(f"{HEAD}priority: lower\nshadow: {{of: organs, stage: ai-vnet}}\n{STAGES}")
    classes = [stage_pod(workflow, stage, RUN)["spec"]["priorityClassName"] for stage in workflow.every_stage]
    assert classes == ["clara-lower"] * 3 + ["clara-shadow"] * 2


def test_the_comparison_finds_both_where_it_is_told(load: Load) -> None:
    (workflow,) = load(f"{HEAD}shadow: {{of: organs, stage: ai-vnet, name: other}}\n{STAGES}")
    assert workflow.shadow is not None
    (container,) = stage_pod(workflow, workflow.shadow.comparison, RUN)["spec"]["containers"]
    places = {mount["mountPath"]: mount.get("subPath") for mount in container["volumeMounts"]}
    assert places["/app/input/organs"] == f"payloads/{RUN}/organs/output"
    assert places["/app/input/other"] == f"payloads/{RUN}/other/output"
    assert container["args"] == ["--main", "organs", "--shadow", "other"]


def test_a_shadow_of_a_branch_waits_for_the_same_and_is_skipped_with_it(load: Load) -> None:
    stages = (
        "stages:\n  - stage: dicom-reader\n  - {stage: ai-vnet, name: left, after: dicom-reader}\n"
        "  - {stage: ai-vnet, name: right, after: dicom-reader, input: dicom-reader/output,\n"
        "     when: {attribute: instances, op: ge, value: 9}}\n  - {stage: dicom-writer, after: [left, right]}\n"
    )
    (workflow,) = load(f"{HEAD}shadow: {{of: right, stage: ai-vnet}}\n{stages}")
    assert workflow.shadow is not None
    assert workflow.shadow.stage.after == ("dicom-reader",)
    assert workflow.shadow.stage.when == workflow.stage("right").when


@pytest.mark.parametrize(
    ("shadow", "place", "message"),
    [
        ("{of: organ, stage: ai-vnet}", "organ", "shadow: no stage is called 'organ' (did you mean 'organs'?)"),
        ("{of: organs, stage: ai-vnett}", "ai-vnett", "stage 'ai-vnett' is not in the catalogue"),
        ("{of: organs, stage: ai-vnet, args: --modell x}", "--modell", "no option --modell (did you mean '--model'?)"),
        ("{of: organs, stage: ai-vnet, args: '${x}'}", "'${x}'", "the workflow has no parameter 'x'"),
        ("{of: organs, stage: ai-vnet, name: organs}", "organs}", "two stages are called 'organs'"),
        ("{of: organs, stage: ai-vnet, name: Next}", "Next", "stage name 'Next'"),
        ("{of: organs, stage: dicom-reader, resources: {gpu: 1}}", "1}", "gives stage 'dicom-reader' no GPU"),
        ("{of: organs, stage: ai-vnet, env: {CLARA_STAGE: x}}", "CLARA_STAGE", "is set by the platform"),
        ("{of: organs, stage: ai-vnet, when: {}}", "when", "unknown key 'when'"),
        ("{of: organs}", "{of", "key 'stage' is missing"),
    ],
)
def test_what_is_wrong_with_a_shadow(problems: Problems, shadow: str, place: str, message: str) -> None:
    line = f"shadow: {shadow}"
    found = problems(HEAD + line + "\n" + STAGES)
    assert any(said.startswith(f"w.yaml:3:{line.index(place) + 1}: ") and message in said for said in found), found


def test_no_stage_may_wait_for_a_shadow(problems: Problems) -> None:
    stages = STAGES.replace("{stage: dicom-writer}", "{stage: dicom-writer, after: [organs, organs-shadow]}")
    found = problems(f"{HEAD}shadow: {{of: organs, stage: ai-vnet}}\n{stages}")
    assert any("'organs-shadow' belongs to a shadow, which changes nothing" in line for line in found), found
