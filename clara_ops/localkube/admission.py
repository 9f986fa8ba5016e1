"""From the body of a request to an object that is stored: its types, its name, its defaults, and what a patch makes."""

import base64
import binascii
import secrets
from typing import Any, TypeVar

from pydantic import ValidationError

from clara_ops.localkube.errors import ApiError, Json, bad_request, forbidden, invalid, wrong
from clara_ops.localkube.model import ConfigurationObject, Metadata, Part, Pod
from clara_ops.localkube.validation import check_data_keys, check_metadata, check_spec

P = TypeVar("P", bound=Part)

_RANDOM_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def admit_pod(body: Json, namespace: str) -> Json:
    """A pod as it will be stored, with a name and with defaults.

    Raises:
        ApiError: 400 where it is no pod, 422 with every cause where it breaks a rule.
    """
    named = _with_name(body, namespace, "Pod")
    parse(Pod, named)
    stored = _with_defaults(named)
    pod = parse(Pod, stored)
    causes = [*check_metadata(pod.metadata), *check_spec(pod.spec, stored["spec"])]
    if causes:
        raise invalid("Pod", pod.metadata.name, causes)
    return stored


def admit_configuration(body: Json, namespace: str, kind: str) -> Json:
    """A ConfigMap or Secret as it will be stored.

    Raises:
        ApiError: 400 where it is none, 422 with every cause where it breaks a rule.
    """
    item = _with_name(body, namespace, kind)
    parsed = parse(ConfigurationObject, item)
    causes = [*check_metadata(parsed.metadata), *check_data_keys(parsed)]
    if causes:
        raise invalid(kind, parsed.metadata.name, causes)
    try:
        for value in (*parsed.binary_data.values(), *(parsed.data.values() if kind == "Secret" else ())):
            base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise bad_request(
            f'{kind} in version "v1" cannot be handled as a {kind}: illegal base64 data: {error}'
        ) from error
    plain = {key: base64.b64encode(text.encode()).decode() for key, text in parsed.string_data.items()}
    kept = {key: value for key, value in item.items() if key != "stringData"}
    return {**kept, "data": {**parsed.data, **plain}}


def admit_namespace(body: Json) -> Json:
    """A namespace as it will be stored.

    Raises:
        ApiError: 400 where it is none, 422 where its name is no label.
    """
    item = _with_name(body, "", "Namespace")
    metadata = parse(Metadata, item["metadata"])
    causes = list(check_metadata(metadata, "label"))
    if causes:
        raise invalid("Namespace", metadata.name, causes)
    return {**item, "status": {"phase": "Active"}}


def patched(before: Json, patch: Json) -> Json:
    """What a merge patch makes of an object.

    Raises:
        ApiError: 422 where it changes something of a pod that may not change: all but labels and annotations.
    """
    after: Json = _merged(before, patch)
    if before["kind"] != "Pod":
        return after
    causes = [
        wrong(f"metadata.{key}", after["metadata"].get(key), "field is immutable")
        for key in ("name", "namespace", "uid")
        if after["metadata"].get(key) != before["metadata"][key]
    ]
    if after.get("spec") != before["spec"]:
        causes.append(forbidden("spec", "localkube changes no field of a pod's spec"))
    try:
        causes += check_metadata(parse(Pod, after).metadata)
    except ApiError as error:
        causes.append(wrong("patch", "", error.message))
    if causes:
        raise invalid("Pod", before["metadata"]["name"], causes)
    return {**after, "status": before["status"]}


def parse(kind: type[P], body: Json) -> P:
    """The parts of an object.

    Raises:
        ApiError: 400, a value is of the wrong type.
    """
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        name = body.get("kind", kind.__name__)
        text = f'{name} in version "v1" cannot be handled as a {name}: {place}: {first["msg"]}'
        raise bad_request(text) from error


def _with_name(body: Json, namespace: str, kind: str) -> Json:
    body = _without_nulls(body)
    if body.get("kind", kind) != kind:
        raise bad_request(f"the object provided is not a {kind}")
    metadata = body.get("metadata", {})
    parsed = parse(Metadata, metadata)
    if parsed.namespace not in ("", namespace):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    name = parsed.name
    if not name and parsed.generate_name:
        name = parsed.generate_name + "".join(secrets.choice(_RANDOM_LETTERS) for _ in range(5))
    place = {"namespace": namespace} if namespace else {}
    return {"apiVersion": "v1", **body, "kind": kind, "metadata": {**metadata, "name": name, **place}}


def _with_defaults(pod: Json) -> Json:
    spec = {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, **pod.get("spec", {})}
    for key in ("containers", "initContainers"):
        if key in spec:
            spec[key] = [_container_with_defaults(container) for container in spec[key]]
    return {**pod, "spec": spec}


def _container_with_defaults(container: Json) -> Json:
    resources = container.get("resources", {})
    requests = {**resources.get("limits", {}), **resources.get("requests", {})}
    tag = container.get("image", "").rpartition("/")[2].partition(":")[2]
    return {
        "imagePullPolicy": "Always" if tag in ("", "latest") else "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        **container,
        "resources": {**resources, **({"requests": requests} if requests else {})},
    }


def _without_nulls(value: Any) -> Any:
    """The same JSON without keys whose value is null: they mean that the key is not there."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _merged(before: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386): null removes a key, objects are merged, all else is replaced."""
    if not isinstance(patch, dict):
        return patch
    result = dict(before) if isinstance(before, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result
