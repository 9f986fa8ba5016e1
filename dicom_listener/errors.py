"""The listener's errors; those that the REST interface answers carry their HTTP status."""

from clara_ops.contract.errors import ClaraError


class ListenerError(ClaraError):
    """Any error of the listener that a person is meant to read."""


class ConfigError(ListenerError):
    """The configuration cannot be used; the message says file, line, what is wrong and what would be right."""


class JournalError(ListenerError):
    """The journal cannot be opened by this release."""


class StartError(ListenerError):
    """The listener cannot start: a port is taken, a secret is missing, a folder is not writable."""


class AirflowError(ListenerError):
    """Airflow did not do what was asked; the run is held with this message and asked again."""


class AirflowRefused(AirflowError):
    """Airflow will never take this run as it is (HTTP 400 or 422)."""


class DeliveryRetry(ListenerError):
    """The destination did not take everything now; a later attempt may succeed."""


class DeliveryRefused(ListenerError):
    """The destination refuses for good; `permanent` after a bounded number of attempts."""


class ApiError(ListenerError):
    """An answer of the REST interface other than success."""

    status = 400


class BadRequest(ApiError):
    """The request is not of the form that the interface takes."""

    status = 422


class Unauthorised(ApiError):
    """The bearer token is missing or wrong."""

    status = 401


class NotFound(ApiError):
    """There is nothing of that name."""

    status = 404


class PayloadNotFound(NotFound):
    """There is no payload of that run id."""


class ResultNotFound(NotFound):
    """The folder has no `result.json`."""


class RunNotFound(NotFound):
    """There is no run of that id."""


class SeriesNotFound(NotFound):
    """No instance of that series was received."""


class DeliveryNotFound(NotFound):
    """There is no delivery of that id."""


class DestinationNotFound(NotFound):
    """The configuration has no destination of that name."""


class Superseded(ApiError):
    """The run was superseded by a later generation: its result must not be delivered."""

    status = 409


class UploadTooLarge(ApiError):
    """A request brings more than the configuration allows."""

    status = 413


class NoRoom(ApiError):
    """The claim is below its low-water marks."""

    status = 507


class Conflict(ApiError):
    """What is asked for does not fit the present state."""

    status = 409
