"""The parts of a pod that localkube acts on. What it does not know is kept in the stored object, and has no effect."""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

GPU = "nvidia.com/gpu"

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?")
_SUFFIXES = {
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("", "k", "M", "G", "T", "P", "E"))},
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
    **{suffix: Decimal(1000) ** -power for power, suffix in enumerate(("m", "u", "n"), start=1)},
}


def parse_quantity(value: object) -> Decimal:
    """A Kubernetes quantity (`500m`, `16Gi`, `2`) as a number of cores, bytes or devices.

    Raises:
        ValueError: it is none.
    """
    match = _QUANTITY.fullmatch(str(value))
    if match is None or isinstance(value, bool):
        raise ValueError(f"quantities must match the regular expression '{_QUANTITY.pattern}', found {value!r}")
    number, suffix = Decimal(match[1]), match[2] or ""
    return number.scaleb(int(suffix[1:])) if suffix[1:].lstrip("+-").isdigit() else number * _SUFFIXES[suffix]


Quantity = Annotated[Decimal, BeforeValidator(parse_quantity)]


class Part(BaseModel):
    """A part of an object, read from its JSON form."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True, strict=True)


class Metadata(Part):
    """ObjectMeta."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Reference(Part):
    """A ConfigMap or Secret, or with `key` one value of it."""

    name: str = ""
    key: str = ""
    optional: bool = False


class FieldReference(Part):
    """A field of the pod itself, such as `metadata.name`."""

    field_path: str


class EnvSource(Part):
    """Where the value of a variable comes from."""

    config_map_key_ref: Reference | None = None
    secret_key_ref: Reference | None = None
    field_ref: FieldReference | None = None


class EnvVar(Part):
    """One variable of a container."""

    name: str = ""
    value: str = ""
    value_from: EnvSource | None = None


class EnvFrom(Part):
    """All values of a ConfigMap or Secret as variables."""

    prefix: str = ""
    config_map_ref: Reference | None = None
    secret_ref: Reference | None = None


class VolumeMount(Part):
    """A volume, or with `sub_path` a file or folder of it, in a container."""

    name: str = ""
    mount_path: str = ""
    sub_path: str = ""
    read_only: bool = False


class Resources(Part):
    """Requests and limits: cores, bytes, devices."""

    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}


class SecurityContext(Part):
    """What of a security context has an effect here."""

    read_only_root_filesystem: bool = False


class Container(Part):
    """A container or init container."""

    name: str = ""
    image: str = ""
    image_pull_policy: str = ""
    command: list[str] = []
    args: list[str] = []
    working_dir: str = ""
    env: list[EnvVar] = []
    env_from: list[EnvFrom] = []
    volume_mounts: list[VolumeMount] = []
    resources: Resources = Resources()
    security_context: SecurityContext = SecurityContext()
    termination_message_path: str = "/dev/termination-log"
    termination_message_policy: str = "File"


class KeyPath(Part):
    """One key of a ConfigMap or Secret, as a file."""

    key: str
    path: str


class ConfigVolume(Part):
    """A ConfigMap (`name`) or Secret (`secret_name`) as files."""

    name: str = ""
    secret_name: str = ""
    items: list[KeyPath] = []
    default_mode: int = 0o644
    optional: bool = False


class EmptyDir(Part):
    """A folder that lives as long as the pod."""

    medium: str = ""


class ClaimVolume(Part):
    """A persistent volume claim."""

    claim_name: str = ""
    read_only: bool = False


class Volume(Part):
    """A volume of one of the kinds that exist here; exactly one of the fields is set."""

    name: str = ""
    empty_dir: EmptyDir | None = None
    config_map: ConfigVolume | None = None
    secret: ConfigVolume | None = None
    persistent_volume_claim: ClaimVolume | None = None


class PodSpec(Part):
    """PodSpec."""

    containers: list[Container] = []
    init_containers: list[Container] = []
    volumes: list[Volume] = []
    restart_policy: str = "Always"
    active_deadline_seconds: int | None = None
    termination_grace_period_seconds: int = 30

    @property
    def grace(self) -> int:
        """Seconds between SIGTERM and SIGKILL; Kubernetes takes a negative number as 1."""
        return self.termination_grace_period_seconds if self.termination_grace_period_seconds >= 0 else 1

    def requests(self) -> dict[str, Decimal]:
        """What the pod takes from the node: its containers together, or one init container where that takes more."""
        total: dict[str, Decimal] = {}
        for container in self.containers:
            for resource, amount in container.resources.requests.items():
                total[resource] = total.get(resource, Decimal(0)) + amount
        for container in self.init_containers:
            for resource, amount in container.resources.requests.items():
                total[resource] = max(total.get(resource, Decimal(0)), amount)
        return total


class Pod(Part):
    """A pod as it was asked for."""

    metadata: Metadata = Metadata()
    spec: PodSpec = PodSpec()


class ConfigurationObject(Part):
    """A ConfigMap or Secret."""

    metadata: Metadata = Metadata()
    data: dict[str, str] = {}
    binary_data: dict[str, str] = {}
    string_data: dict[str, str] = {}
