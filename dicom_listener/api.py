"""The REST interface (docs/architecture.md, 2.3)."""

import hmac
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from dicom_listener.api_files import MULTIPART_BODY, add_runs_on_files
from dicom_listener.api_models import (
    DeliveryAnswer,
    DeliveryRequest,
    ErrorAnswer,
    FoldersAnswer,
    FoldersRequest,
    RunAnswer,
    RunRequest,
    SeriesAnswer,
    StateRequest,
)
from dicom_listener.api_operation import add_metrics, add_operation
from dicom_listener.associations import Associations
from dicom_listener.errors import ApiError, DeliveryNotFound, SeriesNotFound, Unauthorised
from dicom_listener.journal import Journal
from dicom_listener.journal.deliveries import find_delivery
from dicom_listener.journal.groups import Start
from dicom_listener.journal.runs import list_runs
from dicom_listener.journal.views import find_series, list_series
from dicom_listener.payloads import make_folders, read_result
from dicom_listener.requests import Requests

Limit = Annotated[int, Query(ge=1, le=1000)]


@dataclass(frozen=True)
class Sources:
    """What the interface asks.

    Attributes:
        data: the claim's folder.
        ready: why the listener is not ready, or None.
        metrics: in Prometheus' text format.
        on_resume: called when a pause ends.
    """

    journal: Journal
    requests: Requests
    associations: Associations
    data: Path
    ready: Callable[[], str | None]
    metrics: Callable[[], bytes]
    on_resume: Callable[[], None]


def make_api(sources: Sources, token: str) -> FastAPI:
    """The application; callers must present `token` as bearer token."""
    journal, requests, data = sources.journal, sources.requests, sources.data
    app = FastAPI(title="DICOM listener", version="1", docs_url=None, redoc_url=None)
    _add_error_answers(app)
    _add_health(app, sources.ready)
    add_metrics(app, sources.metrics)
    guarded = APIRouter(
        prefix="/v1",
        dependencies=[Depends(_bearer(token))],
        responses={status: {"model": ErrorAnswer} for status in (401, 404, 409, 422)},
    )
    _add_payloads(guarded, data)
    add_runs_on_files(guarded, requests)
    _add_runs(guarded, journal, requests)
    _add_series(guarded, journal, requests)
    _add_deliveries(guarded, journal, requests)
    add_operation(guarded, journal, sources.associations, sources.on_resume)
    app.include_router(guarded)
    return app


def _bearer(token: str) -> Callable[[HTTPAuthorizationCredentials | None], None]:
    scheme = HTTPBearer(auto_error=False)
    wanted = token.encode()

    def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(scheme)]) -> None:
        if given is None or not hmac.compare_digest(given.credentials.encode(), wanted):
            raise Unauthorised(
                "the bearer token is missing or wrong: send 'Authorization: Bearer <CLARA_LISTENER_TOKEN>'"
            )

    return check


def _add_health(app: FastAPI, ready: Callable[[], str | None]) -> None:
    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", response_model=None)
    def readyz() -> JSONResponse:
        """Instances are received, stored and worked on."""
        reason = ready()
        if reason is None:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "not ready", "reason": reason}, HTTPStatus.SERVICE_UNAVAILABLE)


def _add_payloads(router: APIRouter, data: Path) -> None:
    @router.put("/payloads/{run}/folders")
    def put_folders(run: str, body: FoldersRequest) -> FoldersAnswer:
        """Give a payload its workflow's folders."""
        return FoldersAnswer(run_id=run, files=make_folders(data, run, body.input, body.folders))

    @router.get("/payloads/{run}/result")
    def get_result(run: str, folder: str) -> Any:
        """The `result.json` of a stage's output folder."""
        return read_result(data, run, folder)


def _add_runs(router: APIRouter, journal: Journal, requests: Requests) -> None:
    @router.get("/runs")
    def get_runs(limit: Limit = 200) -> list[RunAnswer]:
        """The newest runs, newest first."""
        return [RunAnswer.model_validate(run) for run in journal.read(partial(list_runs, limit=limit))]

    @router.get("/runs/{run}")
    def get_run(run: str) -> RunAnswer:
        """One run."""
        return RunAnswer.model_validate(requests.run(run))

    @router.post("/runs", status_code=HTTPStatus.CREATED, openapi_extra=MULTIPART_BODY)
    def post_run(body: RunRequest) -> RunAnswer:
        """Run a workflow on a group that was received: same input, next generation."""
        start = Start(body.workflow, None, body.parameters, body.request_id)
        return RunAnswer.model_validate(requests.start_run(start, body.ae_title, body.group, body.dag_id))

    @router.put("/runs/{run}/state")
    def put_state(run: str, body: StateRequest) -> RunAnswer:
        """What the DAG says of its run."""
        return RunAnswer.model_validate(requests.report_state(run, body.state, body.reason))


def _add_series(router: APIRouter, journal: Journal, requests: Requests) -> None:
    @router.get("/series")
    def get_all_series(limit: Limit = 200) -> list[SeriesAnswer]:
        """The series that were last sent, newest first."""
        return [SeriesAnswer.model_validate(row) for row in journal.read(partial(list_series, limit=limit))]

    @router.get("/series/{uid}")
    def get_series(uid: str, ae_title: str | None = None) -> SeriesAnswer:
        """One series."""
        row = journal.read(partial(find_series, series_uid=uid, ae_title=ae_title))
        if row is None:
            raise SeriesNotFound(f"nothing of series {uid} was received")
        return SeriesAnswer.model_validate(row)

    @router.post("/series/{uid}/release")
    def post_release(uid: str, ae_title: str) -> list[RunAnswer]:
        """Run the workflows of a held series as it is."""
        return [RunAnswer.model_validate(requests.run(run)) for run in requests.release_series(uid, ae_title)]


def _add_deliveries(router: APIRouter, journal: Journal, requests: Requests) -> None:
    @router.post("/deliveries")
    def post_delivery(body: DeliveryRequest) -> DeliveryAnswer:
        """Have a folder sent to a destination."""
        return DeliveryAnswer.model_validate(requests.deliver(body.payload, body.folder, body.destination))

    @router.get("/deliveries/{number}")
    def get_delivery(number: int) -> DeliveryAnswer:
        """One delivery."""
        delivery = journal.read(partial(find_delivery, delivery_id=number))
        if delivery is None:
            raise DeliveryNotFound(f"there is no delivery {number}")
        return DeliveryAnswer.model_validate(delivery)


def _add_error_answers(app: FastAPI) -> None:
    @app.exception_handler(ApiError)
    def on_api_error(_: Request, error: ApiError) -> JSONResponse:
        return _error(error.status, type(error).__name__, str(error))

    @app.exception_handler(RequestValidationError)
    def on_bad_request(_: Request, error: RequestValidationError) -> JSONResponse:
        parts = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()]
        return _error(HTTPStatus.UNPROCESSABLE_ENTITY, "BadRequest", "; ".join(parts))

    @app.exception_handler(HTTPException)
    def on_http_error(_: Request, error: HTTPException) -> JSONResponse:
        return _error(error.status_code, HTTPStatus(error.status_code).phrase.replace(" ", ""), str(error.detail))

    @app.exception_handler(sqlite3.Error)
    @app.exception_handler(OSError)
    def on_disk_error(_: Request, error: Exception) -> JSONResponse:
        return _error(HTTPStatus.SERVICE_UNAVAILABLE, "StorageError", f"not stored, ask again: {error}")


def _error(status: int, name: str, message: str) -> JSONResponse:
    return JSONResponse({"error": name, "message": message}, status)
