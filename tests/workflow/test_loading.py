"""Workflow files in both forms: what they mean, and what is said where they are wrong."""

from pathlib import Path

import pytest

from clara_ops.workflow.catalogue import Catalogue
from clara_ops.workflow.errors import WorkflowFileError
from clara_ops.workflow.loading import duplicates, load_workflows
from clara_ops.workflow.model import Review
from clara_ops.workflow.workflow import StageInput

from .conftest import OWN_CATALOGUE, ROOT, Load, Problems

DATA_2019 = ROOT / "tests" / "data" / "clara2019"
ID = "7b413e24-d018-4689-8c41-73272f6649d4"
OTHER_ID = "8b413e24-d018-4689-8c41-73272f6649d4"

HEAD = f"id: {ID}\nname: w\n"
LINES = f"""\
{ID}:
  name: "w"
  stages: ["dicom-reader", "ai-vnet", "dicom-writer"]
  waitLocks: ["", "dicom-reader.lock", "ai-vnet.lock"]
  ioFolders: ["a/input", "a/output", "b/output", "c/output"]
  args: ["", "", ""]
"""


def test_the_file_of_2019_compiles_as_it_stands(catalogue: Catalogue) -> None:
    (workflow,) = load_workflows(DATA_2019 / "values.yaml", catalogue)
    assert (workflow.id, workflow.name) == (ID, "user-workflow")
    assert [(stage.name, stage.after, stage.output) for stage in workflow.stages] == [
        ("dicom-reader", (), "dicom-reader/output"),
        ("user-ai", ("dicom-reader",), "user-ai/output"),
        ("dicom-writer", ("user-ai",), "dicom-writer/output"),
    ]
    assert workflow.input == "dicom-reader/input"
    assert [stage.inputs for stage in workflow.stages] == [
        (StageInput("dicom-reader/input", None),),
        (StageInput("dicom-reader/output", "dicom-reader"),),
        (StageInput("user-ai/output", "user-ai"),),
    ]
    assert workflow.stages[1].entry.image.repository == "user-ai"


def test_entries_beside_a_workflow_win_for_it(tmp_path: Path, catalogue: Catalogue) -> None:
    text = (DATA_2019 / "values.yaml").read_text().replace('"user-ai", "dicom-writer"]', '"ai-vnet", "dicom-writer"]')
    path = tmp_path / "values.yaml"
    path.write_text(text.replace('"user-ai.lock"]', '"ai-vnet.lock"]'))
    (workflow,) = load_workflows(path, catalogue)
    assert workflow.stage("ai-vnet").entry.image.repository == "ai-vnet"
    assert catalogue["ai-vnet"].image.repository == "clara-stages"


def test_the_five_lines_alone_say_where_the_id_goes(catalogue: Catalogue) -> None:
    with pytest.raises(WorkflowFileError) as raised:
        load_workflows(DATA_2019 / "workflow-lines.yaml", catalogue, "workflow-lines.yaml")
    (problem,) = raised.value.problems
    assert (problem.line, problem.column) == (2, 1)
    assert "a workflow without an ID" in problem.message
    assert "above 'name:'" in problem.message


def test_a_catalogue_alone_holds_no_workflow(catalogue: Catalogue) -> None:
    assert load_workflows(OWN_CATALOGUE, catalogue) == ()


def test_the_shipped_workflows_are_sound_and_no_two_alike(catalogue: Catalogue) -> None:
    files = sorted((ROOT / "dags" / "workflows").glob("*.yaml"))
    workflows = [workflow for file in files for workflow in load_workflows(file, catalogue)]
    assert workflows
    assert duplicates(workflows) == []
    for workflow in workflows:
        assert workflow.description
        assert workflow.sample is not None
        assert (Path(workflow.file).parent / workflow.sample).is_dir(), workflow.sample


def test_organ_seg_has_the_id_that_the_mapping_uses(catalogue: Catalogue) -> None:
    (workflow,) = load_workflows(ROOT / "dags" / "workflows" / "organ-seg.yaml", catalogue)
    assert workflow.id == "1db65f99-c9b7-4329-ab9c-d519e0557638"
    assert [stage.name for stage in workflow.stages] == ["dicom-reader", "ai-vnet", "dicom-writer"]


def test_both_forms_mean_the_same(load: Load) -> None:
    (old,) = load(LINES)
    (new,) = load(
        HEAD + "input: a/input\nstages:\n"
        "  - {stage: dicom-reader, output: a/output}\n"
        "  - {stage: ai-vnet, output: b/output}\n"
        "  - {stage: dicom-writer, output: c/output}\n"
    )
    assert old.stages == new.stages
    assert old.folders == new.folders


def test_the_extended_form_may_stand_under_its_id_too(load: Load) -> None:
    (workflow,) = load(f"workflows:\n  {ID}:\n    name: w\n    stages:\n      - stage: dicom-reader\n")
    assert (workflow.id, workflow.stages[0].name) == (ID, "dicom-reader")


def test_an_id_of_its_own_below_an_id(problems: Problems) -> None:
    text = f"{ID}:\n  id: {OTHER_ID}\n  name: w\n  stages: [{{stage: dicom-reader}}]\n"
    assert problems(text) == [f"w.yaml:2:7: another id than {ID!r}, which it stands under; leave 'id' out"]


def test_input_lock_is_no_stage(load: Load) -> None:
    (workflow,) = load(LINES.replace('waitLocks: [""', 'waitLocks: ["input.lock"'))
    assert workflow.stages[0].after == ()


def test_fan_out_and_fan_in(load: Load) -> None:
    (workflow,) = load(
        HEAD + "stages:\n"
        "  - {stage: dicom-writer, name: join, after: [left, right]}\n"
        "  - {stage: dicom-reader, after: []}\n"
        "  - {stage: ai-vnet, name: left, env: {SIDE: left}, resources: {memory: 8Gi}}\n"
        "  - {stage: ai-vnet, name: right, after: dicom-reader, input: [dicom-reader/output, dicom/input]}\n"
    )
    assert [stage.name for stage in workflow.stages] == ["dicom-reader", "left", "right", "join"]
    join = workflow.stage("join")
    assert join.inputs == (StageInput("left/output", "left"), StageInput("right/output", "right"))
    assert join.wait_locks == ("left.lock", "right.lock")
    assert workflow.stage("right").inputs == (
        StageInput("dicom-reader/output", "dicom-reader"),
        StageInput("dicom/input", None),
    )
    left = workflow.stage("left")
    assert (left.resources.memory, left.resources.gpu, left.env) == ("8Gi", 1, {"SIDE": "left"})
    assert [stage.name for stage in workflow.results] == ["join"]
    assert workflow.folders == ("dicom/input", "dicom-reader/output", "left/output", "right/output", "join/output")


def test_what_a_workflow_accepts_is_one_rule(load: Load) -> None:
    (workflow,) = load(
        HEAD + "accepts: {modality: [CT, MR], bodyPart: ABDOMEN, minimumInstances: 3, complete: true,\n"
        "  rule: {attribute: orientation, op: ne, value: sagittal}}\nstages: [{stage: dicom-reader}]\n"
    )
    assert workflow.accepts == {
        "all": [
            {"attribute": "modality", "op": "in", "value": ["CT", "MR"]},
            {"attribute": "body_part", "op": "in", "value": ["ABDOMEN"]},
            {"attribute": "instances", "op": "ge", "value": 3},
            {"attribute": "complete", "op": "eq", "value": True},
            {"attribute": "orientation", "op": "ne", "value": "sagittal"},
        ]
    }


def test_a_review_waits_a_day_and_then_rejects_when_nothing_else_is_said(load: Load) -> None:
    (workflow,) = load(HEAD + "review: {}\nstages: [{stage: dicom-reader}]\n")
    assert workflow.review == Review(timeLimit=86400, onTimeout="reject")
    (workflow,) = load(HEAD + 'review: {timeLimit: "60", onTimeout: fail}\nstages: [{stage: dicom-reader}]\n')
    assert workflow.review is not None
    assert (workflow.review.time_limit, workflow.review.on_timeout) == (60, "fail")
    (workflow,) = load(HEAD + "stages: [{stage: dicom-reader}]\n")
    assert workflow.review is None


LINE_ERRORS = [
    (
        '"ai-vnet", "dicom-writer"]',
        '"ai-vnett", "dicom-writer"]',
        "3:28",
        "stage 'ai-vnett' is not in the catalogue (did you mean 'ai-vnet'?)",
    ),
    ('args: ["", "", ""]', 'args: ["", ""]', "6:9", "args has 2 items; it needs 3, as many as stages"),
    (', "c/output"]', "]", "5:14", "ioFolders has 3 items; it needs 4, one more than stages"),
    (
        '"ai-vnet.lock"]',
        '"ai-vent.lock"]',
        "4:40",
        "no stage of this workflow has the lock 'ai-vent.lock' (did you mean 'ai-vnet.lock'?)",
    ),
    ('["", "dicom-reader.lock"', '["ai-vnet.lock", "dicom-reader.lock"', "4:15", "does not come before 'dicom-reader'"),
    (
        '"dicom-reader.lock", "ai-vnet.lock"',
        '"", "ai-vnet.lock"',
        "5:26",
        "add the lock 'dicom-reader.lock' to its waitLocks",
    ),
    ('"b/output"', '"../b"', "5:38", "must be a relative path inside the payload"),
    ('"b/output"', '"a/output"', "5:38", "folder 'a/output' is written twice"),
    ('"b/output"', '"a/output/inner"', "5:38", "lies inside folder 'a/output'"),
    ('"b/output"', '"received/b"', "5:38", "that the payload keeps for itself"),
    (
        '["", "", ""]',
        '["", "--modell x", ""]',
        "6:14",
        "args of stage 'ai-vnet': the stage has no option --modell (did you mean '--model'?)",
    ),
    ('"ai-vnet", "dicom-writer"]', '"dicom-reader", "dicom-writer"]', "3:28", "two stages are called 'dicom-reader'"),
    ('name: "w"', 'name: "W w"', "2:9", "workflow name 'W w'"),
    ('name: "w"', "name: 5", "2:9", "name: expected text (put it in quotes); found 5"),
    ("  args:", "  arg:", "6:3", "unknown key 'arg' (did you mean 'args'?)"),
    (ID, ID.upper(), "1:1", "is not a workflow ID"),
]


@pytest.mark.parametrize(("old", "new", "place", "message"), LINE_ERRORS)
def test_what_is_wrong_with_the_five_lines(problems: Problems, old: str, new: str, place: str, message: str) -> None:
    found = problems(LINES.replace(old, new))
    assert any(line.startswith(f"w.yaml:{place}: ") and message in line for line in found), found


EXTENDED_ERRORS = [
    ("review: {timeLimit: 0}", "3:21", "expected seconds, at least 1"),
    ("review: {onTimeout: ask}", "3:21", "expected one of 'approve', 'reject' or 'fail'; found 'ask'"),
    ("review: {timelimit: 60}", "3:10", "unknown key 'timelimit' (did you mean 'timeLimit'?)"),
    ("review: yes", "3:9", "review: expected a mapping"),
    ("stages: [{stage: dicom-reader, name: review}]", "3:38", "is the name of a task that every workflow has"),
    ("stages: []", "3:9", "a workflow needs at least one stage"),
    ("stages: [{stage: dicom-reader, after: [x]}]", "3:40", "no stage is called 'x'"),
    ("stages: [{stage: dicom-reader, afterr: x}]", "3:32", "unknown key 'afterr' (did you mean 'after'?)"),
    ("stages: [{name: x}]", "3:10", "key 'stage' is missing"),
    ("stages: [{stage: dicom-reader, name: Reader}]", "3:38", "stage name 'Reader'"),
    ("stages: [{stage: dicom-reader, name: prepare}]", "3:38", "is the name of a task that every workflow has"),
    ("stages: [{stage: dicom-reader, input: other/output}]", "3:39", "which no stage writes"),
    ("stages: [{stage: dicom-reader, input: []}]", "3:39", "needs at least one input folder"),
    ("stages: [{stage: dicom-reader, input: dicom-reader/output}]", "3:39", "which it writes itself"),
    ("stages: [{stage: dicom-reader, env: {CLARA_RUN_ID: x}}]", "3:38", "CLARA_RUN_ID is set by the platform"),
    ("stages: [{stage: dicom-reader, env: {A: 1}}]", "3:41", "expected text"),
    ("stages: [{stage: dicom-reader, resources: {gpu: 1}}]", "3:49", "the catalogue gives stage 'dicom-reader' no GPU"),
    ("stages: [{stage: dicom-reader, when: {attribute: a, op: is, value: 1}}]", "3:38", "'is' is not one of"),
    (
        "stages: [{stage: dicom-reader, when: {attribute: modalty, op: eq, value: CT}}]",
        "3:38",
        "when: no fact is called 'modalty' (did you mean 'modality'?)",
    ),
    (
        "stages: [{stage: dicom-reader}]\naccepts: {rule: {attribute: age, op: lt, value: 5}}",
        "4:17",
        "rule: no fact is called 'age' (known: body_part, complete, instances, modality, orientation)",
    ),
    (
        "stages: [{stage: dicom-reader}]\naccepts: {rule: {attribute: ai.volume, op: lt, value: 5}}",
        "4:17",
        "'accepts' is judged before any; use a stage's 'when'",
    ),
    ("stages: [{stage: dicom-reader}]\naccepts: {modality: []}", "4:21", "modality: expected at least one item"),
    (
        "stages: [{stage: dicom-reader, when: {attribute: ai.volume, op: gt, value: 1}}]",
        "3:38",
        "a finding of stage 'ai'",
    ),
    (
        "stages: [{stage: dicom-reader}]\npriority: urgent",
        "4:11",
        "expected one of 'lower', 'normal', 'higher' or 'immediate'",
    ),
    ("stages: [{stage: dicom-reader}]\naccepts: {rule: {any: []}}", "4:17", "expected a list of rules, not empty"),
    (
        "stages: [{stage: dicom-reader}]\naccepts: {modalities: CT}",
        "4:11",
        "unknown key 'modalities' (did you mean 'modality'?)",
    ),
    (
        "stages: [{stage: dicom-reader}]\ntimeout: 1801",
        "4:10",
        "timeout: at most 1800 s; where a workflow may run longer",
    ),
    ("stages: [{stage: dicom-reader}]\ntimeout: 0", "4:10", "expected seconds, at least 1"),
    ("stages: [{stage: dicom-reader}]\ntimeout: 10 min", "4:10", "expected seconds, at least 1"),
    ("stages: [{stage: dicom-reader}]\nkind: {input: jpeg}", "4:15", "expected one of 'dicom', 'mhd' or 'npz'"),
    ("stages: [{stage: dicom-reader}]\ndestinations: ['']", "4:16", "a destination needs a name"),
    ("stages: nothing", "3:9", "stages: expected a list; found 'nothing'"),
    ("stages: [5]", "3:10", "stages[0]: expected a mapping; found 5"),
    ("stages: [{stage: a, after: 5}]", "3:28", "stages[0].after: expected text (put it in quotes) or a list; found 5"),
    ("stages: [{stage: a, args: [1, x]}]", "3:28", "stages[0].args[0]: expected text (put it in quotes); found 1"),
    ("stages: [{stage: a, when: never}]", "3:27", "stages[0].when: expected a mapping; found 'never'"),
]


@pytest.mark.parametrize(("body", "place", "message"), EXTENDED_ERRORS)
def test_what_is_wrong_with_the_extended_form(problems: Problems, body: str, place: str, message: str) -> None:
    found = problems(HEAD + body + "\n")
    assert any(line.startswith(f"w.yaml:{place}: ") and message in line for line in found), found


def test_the_running_time_of_a_workflow_bounds_its_stages(load: Load) -> None:
    stages = "stages: [{stage: dicom-reader}, {stage: ai-vnet}]\n"
    (usual,) = load(HEAD + stages)
    assert (usual.timeout, [stage.timeout for stage in usual.stages]) == (600, [300, 300])
    (short,) = load(HEAD + stages + 'timeout: "120"\n')
    assert (short.timeout, [stage.timeout for stage in short.stages]) == (120, [120, 120])
    (long,) = load(HEAD + stages + "timeout: 1800\n")
    assert (long.timeout, [stage.timeout for stage in long.stages]) == (1800, [300, 300])


def test_a_ring_is_shown(problems: Problems) -> None:
    stages = ("name: a, after: c", "name: b", "name: c")
    body = "stages:\n" + "".join(f"  - {{stage: dicom-reader, {stage}}}\n" for stage in stages)
    (problem,) = problems(HEAD + body)
    assert problem.startswith("w.yaml:4:43: stages wait for each other: a -> c -> b -> a")


def test_a_reader_that_does_not_wait_is_told_for_whom(problems: Problems) -> None:
    body = "stages:\n  - stage: dicom-reader\n  - {stage: ai-vnet, after: [], input: dicom-reader/output}\n"
    (problem,) = problems(HEAD + body)
    assert "add the lock 'dicom-reader.lock' to its waitLocks (extended form: 'dicom-reader' to its 'after')" in problem


def test_all_errors_of_a_file_come_at_once(problems: Problems) -> None:
    found = problems(
        "id: nonsense\nname: Wrong Name\nstages:\n  - {stage: dicom-raeder}\n"
        "  - {stage: ai-vnet, args: --what}\n  - {stage: dicom-writer, after: nobody}\n"
    )
    assert [line.split(": ")[0] for line in found] == [
        "w.yaml:1:5",
        "w.yaml:2:7",
        "w.yaml:4:13",
        "w.yaml:5:28",
        "w.yaml:6:34",
    ]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("id: 5\nname: 6\nstages: [{stage: x}]\n", ["1:5", "2:7", "3:18"]),
        ("name: Wrong\nid: x\nunknown: 1\nstages: [{name: y}, {stage: x, after: {}}]\n", ["1:7", "2:5", "3:1"]),
        (f"{HEAD}stages: [{{stage: x, args: [1, --y]}}, {{stage: 7, when: 1}}]\n", ["3:18", "3:28", "3:46", "3:55"]),
        (f"{ID}:\n  name: 1\n  stages: [a]\n  waitLocks: [b]\n  ioFolders: [c, ../d]\n  args: ['']\n", ["2:9"]),
    ],
)
def test_a_mistake_of_form_hides_none_of_meaning(problems: Problems, text: str, places: list[str]) -> None:
    found = [line.split(": ")[0].removeprefix("w.yaml:") for line in problems(text)]
    assert len(found) == len(set(found)), found
    assert found[: len(places)] == places
    assert len(found) >= 3


@pytest.mark.parametrize("text", ["", "[]", "just words", "{}", "3"])
def test_a_file_without_a_workflow(problems: Problems, text: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith("w.yaml:1:1: no workflow here")


def test_an_unknown_key_beside_workflows(problems: Problems) -> None:
    assert problems("workflows: {}\nstage: {}\n") == ["w.yaml:2:1: unknown key 'stage' beside 'workflows:'"]


def test_an_id_or_a_name_that_is_used_twice_names_both_files(tmp_path: Path, catalogue: Catalogue) -> None:
    texts = {
        "a.yaml": HEAD,
        "b.yaml": HEAD.replace("name: w", "name: v"),
        "c.yaml": HEAD.replace(ID, OTHER_ID),
    }
    loaded = []
    for name, head in texts.items():
        (tmp_path / name).write_text(head + "stages: [{stage: dicom-reader}]\n")
        loaded.extend(load_workflows(tmp_path / name, catalogue, name))
    assert [str(problem) for problem in duplicates(loaded)] == [
        f"b.yaml:1:1: ID '{ID}' belongs to the workflow in a.yaml:1; each workflow needs an ID of its own",
        "c.yaml:1:1: name 'w' belongs to the workflow in a.yaml:1; each workflow needs a name of its own",
    ]


def test_two_workflows_of_one_file_with_one_name(problems: Problems) -> None:
    found = problems(LINES + LINES.replace(ID, OTHER_ID))
    assert found == ["w.yaml:8:3: name 'w' belongs to the workflow in w.yaml:2; each workflow needs a name of its own"]
