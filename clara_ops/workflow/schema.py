"""What the models of workflow and catalogue files share: frozen, no unknown keys, errors that say where."""

import copy
import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from clara_ops.workflow.errors import Problem
from clara_ops.workflow.yaml_source import KeyPath, YamlSource


class FileModel(BaseModel):
    """A part of a workflow or catalogue file."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


M = TypeVar("M", bound=FileModel)

MAX_PROBLEMS = 100
_MISSING = "missing"

_WANTED = {
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "tuple_type": "a list",
    "string_type": "text (put it in quotes)",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "float_type": "a number",
}


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'X'?)` where a known word is near, else the known words; begins with a space."""
    candidates = sorted(known)
    close = difflib.get_close_matches(word, candidates, n=1)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (known: {', '.join(candidates)})" if candidates else ""


def build_model(model: type[M], source: YamlSource, problems: list[Problem]) -> M | None:
    """Check a source's data against a model; what is wrong is added to `problems`, as far as a person can use it."""
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        places: dict[KeyPath, list[Any]] = {}
        for item in error.errors(include_url=False)[:MAX_PROBLEMS]:
            places.setdefault(_existing(source.data, item["loc"]), []).append(item)
        for path, items in places.items():
            if not _is_said_deeper(path, items, places):
                problems.extend(_problems(model, source, path, items))
        return None


def salvage(model: type[M], source: YamlSource) -> M | None:
    """What is left of a source whose mistakes are mended, to look for further ones; None where that is not possible.

    Keys that are wrong are left out, and text that is missing or is none is put in: what is found in such a place is of
    no interest, since something was said of it before.
    """
    data = copy.deepcopy(source.data)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            _mend(data, _existing(data, item["loc"]), item)
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def _mend(data: Any, path: KeyPath, item: Any) -> None:
    """Items of lists stay, since places are told by their number."""
    if item["type"] == "missing":
        path = (*path, item["loc"][-1])
    for step in path[:-1]:
        if not _holds(data, step):
            return
        data = data[step]
    last = path[-1] if path else ""
    if item["type"] == "missing" and isinstance(data, dict):
        data[last] = _MISSING
    elif item["type"] == "string_type" and _holds(data, last) and not isinstance(data[last], (dict, list)):
        data[last] = str(data[last])
    elif isinstance(data, dict):
        data.pop(last, None)


def _holds(data: Any, step: str | int) -> bool:
    """Whether a step leads on: what was around it may have been left out before."""
    if isinstance(data, list):
        return isinstance(step, int) and step < len(data)
    return isinstance(data, dict) and step in data


def _is_said_deeper(path: KeyPath, items: list[Any], places: Mapping[KeyPath, list[Any]]) -> bool:
    """Whether these only say that a list is not text, while what is wrong is an item of the list."""
    below = any(other[: len(path)] == path and other != path for other in places)
    return below and all(item["type"] in _WANTED for item in items)


def _problems(model: type[FileModel], source: YamlSource, path: KeyPath, items: list[Any]) -> list[Problem]:
    """What is wrong at one place. Where a value may be of several kinds, pydantic has an item for each of them."""
    wanted = dict.fromkeys(_WANTED[item["type"]] for item in items if item["type"] in _WANTED)
    found = [_problem(model, source, path, item) for item in items if item["type"] not in _WANTED]
    if wanted:
        value = items[0]["input"]
        message = f"{_name(path)}: expected {' or '.join(wanted)}; found {value!r}"
        found.append(source.problem(path, message))
    return found


def _problem(model: type[FileModel], source: YamlSource, path: KeyPath, item: Any) -> Problem:
    last, context = (item["loc"] or ("",))[-1], item.get("ctx", {})
    match item["type"]:
        case "missing":
            return source.problem(path, f"key {last!r} is missing; add it")
        case "extra_forbidden":
            known = _known_keys(model, item["loc"][:-1])
            return source.problem(path, f"unknown key {last!r}{nearest(str(last), known)}", at_key=True)
        case "too_long":
            return source.problem(path, f"{_name(path)}: at most {context['max_length']} items; split the workflow")
        case "too_short":
            return source.problem(path, f"{_name(path)}: expected at least one item; leave the key out for none")
        case "value_error":
            return source.problem(path, f"{_name(path)}: {context['error']}".removeprefix(": "), at_key=last == "[key]")
        case "literal_error":
            return source.problem(
                path, f"{_name(path)}: expected one of {context['expected']}; found {item['input']!r}"
            )
        case _:
            text = item["msg"][:1].lower() + item["msg"][1:]
            return source.problem(path, f"{_name(path)}: {text}; found {item['input']!r}")


def _name(path: KeyPath) -> str:
    """A place in words, for example `stages[0].args`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


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
