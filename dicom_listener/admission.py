"""Who may open an association: a pure decision, with the standard's own reject reasons (DICOM PS3.8 section 9.3.4)."""

import socket
from dataclasses import dataclass

from dicom_listener.config import Config, Source


@dataclass(frozen=True)
class Reject:
    """Result, source and reason of an A-ASSOCIATE-RJ."""

    result: int
    source: int
    diagnostic: int
    reason: str


@dataclass(frozen=True)
class Requested:
    """An association request, and how many associations are open already."""

    called_ae: str
    calling_ae: str
    address: str
    open_associations: int
    open_of_source: int


_PERMANENT, _TRANSIENT = 1, 2
_USER, _PRESENTATION = 1, 3
_CALLING_AE_NOT_RECOGNISED, _CALLED_AE_NOT_RECOGNISED, _LOCAL_LIMIT = 3, 7, 2


def admit(config: Config, requested: Requested) -> Reject | None:
    """None when the association is welcome."""
    scp, per_source = config.dicom.scp, config.clara.network.max_associations_per_source
    if config.called(requested.called_ae) is None:
        return Reject(
            _PERMANENT, _USER, _CALLED_AE_NOT_RECOGNISED, "the called AE title is not one of dicom.scp.ae-titles"
        )
    if scp.reject_unknown_sources and not any(_is(source, requested) for source in scp.sources):
        return Reject(
            _PERMANENT,
            _USER,
            _CALLING_AE_NOT_RECOGNISED,
            "calling AE title and address are not one of dicom.scp.sources",
        )
    if requested.open_associations >= scp.max_associations:
        return Reject(_TRANSIENT, _PRESENTATION, _LOCAL_LIMIT, "dicom.scp.max-associations are open")
    if per_source is not None and requested.open_of_source >= per_source:
        return Reject(_TRANSIENT, _PRESENTATION, _LOCAL_LIMIT, "clara.network.max-associations-per-source are open")
    return None


def _is(source: Source, requested: Requested) -> bool:
    if source.ae_title != requested.calling_ae:
        return False
    return source.covers(requested.address) or requested.address in _resolve(source)


def _resolve(source: Source) -> set[str]:
    if source.network() is not None:
        return set()
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(source.host_ip, None, type=socket.SOCK_STREAM)}
    except OSError:
        return set()
