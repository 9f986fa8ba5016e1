"""JSON Schemas of workflow and catalogue files, for editors: made of the models, so that they say what loading says.

A schema knows the keys, and the kinds of their values. What goes beyond one value, `load_workflows` alone knows: names
that have to exist, the order of stages, folders. So the schema takes whatever loading takes, and something more.
"""

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from clara_ops.contract.conf import FACTS
from clara_ops.contract.evaluator import OPERATORS
from clara_ops.workflow.catalogue import WorkflowTimeout
from clara_ops.workflow.entry import CatalogueEntry
from clara_ops.workflow.form2019 import Lines2019
from clara_ops.workflow.meanings import key_meanings, meaning_of, models_in
from clara_ops.workflow.model import WorkflowSpec

Json = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_MODELS = (WorkflowSpec, Lines2019, CatalogueEntry, WorkflowTimeout)


def workflow_schema() -> Json:
    """The schema of a file below `dags/workflows/`: one workflow, or some under their IDs, in either form."""
    return {
        "$schema": DIALECT,
        "title": "Clara workflows",
        "if": {"type": "object", "anyOf": [{"required": ["workflows"]}, _holds("stages", {"type": "object"})]},
        "then": {"$ref": "#/$defs/Values"},
        "else": {
            "if": {"type": "object", "required": ["id"]},
            "then": {"$ref": "#/$defs/WorkflowSpec"},
            "else": {"$ref": "#/$defs/WorkflowsById"},
        },
        "$defs": _definitions(),
    }


def catalogue_schema() -> Json:
    """The schema of a catalogue file, such as `helm/clara-workflow/values.yaml`."""
    return {"$schema": DIALECT, "title": "Clara stages", "$ref": "#/$defs/Values", "$defs": _definitions()}


def _definitions() -> Json:
    _, generated = models_json_schema([(model, "validation") for model in _MODELS], ref_template="#/$defs/{model}")
    definitions: Json = {name: _tidy(schema) for name, schema in generated["$defs"].items()}
    for name, model in models_in(*_MODELS).items():
        schema, meanings = definitions[name], key_meanings(model)
        schema["description"] = meaning_of(model)
        for key, described in schema["properties"].items():
            if key in meanings:
                described["description"] = meanings[key]
    workflow = definitions["WorkflowSpec"]
    below_id = {**workflow, "required": [key for key in workflow["required"] if key != "id"]}
    return dict(sorted({**definitions, "WorkflowBelowId": below_id, **_FILES, "Rule": _RULE}.items()))


def _tidy(schema: Any) -> Any:
    """Without titles that only repeat the key and without nulls as defaults; with the schema of rules in its place."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "object" and schema.get("title") == "Rule":
        return {"$ref": "#/$defs/Rule"}
    kept = {key: value for key, value in schema.items() if key != "title" and (key, value) != ("default", None)}
    properties = kept.pop("properties", None)
    tidied = {key: _tidy(value) if key != "default" else value for key, value in kept.items()}
    if properties is not None:
        tidied["properties"] = {key: _tidy(value) for key, value in properties.items()}
    return tidied


def _holds(key: str, schema: Mapping[str, Any]) -> Json:
    return {"required": [key], "properties": {key: schema}}


_WORKFLOW_BELOW_ID = {
    "if": {
        "type": "object",
        "anyOf": [
            {"required": ["waitLocks"]},
            {"required": ["ioFolders"]},
            _holds("stages", {"type": "array", "contains": {"type": "string"}}),
        ],
    },
    "then": {"$ref": "#/$defs/Lines2019"},
    "else": {"$ref": "#/$defs/WorkflowBelowId"},
}
_FILES = {
    "WorkflowsById": {
        "description": "Workflows under their IDs (UUIDs in lower case).",
        "type": "object",
        "patternProperties": {_UUID: _WORKFLOW_BELOW_ID},
        "additionalProperties": False,
    },
    "Values": {
        "description": "A values.yaml: stages by name, workflows by ID, or both.",
        "type": "object",
        "properties": {
            "stages": {
                "description": "Catalogue entries by the stage's name.",
                "type": ["object", "null"],
                "additionalProperties": {"$ref": "#/$defs/CatalogueEntry"},
            },
            "workflows": {"$ref": "#/$defs/WorkflowsById"},
            "catalogues": {
                "description": "Other catalogue files, relative to this one.",
                "type": "array",
                "items": {"type": "string"},
            },
            "workflowTimeout": {"$ref": "#/$defs/WorkflowTimeout"},
        },
    },
}
_RULES = {"type": "array", "items": {"$ref": "#/$defs/Rule"}, "minItems": 1}
_COMPARISON: Json = {
    "type": "object",
    "properties": {
        "attribute": {"description": "A fact, or `<stage>.<fact>`.", "type": "string", "examples": list(FACTS)},
        "op": {"enum": list(OPERATORS), "description": "\n".join(f"{key}: {text}" for key, text in OPERATORS.items())},
        "value": {"type": ["string", "number", "boolean", "array"]},
    },
    "required": ["attribute", "op", "value"],
    "additionalProperties": False,
}
_RULE: Json = {
    "description": "A comparison, or `all`, `any` or `not` of other rules, in three-valued logic.",
    "anyOf": [
        _COMPARISON,
        *(
            {**_holds(key, schema), "type": "object", "additionalProperties": False}
            for key, schema in (("all", _RULES), ("any", _RULES), ("not", {"$ref": "#/$defs/Rule"}))
        ),
    ],
}
