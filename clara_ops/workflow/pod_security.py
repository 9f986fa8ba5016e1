"""Which level of the Pod Security Standards a namespace has to allow for a pod, and why.

Every control of https://kubernetes.io/docs/concepts/security/pod-security-standards/ that concerns Linux pods is a
function here, and yields what breaks it in the words of the pod's fields.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

Json = Mapping[str, Any]
Control = Callable[[Json], Iterator[str]]

_ADDED_BY_BASELINE = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
_ADDED_BY_RESTRICTED = frozenset({"NET_BIND_SERVICE"})
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_VOLUME_KINDS = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)
_HANDLERS = ("livenessProbe", "readinessProbe", "startupProbe")


class Level(IntEnum):
    """The three levels, each allowing more than the one before."""

    RESTRICTED = 0
    BASELINE = 1
    PRIVILEGED = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Requirement:
    """The level that a pod needs, and each of its fields that a stricter level would refuse."""

    level: Level
    reasons: tuple[str, ...]


def required_level(pod: Json) -> Requirement:
    """The strictest level that admits a pod, with what the next stricter one would refuse."""
    spec: Json = pod["spec"]
    for level, controls in ((Level.PRIVILEGED, _BASELINE), (Level.BASELINE, _RESTRICTED)):
        reasons = tuple(reason for control in controls for reason in control(spec))
        if reasons:
            return Requirement(level, reasons)
    return Requirement(Level.RESTRICTED, ())


def _containers(spec: Json) -> list[tuple[str, Json]]:
    return [
        (f"{kind}[{container['name']}]", container)
        for kind in ("initContainers", "containers", "ephemeralContainers")
        for container in spec.get(kind, ())
    ]


def _contexts(spec: Json) -> list[tuple[str, Json]]:
    """Each security context of the pod with its place, the pod's own first."""
    found = [("securityContext", spec.get("securityContext") or {})]
    found += [
        (f"{place}.securityContext", container.get("securityContext") or {}) for place, container in _containers(spec)
    ]
    return found


def _container_contexts(spec: Json) -> Sequence[tuple[str, Json]]:
    return _contexts(spec)[1:]


def _host_process(spec: Json) -> Iterator[str]:
    for place, context in _contexts(spec):
        if (context.get("windowsOptions") or {}).get("hostProcess"):
            yield f"{place}.windowsOptions.hostProcess: true"


def _host_namespaces(spec: Json) -> Iterator[str]:
    yield from (f"{key}: true" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key))


def _privileged(spec: Json) -> Iterator[str]:
    yield from (
        f"{place}.privileged: true" for place, context in _container_contexts(spec) if context.get("privileged")
    )


def _capabilities(allowed: frozenset[str]) -> Control:
    def control(spec: Json) -> Iterator[str]:
        for place, context in _container_contexts(spec):
            added = set((context.get("capabilities") or {}).get("add") or ())
            yield from (f"{place}.capabilities.add: {name}" for name in sorted(added - allowed))

    return control


def _host_path(spec: Json) -> Iterator[str]:
    yield from (f"volumes[{volume['name']}].hostPath" for volume in spec.get("volumes", ()) if "hostPath" in volume)


def _host_ports(spec: Json) -> Iterator[str]:
    for place, container in _containers(spec):
        for port in container.get("ports", ()):
            if port.get("hostPort"):
                yield f"{place}.ports.hostPort: {port['hostPort']}"


def _host_of_probes(spec: Json) -> Iterator[str]:
    for place, container in _containers(spec):
        lifecycle = container.get("lifecycle") or {}
        handlers = {key: container.get(key) or {} for key in _HANDLERS}
        handlers |= {f"lifecycle.{key}": lifecycle.get(key) or {} for key in ("postStart", "preStop")}
        for key, handler in handlers.items():
            for kind in ("httpGet", "tcpSocket"):
                if (handler.get(kind) or {}).get("host"):
                    yield f"{place}.{key}.{kind}.host: {handler[kind]['host']}"


def _app_armor(spec: Json) -> Iterator[str]:
    for place, context in _contexts(spec):
        if (context.get("appArmorProfile") or {}).get("type") == "Unconfined":
            yield f"{place}.appArmorProfile.type: Unconfined"


def _selinux(spec: Json) -> Iterator[str]:
    for place, context in _contexts(spec):
        options = context.get("seLinuxOptions") or {}
        if options.get("type", "") not in _SELINUX_TYPES:
            yield f"{place}.seLinuxOptions.type: {options['type']}"
        yield from (f"{place}.seLinuxOptions.{key}: {options[key]}" for key in ("user", "role") if options.get(key))


def _proc_mount(spec: Json) -> Iterator[str]:
    for place, context in _container_contexts(spec):
        if context.get("procMount", "Default") != "Default":
            yield f"{place}.procMount: {context['procMount']}"


def _seccomp_unconfined(spec: Json) -> Iterator[str]:
    for place, context in _contexts(spec):
        if (context.get("seccompProfile") or {}).get("type") == "Unconfined":
            yield f"{place}.seccompProfile.type: Unconfined"


def _sysctls(spec: Json) -> Iterator[str]:
    for sysctl in (spec.get("securityContext") or {}).get("sysctls", ()):
        if sysctl["name"] not in _SAFE_SYSCTLS:
            yield f"securityContext.sysctls: {sysctl['name']}"


def _volume_kinds(spec: Json) -> Iterator[str]:
    for volume in spec.get("volumes", ()):
        yield from (f"volumes[{volume['name']}].{kind}" for kind in sorted(set(volume) - {"name"} - _VOLUME_KINDS))


def _privilege_escalation(spec: Json) -> Iterator[str]:
    for place, context in _container_contexts(spec):
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{place}.allowPrivilegeEscalation is not false"


def _non_root(spec: Json) -> Iterator[str]:
    (_, pod), *containers = _contexts(spec)
    for place, context in containers:
        if context.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
            yield f"{place}.runAsNonRoot is not true"


def _root_user(spec: Json) -> Iterator[str]:
    yield from (f"{place}.runAsUser: 0" for place, context in _contexts(spec) if context.get("runAsUser") == 0)


def _seccomp_missing(spec: Json) -> Iterator[str]:
    (_, pod), *containers = _contexts(spec)
    for place, context in containers:
        if "type" not in (context.get("seccompProfile") or pod.get("seccompProfile") or {}):
            yield f"{place}.seccompProfile is not set"


def _dropped_capabilities(spec: Json) -> Iterator[str]:
    for place, context in _container_contexts(spec):
        if "ALL" not in ((context.get("capabilities") or {}).get("drop") or ()):
            yield f"{place}.capabilities.drop lacks ALL"


_BASELINE: tuple[Control, ...] = (
    _host_process,
    _host_namespaces,
    _privileged,
    _capabilities(_ADDED_BY_BASELINE),
    _host_path,
    _host_ports,
    _host_of_probes,
    _app_armor,
    _selinux,
    _proc_mount,
    _seccomp_unconfined,
    _sysctls,
)
_RESTRICTED: tuple[Control, ...] = (
    _volume_kinds,
    _privilege_escalation,
    _non_root,
    _root_user,
    _seccomp_missing,
    _dropped_capabilities,
    _capabilities(_ADDED_BY_RESTRICTED),
)
