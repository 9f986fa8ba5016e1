"""What ConfigMaps, Secrets and the pod itself give to a container: its variables, and its command filled in."""

import base64
import re
from collections.abc import Callable, Mapping

from clara_ops.localkube.errors import Json
from clara_ops.localkube.model import Container, EnvSource, Reference

Lookup = Callable[[str, str], Json | None]
"""(plural, name) to the object in the pod's namespace, None where there is none."""

_VARIABLE = re.compile(r"\$(\$|\(([^()$]+)\))")
_MAP_FIELD = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class NotReady(Exception):
    """The container cannot start as things are; with `reason` and message as its `waiting` state says them."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def data_of(plural: str, item: Json) -> dict[str, bytes]:
    """The values of a ConfigMap or Secret."""
    text: Mapping[str, str] = item.get("data") or {}
    if plural == "secrets":
        return {key: base64.b64decode(value) for key, value in text.items()}
    binary: Mapping[str, str] = item.get("binaryData") or {}
    return {key: value.encode() for key, value in text.items()} | {
        key: base64.b64decode(value) for key, value in binary.items()
    }


def environment(container: Container, pod: Json, image: Mapping[str, str], lookup: Lookup) -> dict[str, str]:
    """The variables of a container: those of its image, then `envFrom`, then `env`, each over the ones before.

    Raises:
        NotReady: a ConfigMap, a Secret or a key that is not optional is not there.
    """
    values = {**image, "HOSTNAME": pod["metadata"]["name"]}
    for source in container.env_from:
        for plural, reference in (("configmaps", source.config_map_ref), ("secrets", source.secret_ref)):
            if reference is not None:
                found = _referred(plural, reference, lookup)
                values |= {source.prefix + key: value.decode(errors="replace") for key, value in found.items()}
    for variable in container.env:
        if variable.value_from is None:
            values[variable.name] = expanded(variable.value, values)
        else:
            value = _value_from(variable.value_from, pod, lookup)
            if value is not None:
                values[variable.name] = value
    return values


def expanded(text: str, values: Mapping[str, str]) -> str:
    """Fill in `$(NAME)`; `$$` is a dollar sign, and an unknown name stays as it is."""
    return _VARIABLE.sub(lambda match: "$" if match[1] == "$" else values.get(match[2], match[0]), text)


def _value_from(source: EnvSource, pod: Json, lookup: Lookup) -> str | None:
    if source.field_ref is not None:
        return _pod_field(pod, source.field_ref.field_path)
    for plural, reference in (("configmaps", source.config_map_key_ref), ("secrets", source.secret_key_ref)):
        if reference is not None:
            found = _referred(plural, reference, lookup)
            if reference.key in found:
                return found[reference.key].decode(errors="replace")
            if not reference.optional:
                kind = "ConfigMap" if plural == "configmaps" else "Secret"
                place = f"{pod['metadata']['namespace']}/{reference.name}"
                raise NotReady("CreateContainerConfigError", f"couldn't find key {reference.key} in {kind} {place}")
    return None


def _referred(plural: str, reference: Reference, lookup: Lookup) -> dict[str, bytes]:
    item = lookup(plural, reference.name)
    if item is None and not reference.optional:
        raise NotReady("CreateContainerConfigError", f'{plural.removesuffix("s")} "{reference.name}" not found')
    return data_of(plural, item) if item is not None else {}


def _pod_field(pod: Json, path: str) -> str:
    match = _MAP_FIELD.fullmatch(path)
    if match:
        return str(pod["metadata"].get(match[1], {}).get(match[2], ""))
    value: object = pod
    for key in path.split("."):
        value = value.get(key, "") if isinstance(value, dict) else ""
    return str(value)
