"""The HTTP side: the paths of core/v1 that are served here, and how a request becomes a call."""

import asyncio
import base64
import contextlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from clara_ops.localkube.errors import ApiError, Json, bad_request, conflict, invalid, unauthorized
from clara_ops.localkube.logs import LogQuery, follow_log, read_log
from clara_ops.localkube.model import Metadata, without_nulls
from clara_ops.localkube.node import Node
from clara_ops.localkube.selectors import Selector, field_selector, label_selector
from clara_ops.localkube.status import states_in
from clara_ops.localkube.store import Change, Collection, Store
from clara_ops.localkube.validation import admit_pod, check_metadata, check_patched_pod, merged, with_name
from clara_ops.localkube.volumes import PodFolders

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
VERBS = {
    "pods": ["create", "delete", "get", "list", "patch", "watch"],
    "events": ["get", "list", "watch"],
    "configmaps": ["create", "delete", "get", "list", "patch", "watch"],
    "secrets": ["create", "delete", "get", "list", "patch", "watch"],
    "namespaces": ["create", "delete", "get", "list", "watch"],
}

_log = logging.getLogger(__name__)


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
            web.get("/api", api.versions),
            web.get("/apis", api.groups),
            web.get("/api/v1", api.resources),
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

    async def versions(self, _: web.Request) -> web.Response:
        return web.json_response({"kind": "APIVersions", "versions": ["v1"]})

    async def groups(self, _: web.Request) -> web.Response:
        return web.json_response({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})

    async def resources(self, _: web.Request) -> web.Response:
        kinds = [(self._collection(plural).kind, verbs) for plural, verbs in VERBS.items()]
        listed = [
            {"name": kind.plural, "singularName": "", "kind": kind.kind, "namespaced": kind.namespaced, "verbs": verbs}
            for kind, verbs in kinds
        ]
        return web.json_response({"kind": "APIResourceList", "groupVersion": "v1", "resources": listed})

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
        collection = self._collection(plural, "create")
        body = await _body(request)
        self._store.namespaces.get("", namespace)
        if plural == "pods":
            stored, _ = admit_pod(body, namespace)
            return web.json_response(self._node.create(stored), status=201)
        item = _admit_simple(body, namespace, collection.kind.kind)
        created = collection.create(item)
        self._node.configuration_changed()
        return web.json_response(created, status=201)

    async def patch(self, request: web.Request) -> web.Response:
        plural = request.match_info["plural"]
        collection = self._collection(plural, "patch")
        if request.content_type not in MERGE_PATCHES:
            text = f"the body of the request was in an unknown format - accepted media types: {sorted(MERGE_PATCHES)}"
            raise ApiError(415, "UnsupportedMediaType", text)
        patch = await _body(request)
        before = self._find(request)
        after = {**merged(before, patch), **({"status": before["status"]} if plural == "pods" else {})}
        if plural == "pods":
            check_patched_pod(before, after)
        else:
            after = _admit_simple(after, request.match_info["namespace"], collection.kind.kind)
        replaced = collection.replace(after)
        self._node.configuration_changed()
        return web.json_response(replaced)

    async def delete(self, request: web.Request) -> web.Response:
        namespace, plural, name = (request.match_info[key] for key in ("namespace", "plural", "name"))
        collection = self._collection(plural, "delete")
        options = await _body(request) if request.can_read_body else {}
        found = self._find(request)
        wanted = (options.get("preconditions") or {}).get("uid")
        if wanted is not None and wanted != found["metadata"]["uid"]:
            uid = found["metadata"]["uid"]
            text = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}"
            raise conflict(plural, name, text)
        if plural == "pods":
            grace = options.get("gracePeriodSeconds")
            if grace is None:
                grace = _number(request, "gracePeriodSeconds")
            return web.json_response(self._node.delete(namespace, name, grace))
        collection.remove(namespace, name)
        return web.json_response(_success(plural, found))

    async def log(self, request: web.Request) -> web.StreamResponse:
        pod = self._store.pods.get(request.match_info["namespace"], request.match_info["name"])
        container = _log_container(pod, request.query.get("container"))
        if container is None:
            return web.Response(content_type="text/plain")
        query = _log_query(request)
        folders = PodFolders(self._store.pod_folder(pod), pod["metadata"]["uid"])
        path = folders.container(container) / "log"
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
        item = _admit_simple(await _body(request), "", "Namespace", "label")
        return web.json_response(self.add_namespace(item), status=201)

    def add_namespace(self, item: Json) -> Json:
        return self._store.namespaces.create({**item, "status": {"phase": "Active"}})

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

    def _collection(self, plural: str, verb: str = "list") -> Collection:
        collection = self._store.collection(plural)
        if collection is None:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        if verb not in VERBS[plural]:
            raise ApiError(405, "MethodNotAllowed", f"the server does not allow {verb} of {plural}")
        return collection

    def _find(self, request: web.Request) -> Json:
        plural = request.match_info.get("plural", "pods")
        return self._collection(plural).get(request.match_info["namespace"], request.match_info["name"])


def _admit_simple(body: Json, namespace: str, kind: str, name_rule: str = "subdomain") -> Json:
    item = with_name(without_nulls(body), namespace, kind)
    if kind == "Secret" and "stringData" in item:
        text = item.pop("stringData")
        item["data"] = {**item.get("data", {}), **{key: base64.b64encode(text[key].encode()).decode() for key in text}}
    metadata = Metadata.model_validate(item["metadata"])
    causes = list(check_metadata(metadata, name_rule))
    if causes:
        raise invalid(kind, metadata.name, causes)
    return item


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
