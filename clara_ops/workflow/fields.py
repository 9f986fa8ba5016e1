"""The kinds of values that stand in workflow and catalogue files, each with the rule that it is checked by."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, StrictStr, Tag, WithJsonSchema

from clara_ops.contract.names import check_dns_label
from clara_ops.workflow.schema import FileModel

_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECONDS = re.compile(r"0*[1-9][0-9]{0,8}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_OBJECT_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def _quantity(value: object) -> object:
    text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    if isinstance(text, str) and _QUANTITY.fullmatch(text) is None:
        raise ValueError("expected a Kubernetes quantity, for example '2', '500m' or '4Gi'")
    return text


def _env_name(value: str) -> str:
    if _ENV_NAME.fullmatch(value) is None:
        raise ValueError("an environment name has letters, digits and '_' and does not begin with a digit")
    return value


def _absolute(value: str) -> str:
    if not value.startswith("/") or ".." in value.split("/"):
        raise ValueError("expected an absolute path inside the container, for example '/app/locks'")
    return str(PurePosixPath(value))


def _file_name(value: str) -> str:
    if _FILE_NAME.fullmatch(value) is None:
        raise ValueError("expected a file or folder name without '/', for example 'dicom-reader.lock'")
    return value


def _label(value: str) -> str:
    return check_dns_label(value, "name")


def _object_name(value: str) -> str:
    if len(value) > 253 or _OBJECT_NAME.fullmatch(value) is None:
        raise ValueError(
            f"{value!r} is no name of a Kubernetes object: lower case letters, digits, '-' and '.', not at either end"
        )
    return value


def _label_key(value: str) -> str:
    prefix, slash, name = value.rpartition("/")
    if _LABEL_NAME.fullmatch(name) is None or (slash and _OBJECT_NAME.fullmatch(prefix) is None):
        raise ValueError(f"{value!r} is no label of Kubernetes; expected a name, for example 'nvidia.com/gpu.product'")
    return value


def _label_value(value: str) -> str:
    if value and _LABEL_NAME.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no value of a label: at most 63 letters, digits, '-', '_' and '.'")
    return value


def _seconds(value: object) -> object:
    if isinstance(value, bool) or _SECONDS.fullmatch(str(value)) is None:
        raise ValueError('expected seconds, at least 1, for example "300"')
    return int(str(value))


Quantity = Annotated[
    StrictStr,
    BeforeValidator(_quantity),
    WithJsonSchema({"type": ["string", "number"], "pattern": f"^{_QUANTITY.pattern}$", "title": "Kubernetes quantity"}),
]
AbsolutePath = Annotated[StrictStr, AfterValidator(_absolute), WithJsonSchema({"type": "string", "pattern": "^/"})]
FileName = Annotated[
    StrictStr, AfterValidator(_file_name), WithJsonSchema({"type": "string", "pattern": f"^{_FILE_NAME.pattern}$"})
]
Label = Annotated[StrictStr, AfterValidator(_label)]
ObjectName = Annotated[StrictStr, AfterValidator(_object_name)]
LabelKey = Annotated[StrictStr, AfterValidator(_label_key)]
LabelValue = Annotated[StrictStr, AfterValidator(_label_value)]
Seconds = Annotated[
    int,
    BeforeValidator(_seconds),
    WithJsonSchema(
        {"type": ["string", "integer"], "pattern": f"^{_SECONDS.pattern}$", "minimum": 1, "title": "seconds"}
    ),
]
Rule = Annotated[Mapping[str, Any], WithJsonSchema({"type": "object", "title": "Rule"})]
"""A rule of `clara_ops.contract.evaluator`, checked where the workflow is resolved."""


class SecretKey(FileModel):
    """A value that no file holds: a Secret has it.

    Attributes:
        secret: name of the Secret, in the pods' namespace.
        key: which of its keys.
    """

    secret: ObjectName
    key: Annotated[StrictStr, Field(pattern=r"^[-._a-zA-Z0-9]{1,253}$")]


def _kind_of_value(value: object) -> str:
    return "in a Secret" if isinstance(value, (Mapping, SecretKey)) else "as text"


EnvironmentValue = Annotated[
    Annotated[StrictStr, Tag("as text")] | Annotated[SecretKey, Tag("in a Secret")], Discriminator(_kind_of_value)
]
Environment = Mapping[Annotated[StrictStr, AfterValidator(_env_name)], EnvironmentValue]
