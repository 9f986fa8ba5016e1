"""What is wrong with an object, all of it at once, as the API server says it."""

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from clara_ops.localkube.errors import (
    Cause,
    Json,
    duplicate,
    forbidden,
    missing,
    required,
    unsupported,
    wrong,
)
from clara_ops.localkube.model import ConfigurationObject, Container, Metadata, PodSpec, Volume

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_ENV_NAME = re.compile(r"[!-<>-~]+")
_NOT_HERE = "localkube has none; use a cluster, or leave it out"
_CONTAINER_KEYS_NOT_HERE = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe", "volumeDevices")
_VOLUME_KINDS = ("emptyDir", "configMap", "secret", "persistentVolumeClaim")


def check_metadata(metadata: Metadata, what: str = "subdomain") -> Iterator[Cause]:
    """What is wrong with a name and with labels. `what` is `label` where the name has the shorter form."""
    if not metadata.name:
        yield required("metadata.name", "name or generateName is required")
    elif (_LABEL if what == "label" else _SUBDOMAIN).fullmatch(metadata.name) is None or len(metadata.name) > 253:
        yield wrong("metadata.name", metadata.name, _name_rule(what))
    for value in metadata.labels.values():
        if len(value) > 63:
            yield Cause("FieldValueTooLong", "metadata.labels", "Too long: may not be more than 63 bytes")
        elif _LABEL_VALUE.fullmatch(value) is None:
            rule = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'"
            yield wrong("metadata.labels", value, f"{rule}, and must start and end with an alphanumeric character")


def check_data_keys(item: ConfigurationObject) -> Iterator[Cause]:
    """What is wrong with the keys of a ConfigMap or Secret, which may become file names."""
    for key in (*item.data, *item.binary_data, *item.string_data):
        if _DATA_KEY.fullmatch(key) is None or key in (".", ".."):
            rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
            yield wrong(f"data[{key}]", key, rule)


def _name_rule(what: str) -> str:
    allowed = "'-'" if what == "label" else "'-' or '.'"
    return (
        f"a lowercase RFC 1123 {what} must consist of lower case alphanumeric characters, {allowed}, "
        "and must start and end with an alphanumeric character"
    )


def check_spec(spec: PodSpec, raw: Json) -> Iterator[Cause]:
    yield from _check_volumes(spec.volumes, raw.get("volumes", []))
    if not spec.containers:
        yield required("spec.containers")
    volumes = {volume.name for volume in spec.volumes}
    for key, containers in (("containers", spec.containers), ("initContainers", spec.init_containers)):
        for index, container in enumerate(containers):
            yield from _check_container(container, raw[key][index], f"spec.{key}[{index}]", volumes)
    names: set[str] = set()
    for key, containers in (("containers", spec.containers), ("initContainers", spec.init_containers)):
        yield from _duplicates([container.name for container in containers], f"spec.{key}[{{}}].name", names)
    if spec.restart_policy not in ("Always", "OnFailure", "Never"):
        yield unsupported("spec.restartPolicy", spec.restart_policy, ("Always", "OnFailure", "Never"))
    elif spec.restart_policy != "Never":
        detail = " (localkube restarts no container; the task's retries do)"
        yield unsupported("spec.restartPolicy", spec.restart_policy, ("Never",), detail)
    if spec.active_deadline_seconds is not None and not 1 <= spec.active_deadline_seconds < 2**31:
        rule = "must be between 1 and 2147483647, inclusive"
        yield wrong("spec.activeDeadlineSeconds", spec.active_deadline_seconds, rule)


def _duplicates(names: Sequence[str], path: str, seen: set[str]) -> Iterator[Cause]:
    for index, name in enumerate(names):
        if name in seen:
            yield duplicate(path.format(index), name)
        seen.add(name)


def _check_label_name(name: str, path: str) -> Iterator[Cause]:
    if not name:
        yield required(path)
    elif _LABEL.fullmatch(name) is None or len(name) > 63:
        yield wrong(path, name, _name_rule("label"))


def _check_relative(path: str, place: str) -> Iterator[Cause]:
    if path.startswith("/"):
        yield wrong(place, path, "must be a relative path")
    elif ".." in PurePosixPath(path).parts:
        yield wrong(place, path, "must not contain '..'")


def _check_volumes(volumes: Sequence[Volume], raw: Sequence[Json]) -> Iterator[Cause]:
    for index, volume in enumerate(volumes):
        path = f"spec.volumes[{index}]"
        yield from _check_label_name(volume.name, f"{path}.name")
        kinds = raw[index].keys() - {"name"}
        if not kinds:
            yield required(path, "must specify a volume type")
        for kind in sorted(kinds - set(_VOLUME_KINDS)):
            yield forbidden(f"{path}.{kind}", f"localkube has only volumes of the kinds {', '.join(_VOLUME_KINDS)}")
        if len(kinds) > 1:
            yield forbidden(f"{path}.{sorted(kinds)[1]}", "may not specify more than 1 volume type")
        for key, config in (("configMap", volume.config_map), ("secret", volume.secret)):
            for number, item in enumerate(config.items if config is not None else ()):
                yield from _check_relative(item.path, f"{path}.{key}.items[{number}].path")
    yield from _duplicates([volume.name for volume in volumes], "spec.volumes[{}].name", set())


def _check_container(container: Container, raw: Json, path: str, volumes: set[str]) -> Iterator[Cause]:
    yield from _check_label_name(container.name, f"{path}.name")
    if not container.image:
        yield required(f"{path}.image")
    elif container.image != container.image.strip():
        yield wrong(f"{path}.image", container.image, "must not have leading or trailing whitespace")
    for key in (*_CONTAINER_KEYS_NOT_HERE, *(["restartPolicy"] if path.startswith("spec.init") else [])):
        if key in raw:
            yield forbidden(f"{path}.{key}", _NOT_HERE)
    yield from _check_env(container, raw, path)
    yield from _check_mounts(container, raw, path, volumes)
    yield from _check_resources(container, path)
    if container.termination_message_policy not in ("File", "FallbackToLogsOnError"):
        policies = ("File", "FallbackToLogsOnError")
        yield unsupported(f"{path}.terminationMessagePolicy", container.termination_message_policy, policies)
    if container.image_pull_policy not in ("Always", "IfNotPresent", "Never"):
        policies3 = ("Always", "IfNotPresent", "Never")
        yield unsupported(f"{path}.imagePullPolicy", container.image_pull_policy, policies3)


def _check_env(container: Container, raw: Json, path: str) -> Iterator[Cause]:
    for index, variable in enumerate(container.env):
        place = f"{path}.env[{index}]"
        if not variable.name:
            yield required(f"{place}.name")
        elif _ENV_NAME.fullmatch(variable.name) is None:
            rule = "a valid environment variable name must consist only of printable ASCII characters other than '='"
            yield wrong(f"{place}.name", variable.name, rule)
        if variable.value and variable.value_from is not None:
            yield wrong(f"{place}.valueFrom", "", "may not be specified when `value` is not empty")
        for key in raw["env"][index].get("valueFrom", {}).keys() - {"configMapKeyRef", "secretKeyRef", "fieldRef"}:
            yield forbidden(f"{place}.valueFrom.{key}", _NOT_HERE)


def _check_mounts(container: Container, raw: Json, path: str, volumes: set[str]) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, mount in enumerate(container.volume_mounts):
        place = f"{path}.volumeMounts[{index}]"
        if not mount.name:
            yield required(f"{place}.name")
        elif mount.name not in volumes:
            yield missing(f"{place}.name", mount.name)
        if not mount.mount_path:
            yield required(f"{place}.mountPath")
        elif mount.mount_path in seen:
            yield wrong(f"{place}.mountPath", mount.mount_path, "must be unique")
        seen.add(mount.mount_path)
        yield from _check_relative(mount.sub_path, f"{path}.volumeMounts.subPath")
        if "subPathExpr" in raw["volumeMounts"][index]:
            yield forbidden(f"{place}.subPathExpr", _NOT_HERE)


def _check_resources(container: Container, path: str) -> Iterator[Cause]:
    limits = container.resources.limits
    for section, amounts in (("limits", limits), ("requests", container.resources.requests)):
        for resource, amount in amounts.items():
            if amount < 0:
                rule = "must be greater than or equal to 0"
                yield wrong(f"{path}.resources.{section}[{resource}]", str(amount), rule)
            elif "/" in resource and amount != int(amount):
                yield wrong(f"{path}.resources.{section}[{resource}]", str(amount), "must be an integer")
    for resource, amount in container.resources.requests.items():
        place = f"{path}.resources.requests"
        device = "/" in resource
        if device and resource not in limits:
            yield required(f"{path}.resources.limits", "Limit must be set for non overcommitable resources")
        elif device and amount != limits[resource]:
            yield wrong(place, str(amount), f"must be equal to {resource} limit of {limits[resource]}")
        elif amount > limits.get(resource, amount):
            yield wrong(place, str(amount), f"must be less than or equal to {resource} limit of {limits[resource]}")
