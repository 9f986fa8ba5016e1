"""The objects of the API: in memory, with a history for watches, and those that have to survive a restart on disk."""

import asyncio
import json
import logging
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from clara_ops.localkube.errors import Json, already_exists, expired, not_found
from clara_ops.localkube.volumes import PodFolders

HISTORY = 1000
EVENTS_KEPT = 2000

Key = tuple[str, str]

_log = logging.getLogger(__name__)


def timestamp(seconds: float | None = None) -> str:
    """A time as the API writes it; now by default."""
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def key_of(item: Json) -> Key:
    """Namespace (empty for an object without one) and name."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


@dataclass(frozen=True)
class Kind:
    """A kind of object; `fields` are those that a field selector may name."""

    kind: str
    plural: str
    fields: tuple[str, ...] = ()
    namespaced: bool = True


@dataclass(frozen=True)
class Change:
    """One change of one object: `before` is None when it is new, `after` when it is gone."""

    version: int
    before: Json | None
    after: Json | None


@dataclass
class Versions:
    """Resource versions. They start at the time in milliseconds, so that they grow over restarts."""

    last: int = field(default_factory=lambda: int(datetime.now(UTC).timestamp() * 1000))

    def next(self) -> int:
        """A new one."""
        self.last += 1
        return self.last


class Collection:
    """All objects of one kind. An object is never changed in place: a reader keeps what it has got."""

    def __init__(
        self, kind: Kind, versions: Versions, path_of: Callable[[Json], Path] | None = None, limit: int | None = None
    ) -> None:
        self.kind = kind
        self._versions = versions
        self._path_of = path_of
        self._limit = limit
        self._items: dict[Key, Json] = {}
        self._history: deque[Change] = deque(maxlen=HISTORY)
        self._oldest = versions.last
        self._watchers: set[asyncio.Queue[Change]] = set()

    def load(self, paths: Iterator[Path]) -> None:
        """Read what an earlier server has left. What a power cut has broken is left out, and told."""
        for path in paths:
            try:
                item = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                _log.warning("%s: left out, it cannot be read: %s", path, error)
                continue
            self._items[key_of(item)] = item

    @property
    def version(self) -> str:
        """The resource version of a list made now."""
        return str(self._versions.last)

    def find(self, namespace: str, name: str) -> Json | None:
        """An object, None where there is none."""
        return self._items.get((namespace, name))

    def get(self, namespace: str, name: str) -> Json:
        """An object.

        Raises:
            ApiError: 404.
        """
        item = self.find(namespace, name)
        if item is None:
            raise not_found(self.kind.plural, name)
        return item

    def all(self, namespace: str = "") -> list[Json]:
        """All objects, or those of a namespace."""
        return [item for key, item in self._items.items() if namespace in ("", key[0])]

    def create(self, item: Json) -> Json:
        """Store a new object; gives it uid, creation time and version.

        Raises:
            ApiError: 409, the name is taken.
        """
        if key_of(item) in self._items:
            raise already_exists(self.kind.plural, key_of(item)[1])
        metadata = {**item["metadata"], "uid": str(uuid.uuid4()), "creationTimestamp": timestamp()}
        if self._limit is not None and len(self._items) >= self._limit:
            self.remove(*next(iter(self._items)))
        return self._put(None, {**item, "metadata": metadata})

    def replace(self, item: Json) -> Json:
        """Store an object's new form. Nothing happens where it says what is stored already."""
        before = self.get(*key_of(item))
        return before if item == before else self._put(before, item)

    def remove(self, namespace: str, name: str) -> Json:
        """Delete an object.

        Raises:
            ApiError: 404.
        """
        before = self.get(namespace, name)
        del self._items[(namespace, name)]
        if self._path_of is not None:
            self._path_of(before).unlink(missing_ok=True)
        self._announce(Change(self._versions.next(), before, None))
        return before

    def _put(self, before: Json | None, item: Json) -> Json:
        version = self._versions.next()
        item = {**item, "metadata": {**item["metadata"], "resourceVersion": str(version)}}
        self._items[key_of(item)] = item
        if self._path_of is not None:
            path = self._path_of(item)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = path.with_suffix(".part")
            temporary.write_text(json.dumps(item), encoding="utf-8")
            temporary.replace(path)
        self._announce(Change(version, before, item))
        return item

    def _announce(self, change: Change) -> None:
        if len(self._history) == HISTORY:
            self._oldest = self._history[0].version
        self._history.append(change)
        for queue in self._watchers:
            queue.put_nowait(change)

    @contextmanager
    def changes(self, after: int | None) -> Iterator[AsyncIterator[Change]]:
        """All changes after a resource version; without one, first every object that is there as a new one.

        Raises:
            ApiError: 410, so far back nothing is remembered.
        """
        if after is not None and after < self._oldest:
            raise expired(after)
        queue: asyncio.Queue[Change] = asyncio.Queue()
        if after is None:
            past = [Change(int(item["metadata"]["resourceVersion"]), None, item) for item in self._items.values()]
        else:
            past = [change for change in self._history if change.version > after]
        for change in past:
            queue.put_nowait(change)
        self._watchers.add(queue)
        try:
            yield _forever(queue)
        finally:
            self._watchers.discard(queue)


async def _forever(queue: asyncio.Queue[Change]) -> AsyncIterator[Change]:
    while True:
        yield await queue.get()


def _fields(text: str) -> tuple[str, ...]:
    return ("metadata.name", "metadata.namespace", *text.split())


PODS = Kind(
    "Pod", "pods", _fields("spec.nodeName spec.restartPolicy spec.serviceAccountName status.phase status.podIP")
)
EVENTS = Kind("Event", "events", _fields("involvedObject.kind involvedObject.name involvedObject.uid reason type"))
CONFIG_MAPS = Kind("ConfigMap", "configmaps", _fields(""))
SECRETS = Kind("Secret", "secrets", _fields("type"))
NAMESPACES = Kind("Namespace", "namespaces", _fields("status.phase"), namespaced=False)


class Store:
    """All collections of a state folder."""

    def __init__(self, state: Path) -> None:
        versions = Versions()
        self.state = state
        self.pods = Collection(PODS, versions, lambda item: self.pod_folders(item).path / "pod.json")
        self.events = Collection(EVENTS, versions, limit=EVENTS_KEPT)
        self.config_maps = Collection(CONFIG_MAPS, versions, self._simple_path("configmaps"))
        self.secrets = Collection(SECRETS, versions, self._simple_path("secrets"))
        self.namespaces = Collection(NAMESPACES, versions, self._simple_path("namespaces"))
        self.pods.load((state / "pods").glob("*/pod.json"))
        for collection in (self.config_maps, self.secrets, self.namespaces):
            collection.load((state / collection.kind.plural).glob("*.json"))

    def _simple_path(self, plural: str) -> Callable[[Json], Path]:
        return lambda item: self.state / plural / f"{item['metadata']['uid']}.json"

    def pod_folders(self, pod: Json) -> PodFolders:
        """Where all of a pod lies."""
        uid = str(pod["metadata"]["uid"])
        return PodFolders(self.state / "pods" / uid, uid)

    def all_pod_folders(self) -> list[PodFolders]:
        """Of every pod of which there is something, even if it is no longer stored."""
        return [PodFolders(path, path.name) for path in (self.state / "pods").glob("*")]

    def collection(self, plural: str) -> Collection | None:
        """The collection of that name."""
        kinds = (self.pods, self.events, self.config_maps, self.secrets, self.namespaces)
        return next((collection for collection in kinds if collection.kind.plural == plural), None)
