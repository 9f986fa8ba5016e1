"""Errors of this room, and the API server's answers: `Status` objects with Kubernetes' codes, reasons and causes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from clara_ops.contract.errors import BadInput, ClaraError

Json = dict[str, Any]


class LocalkubeError(ClaraError):
    """Root of the errors of localkube."""


class ImageMapError(LocalkubeError, BadInput):
    """The image map cannot be used."""


class StateError(LocalkubeError):
    """The state folder cannot be used."""


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong with an object: `field` is its path, for example `spec.containers[0].image`."""

    reason: str
    field: str
    message: str


def required(path: str, detail: str = "") -> Cause:
    """A field that must be there."""
    return Cause("FieldValueRequired", path, f"Required value{': ' + detail if detail else ''}")


def wrong(path: str, value: object, detail: str) -> Cause:
    """A field with a value that it cannot have."""
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return Cause("FieldValueInvalid", path, f"Invalid value: {shown}: {detail}")


def duplicate(path: str, value: str) -> Cause:
    """A name that is there twice."""
    return Cause("FieldValueDuplicate", path, f'Duplicate value: "{value}"')


def missing(path: str, value: str) -> Cause:
    """A reference to something that the object does not have."""
    return Cause("FieldValueNotFound", path, f'Not found: "{value}"')


def unsupported(path: str, value: str, supported: Sequence[str], detail: str = "") -> Cause:
    """A value that is not one of those supported here."""
    names = ", ".join(f'"{name}"' for name in supported)
    return Cause("FieldValueNotSupported", path, f'Unsupported value: "{value}": supported values: {names}{detail}')


def forbidden(path: str, detail: str) -> Cause:
    """A field that may not be set."""
    return Cause("FieldValueForbidden", path, f"Forbidden: {detail}")


@dataclass
class ApiError(LocalkubeError):
    """A request that is answered with a `Status`."""

    code: int
    reason: str
    message: str
    details: Json = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message

    @property
    def status(self) -> Json:
        """The answer's body."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }


def not_found(plural: str, name: str) -> ApiError:
    """404: there is no object of that name."""
    return ApiError(404, "NotFound", f'{plural} "{name}" not found', {"name": name, "kind": plural})


def already_exists(plural: str, name: str) -> ApiError:
    """409: the name is taken."""
    return ApiError(409, "AlreadyExists", f'{plural} "{name}" already exists', {"name": name, "kind": plural})


def conflict(plural: str, name: str, detail: str) -> ApiError:
    """409: the object is not the one that was meant."""
    message = f'Operation cannot be fulfilled on {plural} "{name}": {detail}'
    return ApiError(409, "Conflict", message, {"name": name, "kind": plural})


def bad_request(message: str) -> ApiError:
    """400: the request cannot be read."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """401: no token, or a wrong one."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def expired(version: int) -> ApiError:
    """410: a watch from before what is remembered; the client lists again."""
    return ApiError(410, "Expired", f"too old resource version: {version}")


def invalid(kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422: the object breaks the rules of its kind."""
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    detail = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    listed = [{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes]
    return ApiError(
        422, "Invalid", f'{kind} "{name}" is invalid: {detail}', {"name": name, "kind": kind, "causes": listed}
    )
