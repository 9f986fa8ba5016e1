"""What the models of workflow and catalogue files share: frozen, no unknown keys, errors that say where."""

import difflib
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from clara_ops.workflow.errors import Problem
from clara_ops.workflow.yaml_source import KeyPath, YamlSource


class FileModel(BaseModel):
    """A part of a workflow or catalogue file."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


M = TypeVar("M", bound=FileModel)


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'X'?)` where a known word is near, else the known words; begins with a space."""
    candidates = sorted(known)
    close = difflib.get_close_matches(word, candidates, n=1)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (known: {', '.join(candidates)})" if candidates else ""


def build_model(model: type[M], source: YamlSource, problems: list[Problem]) -> M | None:
    """Check a source's data against a model; what is wrong is added to `problems`."""
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        problems.extend(_problem(model, source, item) for item in error.errors(include_url=False))
        return None


def _problem(model: type[FileModel], source: YamlSource, item: Any) -> Problem:
    loc: KeyPath = item["loc"]
    path = _existing(source.data, loc)
    name = ".".join(map(str, loc))
    kind, context = item["type"], item.get("ctx", {})
    if kind == "missing":
        return source.problem(path, f"key {loc[-1]!r} is missing; add it")
    if kind == "extra_forbidden":
        known = _known_keys(model, loc[:-1])
        return source.problem(path, f"unknown key {loc[-1]!r}{nearest(str(loc[-1]), known)}", at_key=True)
    if kind == "value_error":
        return source.problem(path, f"{name}: {context['error']}")
    wanted = {
        "model_type": "a mapping",
        "dict_type": "a mapping",
        "tuple_type": "a list",
        "list_type": "a list",
        "string_type": "text; put it in quotes",
        "int_type": "a whole number",
        "int_parsing": "a whole number",
        "int_from_float": "a whole number",
        "bool_type": "true or false",
        "bool_parsing": "true or false",
        "float_type": "a number",
    }.get(kind)
    found = item["input"]
    if wanted is not None:
        return source.problem(path, f"{name}: expected {wanted}; found {found!r}")
    if kind in ("literal_error", "enum"):
        return source.problem(path, f"{name}: expected one of {context['expected']}; found {found!r}")
    return source.problem(path, f"{name}: {item['msg'][:1].lower()}{item['msg'][1:]}; found {found!r}")


def _existing(data: Any, loc: KeyPath) -> KeyPath:
    """The steps of `loc` that lead through the data: pydantic puts the names of union members in between."""
    path: list[str | int] = []
    for step in loc:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            continue
        path.append(step)
    return tuple(path)


def _known_keys(model: type[FileModel], loc: KeyPath) -> list[str]:
    """Keys that the model at `loc` takes."""
    current: Any = model
    for step in loc:
        fields = {field.alias or name: field for name, field in current.model_fields.items()}
        if step in fields:
            current = _model_in(fields[str(step)].annotation) or current
    return [field.alias or name for name, field in current.model_fields.items()]


def _model_in(annotation: Any) -> type[FileModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, FileModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
