"""The part of the REST interface that whoever operates the listener uses: pause, associations, metrics."""

import time
from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import Field

from dicom_listener.api_models import Answer, Moment, Request
from dicom_listener.associations import Associations
from dicom_listener.journal import Journal
from dicom_listener.journal.pauses import Pause, begin_pause, end_pause, find_pause


class PauseRequest(Request):
    """Why, for whoever looks meanwhile."""

    reason: Annotated[str, Field(max_length=200)] = ""


class PauseAnswer(Answer):
    """`since` and `reason` only while it is paused."""

    paused: bool
    since: Moment | None = None
    reason: str = ""


class AssociationAnswer(Answer):
    """An association that is open."""

    id: str
    called_ae: str
    calling_ae: str
    address: str
    opened: Moment


def add_metrics(app: FastAPI, metrics: Callable[[], bytes]) -> None:
    """`/metrics`, without token as Prometheus scrapes it: counts and ages only."""

    @app.get("/metrics")
    def get_metrics() -> Response:
        """In Prometheus' text format."""
        return Response(metrics(), media_type=CONTENT_TYPE_LATEST)


def add_operation(
    router: APIRouter, journal: Journal, associations: Associations, on_resume: Callable[[], None]
) -> None:
    """Routes behind the token."""

    def current() -> PauseAnswer:
        pause = journal.read(find_pause)
        if pause is None:
            return PauseAnswer(paused=False)
        return PauseAnswer.model_validate({"paused": True, "since": pause.since, "reason": pause.reason})

    @router.get("/pause")
    def get_pause() -> PauseAnswer:
        """Whether triggers and deliveries are paused."""
        return current()

    @router.put("/pause")
    def put_pause(body: PauseRequest) -> PauseAnswer:
        """Receive and store, but neither trigger nor deliver; what is being sent is finished. Kept over restarts."""
        journal.write(partial(begin_pause, pause=Pause(time.time(), body.reason)))
        return current()

    @router.delete("/pause")
    def delete_pause() -> PauseAnswer:
        """Go on with what has waited, in its order."""
        journal.write(end_pause)
        on_resume()
        return current()

    @router.get("/associations")
    def get_associations() -> list[AssociationAnswer]:
        """The associations that are open."""
        return [AssociationAnswer.model_validate(item) for item in associations.list_open()]
