"""The route through Orthanc of docs/connect-your-pacs.md, as it is written there, to a listener and back."""

import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from clara_ops.laptop.ports import reserved_ports
from clara_ops.laptop.processes import Program, Supervisor
from clara_ops.laptop.setup import ROOT, find_program
from tests.listener.conftest import airflow, make_process, write_config  # noqa: F401  (fixtures)
from tests.listener.peers import Pacs, wait_for

pytestmark = pytest.mark.e2e

GUIDE = ROOT / "docs" / "connect-your-pacs.md"
SERIES = ROOT / "tests" / "data" / "abdomen_b"


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def ports():
    with reserved_ports({"dicom": 0, "http": 0}) as found:
        yield found


@pytest.fixture
def pacs(ports) -> Pacs:
    """Where the listener's configuration sends results to: Orthanc."""
    return Pacs(ports["dicom"])


@pytest.fixture
def orthanc(ports, tmp_path: Path, listener):
    """Orthanc with the guide's node and route."""
    (tmp_path / "route.lua").write_text(block("lua"))
    configuration = json.loads(block("json"))
    configuration["DicomModalities"]["clara"] |= {"Host": "127.0.0.1", "Port": listener.dicom_port}
    configuration |= {
        "StorageDirectory": str(tmp_path / "orthanc"),
        "IndexDirectory": str(tmp_path / "orthanc"),
        "DicomAet": "PACS",
        "DicomCheckCalledAet": False,
        "DicomPort": ports["dicom"],
        "DicomAlwaysAllowStore": True,
        "HttpPort": ports["http"],
        "StableAge": 1,
        "Plugins": [],
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(configuration))
    url = f"http://127.0.0.1:{ports['http']}"
    with Supervisor(tmp_path / "log") as supervisor:
        program = find_program("Orthanc")
        assert program is not None
        supervisor.start(Program("orthanc", [program, str(tmp_path / "orthanc.json")]))

        def answers() -> bool:
            try:
                return httpx.get(f"{url}/system", trust_env=False).is_success
            except httpx.TransportError:
                return False

        supervisor.wait_until(answers, "Orthanc", 60)
        yield url


@pytest.fixture
def listener(make_process):  # noqa: F811
    return make_process(ae_titles=[{"ae-title": "CT_AI", "timeout": 30}])


def test_a_series_that_orthanc_gets_is_run_once_and_its_result_comes_back(orthanc, ports, listener, airflow):  # noqa: F811
    storescu = ["storescu", "-aec", "PACS", "-xv", "127.0.0.1", str(ports["dicom"])]
    subprocess.run([*storescu, *map(str, sorted(SERIES.glob("*.dcm")))], check=True)
    run_id = wait_for(lambda: next(iter(airflow.runs), None), 30)
    (series,) = listener.series()
    assert (series["state"], series["instances"], series["calling_ae"]) == ("complete", 20, "PACS")
    assert "released its association" in series["reason"]

    output = listener.data / "payloads" / run_id / "dicom-writer" / "output"
    output.mkdir(parents=True)
    result = output / "result.dcm"
    change = ["dcmodify", "-nb", "-m", "Modality=OT", "-gin", "-gse", str(result)]
    result.write_bytes((SERIES / "267.dcm").read_bytes())
    subprocess.run(change, check=True, stderr=subprocess.DEVNULL)
    listener.ask("POST", "/v1/deliveries", json={"payload": run_id, "folder": "dicom-writer/output"})
    wait_for(lambda: listener.get("/v1/deliveries/1")["state"] == "delivered", 30)
    wait_for(lambda: len(httpx.get(f"{orthanc}/series", trust_env=False).json()) == 2, 10)
    assert list(airflow.runs) == [run_id]
