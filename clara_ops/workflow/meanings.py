"""What the docstrings of the models say: of a model, and of each of its keys."""

import inspect
from collections.abc import Mapping
from typing import Any

from clara_ops.workflow.schema import FileModel


def meaning_of(model: type[FileModel]) -> str:
    """What a model stands for: its docstring up to the list of attributes, as one line."""
    return " ".join(_parts(model)[0].split())


def key_meanings(model: type[FileModel]) -> Mapping[str, str]:
    """What each key means, by its name in files; keys that the docstring does not explain are left out."""
    lines = _parts(model)[1].splitlines()
    texts: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith(" "):
            texts[name] = f"{texts[name]} {line.strip()}"
        elif line:
            name, _, text = line.partition(": ")
            texts[name] = text
    return {field.alias or name: texts[name] for name, field in model.model_fields.items() if name in texts}


def models_in(*models: type[FileModel]) -> Mapping[str, type[FileModel]]:
    """These models and all that their keys are made of, by class name, in the order of the keys."""
    found: dict[str, type[FileModel]] = {}
    for model in models:
        if model.__name__ not in found:
            found[model.__name__] = model
            for field in model.model_fields.values():
                for inner in _in_annotation(field.annotation):
                    found |= {name: other for name, other in models_in(inner).items() if name not in found}
    return found


def _in_annotation(annotation: Any) -> list[type[FileModel]]:
    if isinstance(annotation, type) and issubclass(annotation, FileModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _in_annotation(argument)]


def _parts(model: type[FileModel]) -> tuple[str, str]:
    text, _, attributes = inspect.cleandoc(model.__doc__ or "").partition("Attributes:\n")
    return text, inspect.cleandoc(attributes)
