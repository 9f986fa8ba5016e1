"""What the models of other platforms' files share: they take what they do not know, and plain values of any kind."""

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict

from clara_ops.workflow.schema import FileModel


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _as_list(value: object) -> object:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _as_mapping(value: object) -> object:
    return {} if value is None else value


Text = Annotated[str, BeforeValidator(_as_text)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_as_list)]
Anything = Annotated[dict[str, Any], BeforeValidator(_as_mapping)]
ListOf = BeforeValidator(_as_list)
"""Of a tuple: nothing is an empty one, and a single value is one of one."""


class SourceModel(FileModel):
    """A part of another platform's file; keys that it does not have are kept in `model_extra`."""

    model_config = ConfigDict(frozen=True, extra="allow", alias_generator=lambda name: name.replace("_", "-"))

    @property
    def others(self) -> tuple[str, ...]:
        """Keys that the model does not know."""
        return tuple(self.model_extra or ())
