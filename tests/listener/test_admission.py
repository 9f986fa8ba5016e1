"""Who may open an association."""

import pytest

from dicom_listener.admission import Requested, admit
from dicom_listener.config import Config
from tests.listener.peers import configuration

WELCOME = Requested("CT_AI", "PACS", "127.0.0.1", 0, 0)


def config(**scp):
    data = configuration("http://127.0.0.1:1", 11112)
    data["dicom"]["scp"].update(scp)
    data["clara"]["network"]["max-associations-per-source"] = 2
    return Config.model_validate(data)


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        (WELCOME, None),
        (Requested("OTHER", "PACS", "127.0.0.1", 0, 0), (1, 1, 7)),
        (Requested("CT_AI", "OTHER", "127.0.0.1", 0, 0), (1, 1, 3)),
        (Requested("CT_AI", "PACS", "127.0.0.2", 0, 0), (1, 1, 3)),
        (Requested("CT_AI", "PACS", "127.0.0.1", 25, 0), (2, 3, 2)),
        (Requested("CT_AI", "PACS", "127.0.0.1", 2, 2), (2, 3, 2)),
    ],
)
def test_reject_reasons_of_the_standard(requested, expected):
    reject = admit(config(), requested)
    found = reject and (reject.result, reject.source, reject.diagnostic)
    assert found == expected


@pytest.mark.parametrize("host", ["127.0.0.0/8", "localhost", "127.0.0.1"])
def test_a_source_is_an_address_a_network_or_a_name(host):
    assert admit(config(sources=[{"host-ip": host, "ae-title": "PACS"}]), WELCOME) is None


def test_a_name_that_does_not_resolve_lets_nobody_in():
    assert admit(config(sources=[{"host-ip": "no-such-host.invalid", "ae-title": "PACS"}]), WELCOME) is not None


def test_without_a_list_everybody_may_send():
    stranger = Requested("CT_AI", "STRANGER", "192.0.2.1", 0, 0)
    assert admit(config(**{"reject-unknown-sources": False}), stranger) is None
