"""The HTTP side: the paths of core/v1 that are served here, and how a request becomes a call."""

import asyncio
import contextlib
import hmac
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from clara_ops.localkube.admission import admit_configuration, admit_namespace, admit_pod, patched
from clara_ops.localkube.errors import ApiError, Json, bad_request, conflict, unauthorized
from clara_ops.localkube.logs import LogQuery, follow_log, read_log
from clara_ops.localkube.node import Node
from clara_ops.localkube.selectors import Selector, field_selector, label_selector
from clara_ops.localkube.status import states_in
from clara_ops.localkube.store import Change, Collection, Store

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEALTH_PATHS = ("/healthz", "/livez", "/readyz")
VERSION = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.0+localkube",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "",
}
MERGE_PATCHES = frozenset({"application/merge-patch+json", "application/strategic-merge-patch+json"})
CHANGEABLE = frozenset({"pods", "configmaps", "secrets"})


def application(store: Store, node: Node, token: str) -> web.Application:
    """The web application; every path but the health checks asks for the token."""
    api = _Api(store, node)
    app = web.Application(middlewares=[_answer_errors, _authenticate(token)])
    one = "/api/v1/namespaces/{namespace}/{plural}/{name}"
    app.add_routes(
        [
            *(web.get(path, api.alive) for path in HEALTH_PATHS),
            web.get("/version", api.version),
            web.get("/version/", api.version),
            web.get("/api/v1/{plural}", api.list_or_watch, allow_head=False),
            web.post("/api/v1/namespaces", api.create_namespace),
            web.get("/api/v1/namespaces/{name}", api.get_namespace),
            web.delete("/api/v1/namespaces/{name}", api.delete_namespace),
            web.get("/api/v1/namespaces/{namespace}/{plural}", api.list_or_watch, allow_head=False),
            web.post("/api/v1/namespaces/{namespace}/{plural}", api.create),
            web.get(one, api.get),
            web.patch(one, api.patch),
            web.delete(one, api.delete),
            web.get("/api/v1/namespaces/{namespace}/pods/{name}/status", api.get),
            web.get("/api/v1/namespaces/{namespace}/pods/{name}/log", api.log),
            web.route("*", "/api/v1/namespaces/{namespace}/pods/{name}/{verb:exec|attach|portforward}", api.refuse),
        ]
    )
    return app


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return web.json_response(error.status, status=error.code)
    except web.HTTPNotFound:
        missing = ApiError(404, "NotFound", "the server could not find the requested resource")
        return web.json_response(missing.status, status=404)
    except web.HTTPMethodNotAllowed:
        refused = ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        return web.json_response(refused.status, status=405)


def _authenticate(token: str) -> Any:
    @web.middleware
    async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        public = request.path in (*HEALTH_PATHS, "/version", "/version/")
        if not public and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise unauthorized()
        return await handler(request)

    return authenticate


class _Api:
    def __init__(self, store: Store, node: Node) -> None:
        self._store = store
        self._node = node

    async def alive(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def version(self, _: web.Request) -> web.Response:
        return web.json_response(VERSION)

    async def list_or_watch(self, request: web.Request) -> web.StreamResponse:
        collection = self._collection(request.match_info["plural"])
        namespace = request.match_info.get("namespace", "")
        matches = _selector(request, collection, namespace)
        if _flag(request, "watch"):
            return await _watch(request, collection, matches)
        return web.json_response(
            {
                "kind": f"{collection.kind.kind}List",
                "apiVersion": "v1",
                "metadata": {"resourceVersion": collection.version},
                "items": [item for item in collection.all(namespace) if matches(item)],
            }
        )

    async def get(self, request: web.Request) -> web.Response:
        return web.json_response(self._find(request))

    async def create(self, request: web.Request) -> web.Response:
        namespace, plural = request.match_info["namespace"], request.match_info["plural"]
        collection = self._collection(plural, change=True)
        body = await _body(request)
        self._store.namespaces.get("", namespace)
        if plural == "pods":
            return web.json_response(self._node.create(admit_pod(body, namespace)), status=201)
        created = collection.create(admit_configuration(body, namespace, collection.kind.kind))
        self._node.configuration_changed()
        return web.json_response(created, status=201)

    async def patch(self, request: web.Request) -> web.Response:
        plural = request.match_info["plural"]
        collection = self._collection(plural, change=True)
        if request.content_type not in MERGE_PATCHES:
            text = f"the body of the request was in an unknown format - accepted media types: {sorted(MERGE_PATCHES)}"
            raise ApiError(415, "UnsupportedMediaType", text)
        patch = await _body(request)
        after = patched(self._find(request), patch)
        if plural != "pods":
            after = admit_configuration(after, request.match_info["namespace"], collection.kind.kind)
        replaced = collection.replace(after)
        self._node.configuration_changed()
        return web.json_response(replaced)

    async def delete(self, request: web.Request) -> web.Response:
        namespace, plural, name = (request.match_info[key] for key in ("namespace", "plural", "name"))
        collection = self._collection(plural, change=True)
        options = await _body(request) if request.can_read_body else {}
        found = self._find(request)
        wanted = (options.get("preconditions") or {}).get("uid")
        if wanted is not None and wanted != found["metadata"]["uid"]:
            uid = found["metadata"]["uid"]
            text = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}"
            raise conflict(plural, name, text)
        if plural == "pods":
            grace = options.get("gracePeriodSeconds", _number(request, "gracePeriodSeconds"))
            if not isinstance(grace, int | None):
                raise bad_request(f"gracePeriodSeconds: expected a number, found {grace!r}")
            return web.json_response(self._node.delete(namespace, name, grace))
        collection.remove(namespace, name)
        return web.json_response(_success(plural, found))

    async def log(self, request: web.Request) -> web.StreamResponse:
        pod = self._store.pods.get(request.match_info["namespace"], request.match_info["name"])
        container = _log_container(pod, request.query.get("container"))
        if container is None:
            return web.Response(content_type="text/plain")
        query = _log_query(request)
        path = self._store.pod_folders(pod).container(container) / "log"
        if not _flag(request, "follow"):
            return web.Response(body=read_log(path, query), content_type="text/plain")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            async for text in follow_log(path, query, lambda: self._has_ended(pod, container)):
                await response.write(text)
        return response

    def _has_ended(self, pod: Json, container: str) -> bool:
        current = self._store.pods.find(pod["metadata"]["namespace"], pod["metadata"]["name"])
        if current is None or current["metadata"]["uid"] != pod["metadata"]["uid"]:
            return True
        return "terminated" in states_in(current["status"])[container]

    async def refuse(self, _: web.Request) -> web.Response:
        text = "localkube has no exec, attach or port-forward, and so no XCom side-car; use a cluster"
        raise ApiError(501, "NotImplemented", text)

    async def create_namespace(self, request: web.Request) -> web.Response:
        created = self._store.namespaces.create(admit_namespace(await _body(request)))
        return web.json_response(created, status=201)

    async def get_namespace(self, request: web.Request) -> web.Response:
        return web.json_response(self._store.namespaces.get("", request.match_info["name"]))

    async def delete_namespace(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        namespace = self._store.namespaces.remove("", name)
        for pod in self._store.pods.all(name):
            self._node.delete(name, pod["metadata"]["name"], None)
        for collection in (self._store.config_maps, self._store.secrets, self._store.events):
            for item in collection.all(name):
                collection.remove(name, item["metadata"]["name"])
        return web.json_response(namespace)

    def _collection(self, plural: str, change: bool = False) -> Collection:
        collection = self._store.collection(plural)
        if collection is None:
            raise web.HTTPNotFound
        if change and plural not in CHANGEABLE:
            raise web.HTTPMethodNotAllowed("", [])
        return collection

    def _find(self, request: web.Request) -> Json:
        plural = request.match_info.get("plural", "pods")
        return self._collection(plural).get(request.match_info["namespace"], request.match_info["name"])


def _success(plural: str, item: Json) -> Json:
    details = {"name": item["metadata"]["name"], "kind": plural, "uid": item["metadata"]["uid"]}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


async def _body(request: web.Request) -> Json:
    if request.query.get("dryRun"):
        raise bad_request("dryRun is not supported by localkube")
    try:
        body = await request.json()
    except ValueError as error:
        raise bad_request(f"the object provided is unrecognized: {error}") from error
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized: expected a JSON object")
    return body


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() in ("1", "true")


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not text.isdigit():
        raise bad_request(f"{name}: expected a number, found {text!r}")
    return int(text)


def _selector(request: web.Request, collection: Collection, namespace: str) -> Selector:
    labels = label_selector(request.query.get("labelSelector", ""))
    fields = field_selector(request.query.get("fieldSelector", ""), collection.kind.fields)
    return lambda item: namespace in ("", item["metadata"].get("namespace", "")) and labels(item) and fields(item)


async def _watch(request: web.Request, collection: Collection, matches: Selector) -> web.StreamResponse:
    after = request.query.get("resourceVersion", "0")
    seconds = _number(request, "timeoutSeconds")
    if not after.isdigit():
        raise bad_request(f"resourceVersion: Invalid value: {after!r}")
    with collection.changes(int(after) or None) as changes:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(seconds):
                async for change in changes:
                    event = _watch_event(change, matches)
                    if event is not None:
                        await response.write(json.dumps(event).encode() + b"\n")
    return response


def _watch_event(change: Change, matches: Selector) -> Json | None:
    """The change as this watcher sees it: an object that no longer matches is gone for it."""
    before = change.before is not None and matches(change.before)
    after = change.after is not None and matches(change.after)
    if after:
        return {"type": "MODIFIED" if before else "ADDED", "object": change.after}
    if not before or change.before is None:
        return None
    metadata = {**change.before["metadata"], "resourceVersion": str(change.version)}
    return {"type": "DELETED", "object": {**(change.after or change.before), "metadata": metadata}}


def _log_container(pod: Json, wanted: str | None) -> str | None:
    """The container whose log is meant, None where the pod has no place yet. ApiError 400 where it is not told."""
    name = pod["metadata"]["name"]
    spec = pod["spec"]
    main = [container["name"] for container in spec["containers"]]
    if wanted is None:
        if len(main) > 1:
            raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(main)}]")
        wanted = main[0]
    if wanted not in [*main, *(container["name"] for container in spec.get("initContainers", []))]:
        raise bad_request(f"container {wanted} is not valid for pod {name}")
    state = states_in(pod["status"]).get(wanted)
    if state is None:
        return None
    if "waiting" in state:
        raise bad_request(f'container "{wanted}" in pod "{name}" is waiting to start: {state["waiting"]["reason"]}')
    return wanted


def _log_query(request: web.Request) -> LogQuery:
    if _flag(request, "previous"):
        raise bad_request("previous terminated container not found")
    since = None
    seconds = _number(request, "sinceSeconds")
    if seconds is not None:
        since = datetime.now(UTC) - timedelta(seconds=seconds)
    elif "sinceTime" in request.query:
        try:
            since = datetime.fromisoformat(request.query["sinceTime"])
        except ValueError as error:
            raise bad_request(f"sinceTime: {error}") from error
    tail, limit = _number(request, "tailLines"), _number(request, "limitBytes")
    return LogQuery(_flag(request, "timestamps"), since, tail, limit)
