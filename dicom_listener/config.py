"""The form of `dicom-server-config.yaml`: the keys of 2019, and ours under `clara:`.

Key names are written with hyphens in the file. Ports may be 0, which takes a free one (the ready file says which).
"""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydicom.datadict import tag_for_keyword

from clara_ops.contract.evaluator import attributes_of, check_rule
from clara_ops.contract.names import check_ae_title, check_uid, is_workflow_id
from dicom_listener.attributes import FACTS, attribute_tag

_AGE = re.compile(r"[0-9]+[mhd]")
_UNITS = {"m": 60, "h": 3600, "d": 86400}
_TAG = re.compile(r"\(?[0-9A-Fa-f]{4},?[0-9A-Fa-f]{4}\)?")
IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"


def _own_ae_title(title: str) -> str:
    title = check_ae_title(title)
    if set(title) <= {".", " "}:
        raise ValueError(f"AE title {title!r}: must hold a letter or a digit")
    return title


def _workflow(value: str) -> str:
    if not value.strip():
        raise ValueError("must be a workflow's id or its name")
    return value.strip().lower() if is_workflow_id(value.strip().lower()) else value.strip()


def _grouping_level(value: str) -> str:
    """`series`, `study`, or a tag as eight hexadecimal digits."""
    if value in ("series", "study"):
        return value
    tag = tag_for_keyword(value) if value else None
    if tag is None and _TAG.fullmatch(value):
        tag = int(value.strip("()").replace(",", ""), 16)
    if tag is None or not 0x00080000 <= tag < 0x7FE00000:
        raise ValueError(f"{value!r} is neither 'series' nor 'study' nor the keyword or tag of an element")
    return f"{tag:08x}"


def _rule(value: dict[str, Any]) -> dict[str, Any]:
    check_rule(value)
    for attribute in sorted(attributes_of(value) - FACTS):
        attribute_tag(attribute)
    return value


def _age(value: Any) -> Any:
    """Seconds of `7d`, `12h` or `30m`; `never` is longer than anything."""
    if value == "never":
        return float("inf")
    if not isinstance(value, str) or _AGE.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no age: expected never, or a number and m, h or d, for example 7d")
    return float(value[:-1]) * _UNITS[value[-1]]


AETitle = Annotated[str, AfterValidator(_own_ae_title)]
UIDText = Annotated[str, AfterValidator(check_uid)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86400)]
Age = Annotated[float, BeforeValidator(_age)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"))


class CalledAE(_Section):
    """An AE title that we answer to. `timeout`: seconds without a new instance until a series is complete."""

    ae_title: AETitle
    overwrite_same_instance: bool = False
    ignored_sop_classes: tuple[UIDText, ...] = ()
    timeout: Seconds = 5


def _called_ae(value: Any) -> Any:
    return {"ae-title": value} if isinstance(value, str) else value


class Verification(_Section):
    """C-ECHO."""

    enabled: bool = True
    transfer_syntaxes: tuple[UIDText, ...] = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG)


class Source(_Section):
    """A peer that may send. `host-ip` is an address, a network such as `10.1.0.0/16`, or a host name."""

    host_ip: str
    ae_title: AETitle

    def network(self) -> IPv4Network | IPv6Network | None:
        """The addresses meant, or None where `host-ip` is a host name."""
        try:
            return ip_network(self.host_ip, strict=False)
        except ValueError:
            return None

    def covers(self, address: str) -> bool:
        """Whether `address` is meant, as far as can be said without a name server."""
        network = self.network()
        return network is not None and ip_address(address) in network


class SCP(_Section):
    """What the listener accepts."""

    port: Port = 104
    ae_titles: tuple[Annotated[CalledAE, BeforeValidator(_called_ae)], ...]
    max_associations: Annotated[int, Field(ge=1, le=1000)] = 25
    verification: Verification = Verification()
    reject_unknown_sources: bool = False
    sources: tuple[Source, ...] = ()


class Destination(_Section):
    """A peer that results are sent to."""

    name: Annotated[str, Field(min_length=1)]
    ae_title: AETitle
    host_ip: str
    port: Annotated[int, Field(ge=1, le=65535)]


class SCU(_Section):
    """How the listener calls itself when it sends, and where it may send."""

    ae_title: AETitle = "ClaraSCU"
    destinations: tuple[Destination, ...] = ()


class Dicom(_Section):
    """The DICOM side."""

    scp: SCP
    scu: SCU = SCU()


class Services(_Section):
    """`platform-endpoint`: the orchestrator, Airflow's API server."""

    platform_endpoint: Annotated[str, Field(pattern=r"^https?://[^/\s]+")]


class Mapping(_Section):
    """An AE title and the workflow that its series start; several entries may name the same AE title."""

    name: Annotated[str, Field(min_length=1)]
    clara_ae_title: AETitle
    destination_name: str | None = None
    workflow: Annotated[str, AfterValidator(_workflow)]


class AirflowLogin(_Section):
    """Where Airflow's login stands when it is not in CLARA_AIRFLOW_USERNAME and CLARA_AIRFLOW_PASSWORD."""

    username_file: Path | None = None
    password_file: Path | None = None
    ca_file: Path | None = None


class Api(_Section):
    """The REST interface. The token stands in CLARA_LISTENER_TOKEN or in `token-file`."""

    host: str = "127.0.0.1"
    port: Port = 8104
    token_file: Path | None = None


class Network(_Section):
    """The DICOM port beyond what 2019 had.

    Attributes:
        maximum_pdu: largest P-DATA-TF that a sender may use, bytes.
        network_timeout: seconds of silence after which an association is aborted.
        max_associations_per_source: per calling AE title and address; None: only the total limit.
        private_sop_classes: accepted beside every storage SOP class of the standard.
        private_transfer_syntaxes: accepted beside every transfer syntax of the standard.
        fast_path: read the data phase straight from the socket; false leaves it to pynetdicom, which is slower.
        drain: seconds that open associations get to finish when the listener stops.
    """

    host: str = "0.0.0.0"
    maximum_pdu: Annotated[int, Field(ge=4096, le=1 << 20)] = 131072
    network_timeout: Seconds = 60
    max_associations_per_source: Annotated[int, Field(ge=1)] | None = None
    private_sop_classes: tuple[UIDText, ...] = ()
    private_transfer_syntaxes: tuple[UIDText, ...] = ()
    fast_path: bool = True
    drain: Seconds = 20


class Quiet(_Section):
    """Bounds of the quiet time that is learnt from how a source sends, seconds."""

    floor: Seconds
    ceiling: Seconds

    @model_validator(mode="after")
    def _in_order(self) -> "Quiet":
        if self.floor > self.ceiling:
            raise ValueError("floor is above ceiling")
        return self


class Grouping(_Section):
    """When the instances sent to an AE title are complete.

    Attributes:
        by: `series`, `study`, or the keyword or tag of an element, such as `FrameOfReferenceUID` or `(0020,0052)`.
        quiet: learn from each source how long it is quiet in the midst of a group; else `timeout` is it.
        settle: seconds after the release of the sender's last association in which it must not open another one.
        missing: what to do when slices are provably missing at the timeout: hold for a person or late images, or run.
        late: instances that come after the decision start a new generation, are attached to the old one, or kept aside.
    """

    by: Annotated[str, AfterValidator(_grouping_level)] = "series"
    quiet: Quiet | None = None
    settle: Annotated[float, Field(ge=0, le=60)] = 0.3
    missing: Literal["hold", "run"] = "hold"
    late: Literal["new-generation", "attach", "aside"] = "new-generation"

    @property
    def tag(self) -> int | None:
        """The element to group by, where it is neither the series nor the study."""
        return None if self.by in ("series", "study") else int(self.by, 16)


_USUAL_GROUPING = Grouping()


class Rule(_Section):
    """When an entry of `workflows:` takes a group that is complete.

    Attributes:
        when: a rule of `clara_ops.contract.evaluator` over facts of the group (modality, body_part, orientation,
            instances, complete, calling_ae) and DICOM attributes by keyword. It is met when every instance meets it.
        undecided: where an attribute is missing, or instances disagree: hold for a person, run, or skip.
    """

    when: Annotated[dict[str, Any], AfterValidator(_rule)]
    undecided: Literal["hold", "run", "skip"] = "hold"


class Storage(_Section):
    """Low-water marks of the claim: below either, instances are refused with status A700."""

    min_free_percent: Annotated[float, Field(ge=0, lt=100)] = 1
    min_free_gb: Annotated[float, Field(ge=0)] = 1


class Uploads(_Section):
    """What one POST of files may bring: `max_gb` of them together, and how many."""

    max_gb: Annotated[float, Field(gt=0)] = 16
    max_files: Annotated[int, Field(ge=1)] = 1000


class Retention(_Section):
    """How long things stay after they are over, as `7d`, `12h`, `30m` or `never`. What is held or goes on stays.

    Attributes:
        payloads: folders of runs that ended well: delivered, done, not applicable, superseded.
        failed: payloads and images of runs that failed.
        received: images of groups all of whose runs ended well.
        discarded: images that started no workflow.
        make_room_below_percent: with less of the disk free, what ended well goes before its time, the oldest first.
    """

    payloads: Age = Field(default="7d", validate_default=True)
    failed: Age = Field(default="30d", validate_default=True)
    received: Age = Field(default="30d", validate_default=True)
    discarded: Age = Field(default="30d", validate_default=True)
    make_room_below_percent: Annotated[float, Field(ge=0, lt=100)] = 10


class Clara(_Section):
    """What this release adds to the form of 2019; `rules` stand under the names of entries of `workflows:`."""

    airflow: AirflowLogin = AirflowLogin()
    api: Api = Api()
    network: Network = Network()
    storage: Storage = Storage()
    retention: Retention = Retention()
    uploads: Uploads = Uploads()
    grouping: dict[str, Grouping] = Field(default_factory=dict)
    rules: dict[str, Rule] = Field(default_factory=dict)


class Config(_Section):
    """The whole file."""

    dicom: Dicom
    services: Services
    workflows: tuple[Mapping, ...] = ()
    clara: Clara = Clara()

    @model_validator(mode="after")
    def _names_fit(self) -> "Config":
        titles = [called.ae_title for called in self.dicom.scp.ae_titles]
        destinations = [destination.name for destination in self.dicom.scu.destinations]
        if not titles:
            raise ValueError("dicom.scp.ae-titles: needs at least one AE title")
        _refuse_twice("dicom.scp.ae-titles", titles)
        _refuse_twice("dicom.scu.destinations", destinations)
        for index, mapping in enumerate(self.workflows):
            where = f"workflows.{index}"
            if mapping.clara_ae_title not in titles:
                raise ValueError(
                    f"{where}.clara-ae-title: {mapping.clara_ae_title!r} is not one of dicom.scp.ae-titles "
                    f"({', '.join(titles)})"
                )
            if mapping.destination_name is not None and mapping.destination_name not in destinations:
                raise ValueError(
                    f"{where}.destination-name: {mapping.destination_name!r} is not one of dicom.scu.destinations "
                    f"({', '.join(destinations) or 'none'})"
                )
        for title in self.clara.grouping:
            if title not in (*titles, "default"):
                raise ValueError(f"clara.grouping.{title}: is neither 'default' nor one of dicom.scp.ae-titles")
        names = [mapping.name for mapping in self.workflows]
        for name in self.clara.rules:
            if names.count(name) != 1:
                problem = "no entry" if name not in names else "more than one entry"
                raise ValueError(f"clara.rules.{name}: {problem} of workflows: has this name")
        return self

    def called(self, ae_title: str) -> CalledAE | None:
        """The AE title that a sender called, if it is ours."""
        return next((called for called in self.dicom.scp.ae_titles if called.ae_title == ae_title), None)

    def rules_for(self, ae_title: str) -> CalledAE:
        """The entry of an AE title; the defaults for one that a reload has taken away."""
        return self.called(ae_title) or CalledAE.model_validate({"ae-title": ae_title})

    def grouping(self, ae_title: str) -> Grouping:
        """How an AE title groups: its own entry, else `default`, else the built-in one."""
        chosen = self.clara.grouping.get(ae_title) or self.clara.grouping.get("default")
        return chosen or _USUAL_GROUPING

    def mappings(self, ae_title: str) -> tuple[Mapping, ...]:
        """The workflows that an AE title starts."""
        return tuple(mapping for mapping in self.workflows if mapping.clara_ae_title == ae_title)

    def rule(self, mapping: Mapping) -> Rule | None:
        """What an entry of `workflows:` asks of a group; None: nothing."""
        return self.clara.rules.get(mapping.name)

    def destination(self, name: str) -> Destination | None:
        """The destination of that name."""
        return next((found for found in self.dicom.scu.destinations if found.name == name), None)


def _refuse_twice(where: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{where}: {twice[0]!r} stands there twice")
