"""The main job on a real Kubernetes: listener, Triton and stages are pods, Airflow and the PACS run outside."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from kubernetes import client, config

from bench.series import new_series
from bench.timing import STAGES, Timing, table, timing
from clara_ops.contract import environment as names
from clara_ops.contract.states import RunState
from clara_ops.laptop import airflow
from clara_ops.laptop.airflow import AirflowApi
from clara_ops.laptop.check import check_results
from clara_ops.laptop.checkout import Checkout
from clara_ops.laptop.demo import CALLED_AE, MAIN_MODALITIES, MAIN_WORKFLOW, wait_for_dag
from clara_ops.laptop.follow import follow
from clara_ops.laptop.pacs import pacs_program
from clara_ops.laptop.pacs_client import answers_echo, send_series
from clara_ops.laptop.ports import reserved_ports
from clara_ops.laptop.processes import Supervisor
from clara_ops.laptop.programs import PACS_AE, SCANNER_AE
from clara_ops.laptop.servers import Laptop
from clara_ops.laptop.state import Home, Run
from tests.kube.platform.claim import read_file
from tests.kube.platform.deployment import Peer, Platform
from tests.kube.platform.image import REGISTRY, ROOT

pytestmark = [pytest.mark.kube, pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

READY_SECONDS = 240
MEASURED_RUNS = 3


@pytest.fixture(scope="module")
def outside(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """Airflow and the PACS on this machine, on the address that pods see; the listener in the cluster."""
    home = Home(tmp_path_factory.mktemp("outside"))
    home.make()
    checkout = Checkout(ROOT)
    wanted = {"airflow": 8080, "airflow-execution": 8081, "pacs": 8042, "pacs-dicom": 11112}
    with reserved_ports(wanted) as ports, Supervisor(home.logs) as supervisor:
        program, pacs = pacs_program(
            home.root / "pacs", PACS_AE, ports["pacs-dicom"], ports["pacs"], {SCANNER_AE: 104}, any_host=True
        )
        supervisor.start(program)
        settings = airflow.settings(
            home, ports["airflow"], ports["airflow-execution"], checkout.bundle, host=platform.here
        )
        settings[names.IMAGE_REGISTRY] = REGISTRY
        binaries = checkout.binaries("airflow")
        password = airflow.prepare(supervisor, home, settings, binaries)
        airflow.start(supervisor, settings, binaries)
        url = f"http://{platform.here}:{ports['airflow']}"
        api = AirflowApi(url, ports["airflow-execution"], password)
        supervisor.wait_until(lambda: answers_echo(pacs), "the PACS", READY_SECONDS)
        supervisor.wait_until(api.is_healthy, "Airflow", READY_SECONDS)
        api.log_in()
        peer = Peer(PACS_AE, PACS_AE, platform.here, ports["pacs-dicom"])
        with platform.running_listener(url, airflow.USERNAME, password, peer) as listener:
            kubeconfig = home.root / "kubeconfig"
            platform.write_airflow_kubeconfig(kubeconfig)
            address = httpx.URL(listener.api_url)
            api.put_pool("clara_gpu", 2, "Stages that ask for a GPU")
            connection = {"conn_type": "http", "schema": "http", "host": address.host, "port": address.port}
            api.put_connection("clara_listener", {**connection, "password": listener.token})
            extra = json.dumps({"kube_config_path": str(kubeconfig), "namespace": platform.namespace})
            api.put_connection("clara_kubernetes", {"conn_type": "kubernetes", "extra": extra})
            run = Run(
                pid=0,
                airflow=url,
                airflow_username=airflow.USERNAME,
                airflow_password=password,
                listener=listener.api_url,
                listener_token=listener.token,
                dicom_port=listener.dicom_port,
                triton_http="",
                triton_grpc="",
                kubeconfig=str(kubeconfig),
                pacs=pacs.page,
                pacs_ae_title=pacs.ae_title,
                pacs_dicom_port=pacs.dicom_port,
            )
            authorization = {"Authorization": f"Bearer {listener.token}"}
            with httpx.Client(base_url=listener.api_url, headers=authorization, timeout=30) as rest:
                laptop = Laptop(run, supervisor, api, rest, pacs, checkout, home)
                wait_for_dag(laptop, MAIN_WORKFLOW)
                yield laptop


def test_the_series_comes_back(
    outside: Laptop, platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timings = [send_and_check(outside, platform, tmp_path / str(index)) for index in range(MEASURED_RUNS + 1)]
    pods = platform.core.list_namespaced_pod(platform.namespace, label_selector="app.kubernetes.io/component=stage")
    assert [pod.metadata.name for pod in pods.items] == [], "no pod of a run that went well is left"
    with capsys.disabled():
        print(
            f"\nthe main job on the cluster, {MEASURED_RUNS} runs after one that is not counted:\n{table(timings[1:])}"
        )


def test_airflow_has_no_more_rights_than_its_pods_need(outside: Laptop) -> None:
    """What its account may do was enough for the run above; it may do nothing else that would matter."""
    configuration = client.Configuration()
    config.load_kube_config(outside.run.kubeconfig, client_configuration=configuration)
    core = client.CoreV1Api(client.ApiClient(configuration))
    for forbidden in (core.list_namespace, core.list_secret_for_all_namespaces, core.list_node):
        with pytest.raises(client.ApiException, match="Forbidden"):
            forbidden()


def send_and_check(outside: Laptop, platform: Platform, folder: Path) -> Timing:
    """Send abdomen_b under new UIDs from outside of the cluster, and hold the PACS to what it should have."""
    series = new_series(folder)
    started = datetime.now(UTC)
    host = httpx.URL(outside.run.listener).host
    for _ in send_series(series.files, SCANNER_AE, CALLED_AE, outside.run.dicom_port, host=host):
        pass
    (run,) = follow(outside, series.series_uid, started, print)
    assert run.state is RunState.DELIVERED, f"{run}\n{platform.describe_pods()}"
    results = check_results(outside.pacs, SCANNER_AE, series.files, MAIN_MODALITIES)
    assert results.volumes["liver"] > 100
    answer = outside.listener.get(f"/v1/runs/{run.run_id}").raise_for_status().json()
    tasks = outside.airflow.task_instances(run.dag_id, run.run_id)
    logs = f"payloads/{run.run_id}/logs"
    events = {stage: read_file(platform, f"{logs}/{stage}.events.jsonl").decode() for stage in STAGES}
    return timing(answer, tasks, events)
