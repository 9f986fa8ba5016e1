"""POST /v1/runs with files: the same address as with JSON, told apart by the content type."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.routing import Match
from starlette.types import Scope

from dicom_listener.api_models import FilesRunRequest, RunAnswer
from dicom_listener.journal.groups import Start
from dicom_listener.requests import Requests
from dicom_listener.uploads import Upload, UploadWriter

_MULTIPART = b"multipart/form-data"

MULTIPART_BODY: dict[str, Any] = {
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["workflow", "ae_title", "files"],
                    "properties": {
                        **{name: {"type": "string"} for name in FilesRunRequest.model_fields},
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    },
                }
            }
        }
    }
}
"""What the description of the interface says of this form of the request."""


class MultipartRoute(APIRoute):
    """A route for multipart bodies only."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """No match for any other content type: the next route with this address gets it."""
        headers = dict(scope.get("headers", ()))
        if not headers.get(b"content-type", b"").lower().startswith(_MULTIPART):
            return Match.NONE, {}
        return super().matches(scope)


def add_runs_on_files(router: APIRouter, requests: Requests) -> None:
    """Add the route; before the one for JSON, which takes every content type."""

    async def post_files(request: Request) -> RunAnswer:
        """Run a workflow on files of the request, beside the instances of a group if one is named."""
        writer = await run_in_threadpool(requests.receive_files, request.headers["content-type"])
        try:
            async for chunk in request.stream():
                await run_in_threadpool(writer.feed, chunk)
            upload = await run_in_threadpool(writer.finish)
            return await run_in_threadpool(_start, requests, writer, upload)
        finally:
            await run_in_threadpool(writer.discard)

    router.add_api_route(
        "/runs",
        post_files,
        methods=["POST"],
        status_code=HTTPStatus.CREATED,
        include_in_schema=False,
        route_class_override=MultipartRoute,
    )


def _start(requests: Requests, writer: UploadWriter, upload: Upload) -> RunAnswer:
    try:
        body = FilesRunRequest.model_validate(upload.fields)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    start = Start(body.workflow, None, body.parameters, body.request_id)
    run = requests.start_run_on_files(start, body.ae_title, writer, upload, body.group, body.dag_id)
    return RunAnswer.model_validate(run)
