"""The configuration file: what is accepted, and what an error says."""

from pathlib import Path

import pytest

from dicom_listener.config_file import load_config
from dicom_listener.errors import ConfigError
from dicom_listener.live_config import LiveConfig
from tests.listener.peers import ROOT, WORKFLOW

OF_2019 = ROOT / "tests" / "data" / "clara2019" / "dicom-server-config.yaml"
SHIPPED = ROOT / "helm" / "clara-platform" / "files" / "dicom-server-config.yaml"


def test_the_file_of_2019_loads_as_it_stands():
    config = load_config(OF_2019)
    (called,) = config.dicom.scp.ae_titles
    assert (called.ae_title, called.timeout, called.overwrite_same_instance) == ("CT_AI", 5, False)
    assert called.ignored_sop_classes == ("1.2.840.10008.5.1.4.1.1.7",)
    assert config.dicom.scp.max_associations == 25
    assert config.destination("DCM4CHEE").port == 11112
    assert config.mappings("CT_AI")[0].workflow == "7b413e24-d018-4689-8c41-73272f6649d4"


def test_the_shipped_file_maps_the_demo():
    config = load_config(SHIPPED)
    (mapping,) = config.mappings("CT_AI")
    assert (mapping.workflow, mapping.destination_name) == (WORKFLOW, "DCM4CHEE")


def test_an_ae_title_may_be_a_plain_string(tmp_path):
    config = load_config(_changed(tmp_path, "      - ae-title: CT_AI\n", "      - OTHER\n      - ae-title: CT_AI\n"))
    assert [called.ae_title for called in config.dicom.scp.ae_titles] == ["OTHER", "CT_AI"]
    assert config.called("OTHER").timeout == 5


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("timeout: 5 ", "timeout: soon ", 10, "dicom.scp.ae-titles.0.timeout: Input should be a valid number"),
        ("max-associations", "max-asociations", 11, "dicom.scp.max-asociations: unknown key"),
        ("destination-name: DCM4CHEE", "destination-name: OTHER", 27, "'OTHER' is not one of dicom.scu.destinations"),
        ("clara-ae-title: CT_AI", "clara-ae-title: MR_AI", 26, "'MR_AI' is not one of dicom.scp.ae-titles (CT_AI)"),
        ("ae-title: CT_AI\n", "ae-title: CT_AI_WITH_A_LONG_NAME\n", 7, "must be 1 to 16 printable ASCII characters"),
        ("port: 104", "port: [", 7, "not YAML"),
        ("port: 104", "port: 104000", 5, "less than or equal to 65535"),
        ("services:", "service:", 22, "service: unknown key"),
    ],
)
def test_an_error_names_file_line_and_what_is_wrong(tmp_path, old, new, line, said):
    path = _changed(tmp_path, old, new)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    matching = [text for text in str(caught.value).splitlines() if said in text]
    assert matching, str(caught.value)
    assert matching[0].startswith(f"{path}:{line}: ")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        load_config(tmp_path / "none.yaml")


def test_sources_may_be_networks():
    source = load_config(OF_2019).dicom.scp.sources[0].model_copy(update={"host_ip": "10.1.0.0/16"})
    assert source.covers("10.1.200.3")
    assert not source.covers("10.2.0.1")


def test_reload_takes_a_good_file_and_leaves_a_broken_one(tmp_path):
    path = _changed(tmp_path, "timeout: 5 ", "timeout: 7 ")
    live = LiveConfig(path)
    path.write_text(path.read_text().replace("timeout: 7 ", "timeout: 9 "))
    live.reload()
    assert live.current.called("CT_AI").timeout == 9
    path.write_text("dicom: [")
    live.reload()
    assert live.current.called("CT_AI").timeout == 9


def _changed(folder: Path, old: str, new: str) -> Path:
    text = OF_2019.read_text()
    assert old in text
    path = folder / "config.yaml"
    path.write_text(text.replace(old, new, 1))
    return path
