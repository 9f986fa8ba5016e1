"""Bodies of the REST interface (docs/architecture.md, 2.3). Times are ISO 8601 in UTC."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
)

from clara_ops.contract.conf import CONF_KEYS
from clara_ops.contract.states import RunState


def _moment(value: Any) -> Any:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, (int, float)) else value


def _object(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


Moment = Annotated[datetime, BeforeValidator(_moment)]


class Answer(BaseModel):
    """What the interface answers; made from a model, a row of the journal or another object with these attributes."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Request(BaseModel):
    """What the interface is asked; keys that it does not know are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FoldersRequest(Request):
    """`input`: the workflow's first folder; `folders`: all the others."""

    input: str
    folders: tuple[str, ...] = ()


class FoldersAnswer(Answer):
    """`files`: how many files the input folder holds."""

    run_id: str
    files: int


class StateRequest(Request):
    """What a task of the DAG says of its run."""

    state: Literal[
        RunState.RUNNING,
        RunState.IN_REVIEW,
        RunState.DONE,
        RunState.FAILED,
        RunState.REJECTED,
        RunState.NOT_APPLICABLE,
    ]
    reason: str = ""


def _parameter_name(name: str) -> str:
    if name in CONF_KEYS:
        raise ValueError(f"{name!r} is set by the listener and is no parameter")
    return name


ParameterName = Annotated[str, AfterValidator(_parameter_name)]

ParameterValue = StrictBool | StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)] | StrictStr


class RunRequest(Request):
    """What to run.

    Attributes:
        group: the Series Instance UID, or whatever the AE title groups by.
        parameters: values of the workflow's parameters; Airflow, which knows the workflow, checks them.
        request_id: what the caller calls this request: asked again, it gives the same run.
        dag_id: name of the workflow, for a mapping that has its name where `workflow` is the id.
    """

    workflow: Annotated[str, Field(min_length=1)]
    ae_title: str
    group: str
    parameters: Mapping[ParameterName, ParameterValue] = Field(default_factory=dict)
    request_id: Annotated[str, Field(min_length=1, max_length=600)] | None = None
    dag_id: str | None = None


class FilesRunRequest(Request):
    """The fields of a multipart request, beside its files.

    Attributes:
        group: what was received by DICOM and belongs to the files; its instances come into the payload too.
        parameters: a JSON object; the others as in `RunRequest`.
    """

    workflow: Annotated[str, Field(min_length=1)]
    ae_title: str
    group: Annotated[str, Field(min_length=1)] | None = None
    parameters: Json[Mapping[ParameterName, ParameterValue]] = Field(default_factory=dict)
    request_id: Annotated[str, Field(min_length=1, max_length=600)] | None = None
    dag_id: str | None = None


class RunAnswer(Answer):
    """One run of one workflow on one group."""

    run_id: str
    workflow: str
    dag_id: str | None
    ae_title: str
    group: Annotated[str, Field(validation_alias="group_value")]
    generation: int
    state: str
    reason: str
    created: Moment
    updated: Moment
    last_instance: Moment
    triggered: Moment | None
    finished: Moment | None
    delivered: Moment | None
    parameters: Annotated[dict[str, Any], BeforeValidator(_object)]


class SeriesAnswer(Answer):
    """One series of one called AE title; `evidence` is what the last decision over it rested on."""

    series_uid: str
    study_uid: str
    ae_title: str
    calling_ae: str
    state: str
    reason: str
    generation: int
    instances: int
    conflicts: int
    aside: int
    removed: int
    first_instance: Moment
    last_instance: Moment
    evidence: Any
    runs: tuple[str, ...]


class DeliveryRequest(Request):
    """`destination` defaults to the one that the run's mapping names."""

    payload: str
    folder: str
    destination: str | None = None


class DeliveryAnswer(Answer):
    """state: sending, delivered, skipped or failed."""

    id: int
    state: str
    reason: str


class ErrorAnswer(Answer):
    """`message`: what, where, what to do."""

    error: str
    message: str
