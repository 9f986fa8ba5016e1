"""Both programs that can be the demo's PACS take a series and give it back."""

from pathlib import Path

import pytest

from clara_ops.imaging.nifti_to_dicom import ct_series_from_nifti
from clara_ops.laptop import pacs as pacs_module
from clara_ops.laptop.demo import read_series
from clara_ops.laptop.pacs import pacs_program
from clara_ops.laptop.pacs_client import answers_echo, find_series, get_series, send_series
from clara_ops.laptop.ports import reserved_ports
from clara_ops.laptop.processes import Supervisor
from clara_ops.laptop.programs import PACS_AE, SCANNER_AE
from clara_ops.laptop.setup import ROOT

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("program", ["Orthanc", "qrscp"])
def test_a_series_is_found_and_comes_back(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if program == "qrscp":
        monkeypatch.setattr(pacs_module, "find_program", lambda _name: None)
    ct_series_from_nifti(ROOT / "tests" / "data" / "abdomen_a" / "ct.nii.gz", tmp_path / "series")
    series = read_series("abdomen_a", tmp_path / "series")
    wanted = {"http": 0, "dicom": 0, "scanner": 0}
    with reserved_ports(wanted) as ports, Supervisor(tmp_path / "log") as supervisor:
        server, pacs = pacs_program(
            tmp_path / "pacs", PACS_AE, ports["dicom"], ports["http"], {SCANNER_AE: ports["scanner"]}
        )
        supervisor.start(server)
        supervisor.wait_until(lambda: answers_echo(pacs), program, 60)
        assert list(send_series(series.files, SCANNER_AE, PACS_AE, pacs.dicom_port))[-1] == len(series.files)
        found = {str(answer.SeriesInstanceUID) for answer in find_series(pacs, SCANNER_AE, series.study_uid)}
        assert found == {series.series_uid}
        instances = get_series(pacs, SCANNER_AE, series.study_uid, series.series_uid)
    assert len(instances) == len(series.files)
    assert bool(pacs.page) == (program == "Orthanc")
