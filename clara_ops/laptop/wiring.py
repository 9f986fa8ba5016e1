"""What the servers are told of each other once they run: ConfigMap, pools and connections."""

import json
from pathlib import Path

import httpx
import yaml

from clara_ops.contract import environment as names
from clara_ops.laptop.airflow import AirflowApi
from clara_ops.laptop.ports import LOOPBACK


def make_config_map(kubeconfig: Path, ports: dict[str, int]) -> None:
    """ConfigMap `clara-platform`, from which every stage pod takes the addresses of the platform."""
    grpc = f"{LOOPBACK}:{ports['triton-grpc']}"
    http = f"{LOOPBACK}:{ports['triton-http']}"
    data = {names.TRITON_URI: f"http://{http}", names.TRITON_GRPC: grpc, names.TRTIS_URI: http}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "clara-platform"}, "data": data}
    client, namespace = _kubernetes(kubeconfig)
    with client:
        collection = f"/api/v1/namespaces/{namespace}/configmaps"
        client.delete(f"{collection}/clara-platform")
        client.post(collection, json=body).raise_for_status()


def _kubernetes(kubeconfig: Path) -> tuple[httpx.Client, str]:
    configuration = yaml.safe_load(kubeconfig.read_text())
    server = configuration["clusters"][0]["cluster"]["server"]
    token = configuration["users"][0]["user"]["token"]
    namespace = configuration["contexts"][0]["context"].get("namespace", "default")
    return httpx.Client(base_url=server, headers={"Authorization": f"Bearer {token}"}, timeout=10), namespace


def introduce_to_airflow(api: AirflowApi, ports: dict[str, int], listener_token: str, kubeconfig: Path) -> None:
    """Pools and connections. `clara_render` stays away until there is a Render Server."""
    api.put_pool("clara_gpu", 1, "Stages that ask for a GPU; one slot a GPU")
    api.put_pool("clara_shadow", 1, "Shadows; one slot for each that may run at once")
    listener = {
        "conn_type": "http",
        "host": LOOPBACK,
        "port": ports["listener"],
        "schema": "http",
        "password": listener_token,
    }
    api.put_connection("clara_listener", listener)
    _, namespace = _kubernetes(kubeconfig)
    extra = json.dumps({"kube_config_path": str(kubeconfig), "namespace": namespace})
    api.put_connection("clara_kubernetes", {"conn_type": "kubernetes", "extra": extra})
