"""The parts of a Clara pipeline definition that are read."""

from typing import Annotated, Any

from pydantic import Field

from clara_ops.workflow.importing.source_model import Anything, ListOf, SourceModel, Text, Texts


class Container(SourceModel):
    """What runs."""

    image: Text
    tag: Text = "latest"
    command: Texts = ()


class Requests(SourceModel):
    """Hardware; memory in megabytes."""

    cpu: int | None = None
    gpu: int | None = None
    memory: int | None = None


class Port(SourceModel):
    """An output; or an input, from the operator `source`, or the payload where that is not given."""

    source: Text | None = Field(default=None, alias="from")
    name: Text | None = None
    path: Text | None = None
    type: Text = "stream"


class Named(SourceModel):
    """Something with a name: a model, a service."""

    name: Text = ""


class Operator(SourceModel):
    """One step."""

    name: Text
    description: Text = ""
    container: Container | None = None
    requests: Requests = Requests()
    input: Annotated[tuple[Port, ...], ListOf] = ()
    output: Annotated[tuple[Port, ...], ListOf] = ()
    services: Annotated[tuple[Named, ...], ListOf] = ()
    models: Annotated[tuple[Named, ...], ListOf] = ()
    variables: Anything = Field(default_factory=dict)


class Pipeline(SourceModel):
    """A whole definition."""

    api_version: Text
    name: Text
    description: Text = ""
    parameters: Anything = Field(default_factory=dict)
    pull_secrets: Annotated[tuple[Any, ...], ListOf] = ()
    orchestrator: Text = ""
    operators: Annotated[tuple[Operator, ...], ListOf]
