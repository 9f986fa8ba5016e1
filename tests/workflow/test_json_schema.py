"""The JSON Schemas for editors: they take whatever loading takes, and refuse what no file may say."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from clara_ops.workflow.catalogue import Catalogue
from clara_ops.workflow.entry import CatalogueEntry
from clara_ops.workflow.errors import Problem, WorkflowFileError
from clara_ops.workflow.form2019 import Lines2019
from clara_ops.workflow.json_schema import catalogue_schema, workflow_schema
from clara_ops.workflow.loading import workflows_of
from clara_ops.workflow.meanings import key_meanings, meaning_of, models_in
from clara_ops.workflow.model import WorkflowSpec
from clara_ops.workflow.schema import FileModel, build_model
from clara_ops.workflow.yaml_source import YamlSource

from .conftest import OWN_CATALOGUE, ROOT

WORKFLOWS, CATALOGUE = workflow_schema(), catalogue_schema()
OF_WORKFLOWS, OF_CATALOGUES = Draft202012Validator(WORKFLOWS), Draft202012Validator(CATALOGUE)
MODELS = models_in(WorkflowSpec, Lines2019, CatalogueEntry)
ID = "7b413e24-d018-4689-8c41-73272f6649d4"
EXTENDED: dict[str, Any] = {"id": ID, "name": "w", "stages": [{"stage": "dicom-reader"}]}


def test_they_are_schemas() -> None:
    Draft202012Validator.check_schema(WORKFLOWS)
    Draft202012Validator.check_schema(CATALOGUE)


@pytest.mark.parametrize("path", sorted((ROOT / "dags" / "workflows").glob("*.yaml")), ids=lambda path: path.name)
def test_the_shipped_workflows_pass(path: Any) -> None:
    assert list(OF_WORKFLOWS.iter_errors(yaml.safe_load(path.read_text()))) == []


@pytest.mark.parametrize("path", [OWN_CATALOGUE, ROOT / "tests" / "data" / "clara2019" / "values.yaml"])
def test_the_catalogues_pass_as_both(path: Any) -> None:
    data = yaml.safe_load(path.read_text())
    assert list(OF_CATALOGUES.iter_errors(data)) == []
    assert list(OF_WORKFLOWS.iter_errors(data)) == []


LINES = {"name": "w", "stages": ["a"], "waitLocks": [""], "ioFolders": ["a/in", "a/out"], "args": [""]}


@pytest.mark.parametrize(
    "data",
    [
        {**EXTENDED, "stagess": []},
        {**EXTENDED, "priority": "urgent"},
        {**EXTENDED, "accepts": {"minimumInstances": 0}},
        {**EXTENDED, "accepts": {"rule": {"attribute": "modality", "op": "like", "value": "CT"}}},
        {**EXTENDED, "accepts": {"rule": {"all": []}}},
        {**EXTENDED, "stages": [{"stage": "a", "when": {"not": {"any": [{"attribute": "modality"}]}}}]},
        {**EXTENDED, "stages": [{"name": "no-stage"}]},
        {"id": ID, "name": "w"},
        {ID: {**LINES, "arg": []}},
        {ID: {"name": "w", "stages": ["a"]}},
        {ID.upper(): LINES},
        {"workflows": {ID: {"name": "w", "stages": [{"stage": 5}]}}},
        {"stages": {"a": {"image": {"repository": "a"}}}},
    ],
)
def test_what_no_file_may_say(data: dict[str, Any]) -> None:
    assert not OF_WORKFLOWS.is_valid(data)


@pytest.mark.parametrize("data", [EXTENDED, {ID: LINES}, {ID: {"name": "w", "stages": [{"stage": "a"}]}}])
def test_both_forms_pass_alone_and_below_workflows(data: dict[str, Any]) -> None:
    assert OF_WORKFLOWS.is_valid(data)
    assert "id" in data or OF_WORKFLOWS.is_valid({"workflows": data})


SAMPLES: dict[str, Any] = {
    "id": ID,
    "stages": [],
    "waitLocks": [],
    "ioFolders": [],
    "args": [],
    "image": {"repository": "a"},
    "logName": "/app/logs/a.log",
    "timeout": "300",
    "weight": 1,
    "operator": "Exists",
}
RULES = {"when", "rule"}
"""Not the model but the workflow as a whole checks these."""

CANDIDATES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        5,
        -1,
        65,
        2**40,
        1.0,
        2.5,
        "",
        "5",
        "0300",
        "x",
        "2Gi",
        "1g.10gb",
        "/a",
        "a/b",
        "é",
        "In",
    ),
    *(
        "Exists",
        "dicom",
        "flag",
        [],
        [1],
        ["x"],
        ["x", ""],
        [[]],
        [{}],
        {},
        {"x": 1},
        {"x": "y"},
        {"x": {"secret": "s"}},
    ),
    *({"x": {"secret": "s", "key": "k"}}, {"name": "x"}, {"repository": "x"}, [{"stage": "x"}], [{"name": "x"}]),
]


def accepted(model: type[FileModel], data: dict[str, Any]) -> bool:
    problems: list[Problem] = []
    return build_model(model, YamlSource("f", data, {}, {}), problems) is not None


def smallest(model: type[FileModel]) -> dict[str, Any]:
    """As few keys as a model takes."""
    required = [field.alias or name for name, field in model.model_fields.items() if field.is_required()]
    data: dict[str, Any] = {}
    for key in required:
        inner = models_in(model).get(key[:1].upper() + key[1:])
        data[key] = SAMPLES.get(key, smallest(inner) if inner is not None and inner is not model else "x")
    return data


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_value_that_a_key_takes_passes(model: type[FileModel]) -> None:
    schema = Draft202012Validator({"$ref": f"#/$defs/{model.__name__}", "$defs": WORKFLOWS["$defs"]})
    least = smallest(model)
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in RULES:
            continue
        for value in CANDIDATES:
            data = {**least, key: value}
            if accepted(model, data):
                assert list(schema.iter_errors(data)) == [], (key, value)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_key_is_explained_but_those_of_kubernetes(model: type[FileModel]) -> None:
    assert meaning_of(model)
    keys = {field.alias or name for name, field in model.model_fields.items()}
    if model.__module__ not in KUBERNETES:
        assert keys - set(key_meanings(model)) == set(), f"{model.__name__}: say what it means in the docstring"


KUBERNETES = {"clara_ops.workflow.placement", "clara_ops.workflow.security"}
"""Their keys are those of core/v1, and mean what they mean there."""

STAGE = st.fixed_dictionaries(
    {"stage": st.sampled_from(["dicom-reader", "ai-vnet", "dicom-writer"])},
    optional={
        "name": st.sampled_from(["a", "b", "c"]),
        "after": st.sampled_from(["a", [], ["a", "b"], 1]),
        "input": st.sampled_from(["dicom/input", ["dicom/input"], []]),
        "args": st.sampled_from(["", [], ["--workers", "2"], "--workers 2", 5]),
        "env": st.sampled_from([{}, {"A": "b"}, {"A": 1}, {"A": {"secret": "s", "key": "k"}}, {"1": "x"}]),
        "resources": st.sampled_from([{}, {"gpu": 0}, {"gpu": "1"}, {"memory": "4Gi", "cpu": 2}, {"cpu": True}]),
        "when": st.sampled_from(
            [{"attribute": "modality", "op": "eq", "value": "CT"}, {"not": {"attribute": "complete", "op": "eq"}}, {}]
        ),
    },
)
DOCUMENT = st.fixed_dictionaries(
    {"name": st.sampled_from(["w", "W", 5]), "stages": st.lists(STAGE, max_size=3)},
    optional={
        "id": st.sampled_from([ID, "x"]),
        "accepts": st.sampled_from([{}, {"modality": ["CT"], "complete": True}, {"minimumInstances": "3"}, None]),
        "kind": st.sampled_from([{}, {"input": "mhd"}, {"input": "x"}]),
        "destinations": st.sampled_from([[], ["A"], "A"]),
        "priority": st.sampled_from(["normal", "higher", "x"]),
    },
)
FILE = DOCUMENT | st.dictionaries(st.sampled_from([ID, ID.upper()]), DOCUMENT) | st.builds(dict, workflows=DOCUMENT)


@given(data=FILE)
@settings(max_examples=150, deadline=None)
def test_whatever_loading_takes_passes(data: dict[str, Any], catalogue: Catalogue) -> None:
    try:
        workflows_of(YamlSource("f", data, {}, {}), catalogue)
    except WorkflowFileError:
        return
    assert list(OF_WORKFLOWS.iter_errors(data)) == []
