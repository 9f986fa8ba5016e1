"""Why a task failed: each class is a cause, and says with it whether trying again can help."""

from airflow.sdk.exceptions import AirflowException, AirflowFailException


class StageError(AirflowException):
    """A stage's pod did not end well; it is tried again."""


class OutOfMemory(StageError):
    """The container was killed for using more memory than its limit; it is tried again with `memory-retry`."""


class MemoryExhausted(AirflowFailException):
    """The container was killed for using more memory than its limit, and there is no more to be had."""


class DeadlineExceeded(StageError):
    """The pod ran longer than the stage's timeout."""


class WorkflowTimeout(AirflowFailException):
    """The stages of the run have used up the running time that the workflow has: trying again cannot help."""


class PodLost(StageError):
    """The pod was evicted, deleted from outside, or its node is gone: nothing is wrong with the stage."""


class ImageUnavailable(StageError):
    """The image of the stage cannot be pulled."""


class PodRefused(StageError):
    """The pod API does not take the pod: the namespace forbids what it asks for, or its quota is used up."""


class PodUnschedulable(StageError):
    """No node took the pod in all the time that it may wait."""


class PodConfigurationError(StageError):
    """The stage's container cannot be made as the pod says: most often a Secret or its key is missing."""


class StageInputRefused(AirflowFailException):
    """The stage said that its input is wrong (exit 65): trying again cannot help."""


class PayloadError(AirflowFailException):
    """The run has no payload to work on: trying again cannot help."""


class ParametersRefused(AirflowFailException):
    """A parameter that the workflow does not have, or a value that it does not take: trying again cannot help."""


class NotReviewed(AirflowFailException):
    """A review has no answer: its time limit is over and the run then fails, or somebody went around it."""


class DeliveryFailed(AirflowFailException):
    """The result could not be delivered, and the listener has given up."""


class ServiceUnavailable(AirflowException):
    """The listener, or another service, does not answer or has an error of its own; it is asked again."""


class ServiceRefused(AirflowFailException):
    """A service said no to a request: asking again gives the same answer. `error` is the name that it gave."""

    def __init__(self, status: int, error: str, message: str) -> None:
        self.status = status
        self.error = error
        super().__init__(f"{error}: {message}")
