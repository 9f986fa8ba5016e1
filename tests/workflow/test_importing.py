"""Workflows of other platforms as ours: what they become, and that everything lost is told with its place."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from clara_ops.workflow.catalogue import Catalogue
from clara_ops.workflow.errors import WorkflowFileError
from clara_ops.workflow.importing.clara_pipeline import import_pipeline, is_pipeline
from clara_ops.workflow.importing.imported import Imported
from clara_ops.workflow.importing.monai_definition import is_clinical_workflow
from clara_ops.workflow.importing.monai_workflow import import_clinical_workflow
from clara_ops.workflow.importing.writing import file_text
from clara_ops.workflow.json_schema import workflow_schema
from clara_ops.workflow.loading import workflows_of
from clara_ops.workflow.pod import stage_pod
from clara_ops.workflow.workflow import Workflow
from clara_ops.workflow.yaml_source import YamlSource, parse_yaml, read_yaml

from .conftest import ROOT

DATA = ROOT / "tests" / "data" / "imports"
ID = "7b413e24-d018-4689-8c41-73272f6649d4"
Json = dict[str, Any]

Import = Callable[[YamlSource], Imported]


def loaded(imported: Imported, catalogue: Catalogue) -> Workflow:
    """What the written file loads as."""
    text = file_text(imported, ID, "x")
    assert Draft202012Validator(workflow_schema()).is_valid(yaml.safe_load(text))
    (workflow,) = workflows_of(parse_yaml(text.encode(), "x.yaml"), catalogue)
    return workflow


def notes(imported: Imported) -> dict[str, str]:
    return {f"{note.line}:{note.column}": note.message for note in imported.notes}


@pytest.fixture(scope="module")
def liver() -> Imported:
    return import_pipeline(read_yaml(DATA / "clara-liver.yaml"))


@pytest.fixture(scope="module")
def router() -> Imported:
    return import_clinical_workflow(read_yaml(DATA / "monai-router.json"))


def test_a_clara_pipeline_becomes_stages(liver: Imported, catalogue: Catalogue) -> None:
    workflow = loaded(liver, catalogue)
    assert workflow.name == "liver-tumor-pipeline"
    assert [(stage.name, stage.after) for stage in workflow.stages] == [
        ("dicom-reader", ()),
        ("liver-tumor-segmentation", ("dicom-reader",)),
        ("fusion", ("dicom-reader", "liver-tumor-segmentation")),
        ("dicom-writer", ("liver-tumor-segmentation",)),
    ]
    assert workflow.destinations == ("MYPACS",)
    assert workflow.stage("dicom-reader").entry == catalogue["dicom-reader"]


def test_its_containers_start_as_they_did(liver: Imported, catalogue: Catalogue) -> None:
    workflow = loaded(liver, catalogue)
    pod = stage_pod(workflow, workflow.stage("liver-tumor-segmentation"), "run")
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "clara/ai-livertumor:0.7.1"
    assert container["args"] == ["python", "-m", "ai_livertumor", "--model=segmentation_liver_v1", "--home=${HOME}"]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "8192Mi", "nvidia.com/gpu": "1"}
    places = {mount["mountPath"]: mount.get("subPath") for mount in container["volumeMounts"]}
    assert places["/input"] == "payloads/run/dicom-reader/output"
    assert places["/output"] == "payloads/run/liver-tumor-segmentation/output"
    assert places["/dicom"] == "payloads/run/dicom/input"
    assert {"name": "OMP_NUM_THREADS", "value": "2"} in container["env"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "nvcr-login"}]
    assert [item["name"] for item in pod["spec"]["initContainers"]] == ["clean"], "its driver is not ours"


def test_what_a_clara_pipeline_loses_is_told(liver: Imported) -> None:
    assert notes(liver) == {
        "2:1": "its stages may take 2400 s together, but a run 1800 s: "
        "raise its 'timeout', and 'workflowTimeout' of the catalogue, if that is too short",
        "13:3": "stage 'fusion': nothing waits for it, so what it writes is delivered too",
        "16:7": "runs here as stage 'dicom-reader' of the catalogue",
        "28:12": "parameter 'tag' is fixed here at its default '0.7.1'",
        "37:7": "NVIDIA_CLARA_TRTISURI: the platform sets it itself",
        "44:9": "output 'probability': a stage has one output folder here",
        "47:9": "service 'trtis': the platform's Triton serves; put the models into it",
        "63:9": "input at /in/volume: here, with several, it is at /in/volume/dicom-reader",
        "65:9": "input at /in/labels: here, with several, it is at /in/volume/liver-tumor-segmentation",
        "69:15": "written to /out/fused: here the folder is /in/output",
        "72:7": "runs here as stage 'dicom-writer' of the catalogue",
        "81:5": "operator 'register-dicom-output': the platform delivers itself, to MYPACS",
        "85:16": "parameter 'destination' is fixed here at its default 'MYPACS'",
        "89:5": "operator 'register-volume-images-for-rendering': the platform registers with the render server itself",
    }


def test_its_parameters_stay_parameters_where_a_stage_may_refer_to_them(liver: Imported, catalogue: Catalogue) -> None:
    workflow = loaded(liver, catalogue)
    assert {name: (item.type, item.default) for name, item in workflow.parameters.items()} == {
        "model": ("text", "segmentation_liver_v1"),
        "threads": ("integer", 2),
    }


def test_a_text_that_would_begin_a_word_is_fixed() -> None:
    text = (
        "api-version: 0.4.0\nname: p\nparameters: {a-b: x, n: 7, '9': y}\noperators:\n"
        "- name: a\n  container: {image: a, command: "
        "['${{ a-b }}', '${{ n }}', '-${{ a-b }}', '-${{ 9 }}', '$${', '${{ z }}']}\n"
    )
    imported = import_pipeline(parse_yaml(text.encode(), "p.yaml"))
    assert imported.workflow["stages"][0]["args"] == ["x", "${n}", "-${a_b}", "-${parameter_9}", "$$${", ""]
    assert set(imported.workflow["parameters"]) == {"a_b", "n", "parameter_9"}
    assert sorted(note.message for note in imported.notes) == [
        "parameter 'a-b' is fixed here at its default 'x'",
        "placeholder 'z' has no default under 'parameters'; it is left empty",
    ]


OPERATOR = "{name: a, container: {image: a}, input: [{path: /input}], output: [{path: /output}]}"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("name: p\noperators: [{name: a, container: {}}]", "2:34", "key 'image' is missing"),
        ("name: p\noperators: [{name: a, import: {path: a.yaml}}]", "2:13", "is in another file"),
        ("name: p\noperators: [{name: a}]", "2:13", "has no container"),
        ("name: p\noperators: []", "2:12", "needs at least one"),
        (f"name: p\noperators: [{OPERATOR}, {OPERATOR}]", "2:106", "a second operator 'a'"),
        (
            f"name: p\noperators: [{OPERATOR}, {{name: b, container: {{image: b}}, input: [{{from: c}}]}}]",
            "2:147",
            "no operator is called 'c' (known: a, b)",
        ),
        ("name: p\noperators: 5", "2:12", "expected a mapping"),
    ],
)
def test_a_clara_pipeline_that_is_not_sound(text: str, place: str, words: str) -> None:
    with pytest.raises(WorkflowFileError) as raised:
        import_pipeline(parse_yaml(f"api-version: 0.4.0\n{text}".encode(), "p.yaml"))
    line, column = map(int, place.split(":"))
    assert any(
        str(problem).startswith(f"p.yaml:{line + 1}:{column}: ") and words in problem.message
        for problem in raised.value.problems
    ), raised.value


def test_typed_operators_and_placeholders_without_default() -> None:
    text = (
        "api-version: 0.7.0\nname: p\noperators:\n"
        "- {name: prepare, container: {image: 'a/${{ what }}'}, "
        "output: [{name: x, type: array, shape: [1]}], fastio: 1}\n"
    )
    imported = import_pipeline(parse_yaml(text.encode(), "p.yaml"))
    assert "prepare-2" in imported.stages, "'prepare' is a task of every workflow"
    assert notes(imported) == {
        "4:38": "placeholder 'what' has no default under 'parameters'; it is left empty",
        "4:81": "type 'array': no shared memory between stages here; they write files",
        "4:102": "fastio: has no counterpart here",
    }


def test_a_clinical_workflow_becomes_stages(router: Imported, catalogue: Catalogue) -> None:
    workflow = loaded(router, catalogue)
    assert [(stage.name, stage.after, stage.when) for stage in workflow.stages] == [
        ("ct-lung", (), {"attribute": "modality", "op": "eq", "value": "CT"}),
        ("mr-brain", (), {"attribute": "modality", "op": "eq", "value": "MR"}),
        ("report", ("ct-lung", "mr-brain"), None),
    ]
    assert workflow.destinations == ("ORTHANC",)
    assert workflow.accepts == {"all": [{"attribute": "body_part", "op": "exists", "value": True}]}
    lung = workflow.stage("ct-lung")
    assert (lung.entry.map, lung.entry.timeout, lung.entry.command) == (True, 300, ("/bin/bash", "-c"))
    assert lung.args == ("python3 -u /opt/holoscan/app/__main__.py",)
    assert lung.env == {"MONAI_MODELPATH": "/opt/holoscan/models/"}
    assert workflow.stage("report").args == ("--language", "en")
    assert workflow.stage("mr-brain").resources.gpu == 1


def test_what_a_clinical_workflow_loses_is_told(router: Imported) -> None:
    said = notes(router)
    assert set(said) == {"6:15", "7:19", "10:2", "22:7", "38:5", "49:39", "56:12", "71:12", "81:12", "90:14", "107:10"}
    assert said["22:7"].endswith("a part is LEFT OUT, so more runs here: DICOM attribute (0018,0050) is no fact here")
    assert "another way to the same task has no condition" in said["49:39"]
    assert said["71:12"].startswith("task 'review': a person reviews at the end here, before delivery")
    assert router.workflow["review"] == {"onTimeout": "reject"}


def test_a_run_may_take_what_its_stages_may_take_together(liver: Imported, router: Imported) -> None:
    assert liver.workflow["timeout"] == 1800
    assert router.workflow["timeout"] == 300 + 600 + 600
    assert notes(liver)["2:1"].startswith("its stages may take 2400 s together, but a run 1800 s: raise its 'timeout'")


def task(name: str, *after: Any, **more: Any) -> Json:
    destinations = [item if isinstance(item, dict) else {"name": item} for item in after]
    return {"id": name, "type": "docker", "args": {"container_image": name}, "task_destinations": destinations, **more}


def clinical(*tasks: Json, **more: Any) -> Imported:
    data = {"name": "w", "informatics_gateway": {"export_destinations": ["PACS"]}, "tasks": list(tasks), **more}
    return import_clinical_workflow(parse_yaml(json.dumps(data).encode(), "w.json"))


def edge(name: str, *conditions: str) -> Json:
    return {"name": name, "conditions": list(conditions)}


CT = "{{ context.dicom.series.any('0008','0060') }} == 'CT'"
IS_CT = {"attribute": "modality", "op": "eq", "value": "CT"}


def test_the_conditions_of_the_only_way_in_are_what_is_accepted(catalogue: Catalogue) -> None:
    imported = clinical({"id": "r", "type": "router", "task_destinations": [edge("a", CT)]}, task("a"))
    assert imported.workflow["accepts"] == {"modality": "CT"}
    assert loaded(imported, catalogue).stages[0].when is None


def test_conditions_on_the_way_are_joined(catalogue: Catalogue) -> None:
    found = "{{ context.executions.a.result.volume }} >= '2.5'"
    imported = clinical(
        task("a", edge("r", found)),
        {
            "id": "r",
            "type": "router",
            "task_destinations": [edge("b", CT), edge("b", "{{ context.executions.a.result.x }} == NULL")],
        },
        task("b"),
    )
    volume = {"attribute": "a.volume", "op": "ge", "value": 2.5}
    missing = {"attribute": "a.x", "op": "exists", "value": False}
    assert loaded(imported, catalogue).stage("b").when == {
        "any": [{"all": [volume, IS_CT]}, {"all": [volume, missing]}]
    }


def test_a_container_of_docker_finds_its_folders_where_its_command_looks(catalogue: Catalogue) -> None:
    arguments = {"container_image": "alpine:3", "entrypoint": "/bin/sh,-c", "command": "find /var/monai/input ${HOME}"}
    listed = task("list", args={**arguments, "IN": "/var/monai/input/", "OUT": "/var/monai/found"})
    listed["artifacts"] = {"input": [{"name": "IN", "value": "{{ context.input.dicom }}"}], "output": [{"name": "OUT"}]}
    imported = clinical(listed)
    workflow = loaded(imported, catalogue)
    pod = stage_pod(workflow, workflow.stages[0], "run")
    (container,) = pod["spec"]["containers"]
    assert (container["command"], container["args"]) == (["/bin/sh", "-c"], ["find /var/monai/input ${HOME}"])
    places = {mount["mountPath"]: mount.get("subPath") for mount in container["volumeMounts"]}
    assert places["/var/monai/input"] == "payloads/run/dicom/input"
    assert places["/var/monai/found"] == "payloads/run/list/output"
    assert [note.message for note in imported.notes] == [
        "nothing is exported: here the last stages' output is delivered where the AE title's mapping says"
    ]


def test_an_export_under_conditions_or_from_the_midst_is_told() -> None:
    export = {"id": "e", "type": "export", "export_destinations": [edge("PACS")]}
    export["artifacts"] = {"input": [{"name": "x", "value": "{{ context.executions.a.artifacts.x }}"}]}
    imported = clinical(task("a", edge("e", CT), "b"), task("b"), export)
    told = [note.message for note in imported.notes]
    assert any(message.startswith("export 'e' is sent WITHOUT its conditions") for message in told)
    assert "export 'e': others wait for stage 'a', so it is not delivered here" in told


def test_a_revision_of_a_workflow_is_read_too() -> None:
    inner = {"Name": "w", "informatics-gateway": {"ae-title": "A"}, "tasks": [task("a")]}
    data = {"id": "1", "workflow_id": ID, "revision": 1, "workflow": inner}
    assert is_clinical_workflow(data)
    imported = import_clinical_workflow(parse_yaml(json.dumps(data).encode(), "w.json"))
    assert imported.workflow["name"] == "w"
    assert any("AE title 'A'" in note.message for note in imported.notes)


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([], "tasks: a workflow needs at least one"),
        ([task("a", "b")], "no task is called 'b'"),
        ([task("a"), task("a")], "a second task 'a'"),
        ([{"id": "r", "type": "router", "task_destinations": [edge("r")]}], "leads back to itself"),
        ([{"id": "r", "type": "router"}], "no task that is reached runs a container"),
        ([{"type": "docker"}], "key 'id' is missing"),
        (
            [{"id": f"r{i}", "type": "router", "task_destinations": [edge(f"r{i + 1}")] * 2} for i in range(40)]
            + [{"id": "r40", "type": "router"}],
            "in more than 5000 ways",
        ),
    ],
)
def test_a_clinical_workflow_that_is_not_sound(tasks: list[Json], words: str) -> None:
    with pytest.raises(WorkflowFileError, match=words):
        clinical(*tasks)


KEYS = st.sampled_from(
    [
        *(
            "api-version",
            "operators",
            "name",
            "container",
            "image",
            "tag",
            "command",
            "input",
            "output",
            "from",
            "path",
        ),
        *(
            "requests",
            "memory",
            "services",
            "parameters",
            "variables",
            "tasks",
            "informatics_gateway",
            "id",
            "type",
            "args",
        ),
        *(
            "task_destinations",
            "conditions",
            "artifacts",
            "value",
            "export_destinations",
            "workflow",
            "timeout_minutes",
        ),
    ]
)
VALUES = st.recursive(
    st.sampled_from([None, True, 5, 2.5, "", "a", "docker", "router", "${{ a }}", CT, "/input", "x y", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("convert", "is_one", "base"),
    [
        (import_pipeline, is_pipeline, {"api-version": "0.4.0", "name": "p", "operators": [{"name": "a"}]}),
        (
            import_clinical_workflow,
            is_clinical_workflow,
            {"name": "w", "informatics_gateway": {}, "tasks": [task("a")]},
        ),
    ],
)
@given(data=st.dictionaries(KEYS, VALUES, max_size=6), inner=st.dictionaries(KEYS, VALUES, max_size=6))
@settings(max_examples=40, deadline=None)
def test_whatever_stands_in_a_file_it_is_a_workflow_or_a_named_error(
    convert: Import, is_one: Callable[[object], bool], base: Json, data: Json, inner: Json
) -> None:
    whole = {**base, **data}
    for key in ("operators", "tasks"):
        if isinstance(whole.get(key), list) and whole[key] and isinstance(whole[key][0], dict):
            whole[key] = [{**whole[key][0], **inner}, *whole[key][1:]]
    for candidate in (data, whole):
        if not is_one(candidate):
            continue
        source = parse_yaml(yaml.safe_dump(candidate).encode(), "f")
        try:
            imported = convert(source)
        except WorkflowFileError as error:
            assert error.problems
        else:
            assert file_text(imported, ID, "x\n")
