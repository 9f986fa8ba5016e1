"""The platform in a namespace of its own: plain manifests, applied with the client of Kubernetes."""

import base64
import os
import secrets
import socket
import string
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from kubernetes import client, config, utils
from kubernetes.client import ApiException

from clara_ops.contract import environment as names
from tests.kube.platform.image import IMAGE, ROOT, provide_image

Json = dict[str, Any]

DICOM_CONTAINER_PORT = 10400
API_CONTAINER_PORT = 8104

_MANIFESTS = Path(__file__).with_name("manifests")
_LISTENER_CONFIGURATION = ROOT / "helm" / "clara-platform" / "files" / "dicom-server-config.yaml"
_READY_SECONDS = 120


@dataclass(frozen=True)
class Peer:
    """A DICOM peer outside of the cluster, that results are sent to."""

    name: str
    ae_title: str
    host: str
    port: int


@dataclass(frozen=True)
class Listener:
    """Where a listener in the cluster is reached from here."""

    host: str
    dicom_port: int
    api_url: str
    token: str


@dataclass(frozen=True)
class Platform:
    """A namespace with claim, configuration, Triton and accounts, as stages and Airflow expect it.

    Attributes:
        here: this machine's address as pods see it.
    """

    namespace: str
    client: client.ApiClient
    here: str

    @property
    def core(self) -> client.CoreV1Api:
        """Pods, services, claims, ..."""
        return client.CoreV1Api(self.client)

    def apply(self, manifest: str, **values: str) -> None:
        """Create what a file of `manifests/` holds; what is there already stays as it is."""
        text = string.Template((_MANIFESTS / manifest).read_text())
        for document in yaml.safe_load_all(text.substitute(namespace=self.namespace, image=IMAGE, **values)):
            self.create(document)

    def create(self, document: Json) -> None:
        """Create one object, unless it is there."""
        try:
            utils.create_from_dict(self.client, document)
        except utils.FailToCreateError as error:
            if any(refusal.status != 409 for refusal in error.api_exceptions):
                raise

    @contextmanager
    def running_listener(self, airflow: str, username: str, password: str, peer: Peer) -> Iterator[Listener]:
        """The DICOM listener with this checkout's configuration, on the addresses of this run, until the block ends.

        Its data and its journal stay on their claims.

        Args:
            airflow: URL of Airflow's API server as pods reach it.
            peer: stands for the destination of its name.
        """
        token = secrets.token_urlsafe(32)
        secret = {names.LISTENER_TOKEN: token, names.AIRFLOW_USERNAME: username, names.AIRFLOW_PASSWORD: password}
        self._put("Secret", "clara-tokens", stringData=secret)
        configuration = yaml.safe_dump(listener_configuration(airflow, peer), sort_keys=False)
        self._put("ConfigMap", "dicom-server-config", data={"dicom-server-config.yaml": configuration})
        self.apply("listener.yaml")
        try:
            self.wait_for_deployment("dicom-listener")
            service = self.core.read_namespaced_service("dicom-listener", self.namespace)
            ports = {port.name: port.node_port for port in service.spec.ports}
            node = self._node_address()
            yield Listener(node, ports["dicom"], f"http://{node}:{ports['api']}", token)
        finally:
            client.AppsV1Api(self.client).delete_namespaced_deployment("dicom-listener", self.namespace)
            self.core.delete_namespaced_service("dicom-listener", self.namespace)
            self.core.delete_namespaced_config_map("dicom-server-config", self.namespace)
            self.core.delete_namespaced_secret("clara-tokens", self.namespace)

    def _put(self, kind: str, name: str, **content: Json) -> None:
        metadata = {"name": name, "namespace": self.namespace}
        self.create({"apiVersion": "v1", "kind": kind, "metadata": metadata, **content})

    def _node_address(self) -> str:
        addresses = self.core.list_node().items[0].status.addresses
        return str(next(address.address for address in addresses if address.type == "InternalIP"))

    def wait_for_deployment(self, name: str) -> None:
        """Wait until a Deployment's pod is ready; fails with the pod's log."""
        apps = client.AppsV1Api(self.client)

        def is_ready() -> bool:
            return bool(apps.read_namespaced_deployment_status(name, self.namespace).status.ready_replicas)

        wait_until(is_ready, lambda: self.describe_pods(f"app.kubernetes.io/name={name}"))

    def describe_pods(self, selector: str = "") -> str:
        """Status, events and last lines of the log of pods: what a failed test shows."""
        lines = []
        for pod in self.core.list_namespaced_pod(self.namespace, label_selector=selector).items:
            name = pod.metadata.name
            lines.append(f"pod {name}: {pod.status.phase} {pod.status.container_statuses}")
            events = self.core.list_namespaced_event(self.namespace, field_selector=f"involvedObject.name={name}")
            lines += [f"  event {event.reason}: {event.message}" for event in events.items]
            try:
                lines.append(self.core.read_namespaced_pod_log(name, self.namespace, tail_lines=30))
            except ApiException as error:
                lines.append(f"  no log: {error.reason}")
        return "\n".join(lines)

    def run_pod(self, pod: Json, seconds: float = 120) -> client.V1Pod:
        """Create a pod under a name of its own, as Airflow's operator does, and wait for its end, whichever it is."""
        metadata = {**pod["metadata"], "name": f"{pod['metadata']['name']}-{secrets.token_hex(3)}"}
        name = self.core.create_namespaced_pod(self.namespace, {**pod, "metadata": metadata}).metadata.name

        def ended() -> bool:
            return self.core.read_namespaced_pod(name, self.namespace).status.phase in ("Succeeded", "Failed")

        wait_until(ended, self.describe_pods, seconds)
        return self.core.read_namespaced_pod(name, self.namespace)

    def write_airflow_kubeconfig(self, path: Path) -> None:
        """A kubeconfig with nothing but the rights of account `clara-airflow`."""
        request = {"spec": {"expirationSeconds": 6 * 3600}}
        token = self.core.create_namespaced_service_account_token("clara-airflow", self.namespace, request).status.token
        configuration = self.client.configuration
        cluster: Json = {"server": configuration.host}
        if configuration.ssl_ca_cert:
            authority = Path(configuration.ssl_ca_cert).read_bytes()
            cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
        else:
            cluster["insecure-skip-tls-verify"] = True
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "clara", "cluster": cluster}],
            "users": [{"name": "airflow", "user": {"token": token}}],
            "contexts": [
                {"name": "clara", "context": {"cluster": "clara", "user": "airflow", "namespace": self.namespace}}
            ],
            "current-context": "clara",
        }
        path.touch(0o600)
        path.write_text(yaml.safe_dump(document))


@contextmanager
def running_platform() -> Iterator[Platform]:
    """The platform on the cluster of KUBECONFIG, ready; all of it is gone when the block ends."""
    assert "KUBECONFIG" in os.environ, "set KUBECONFIG to the kubeconfig of a cluster"
    configuration = client.Configuration()
    config.load_kube_config(os.environ["KUBECONFIG"], client_configuration=configuration)
    here = _address_towards(configuration.host)
    platform = Platform(f"clara-{secrets.token_hex(3)}", client.ApiClient(configuration), here)
    provide_image(platform.core)
    try:
        for manifest in ("priorities.yaml", "base.yaml", "airflow.yaml", "triton.yaml", "shell.yaml"):
            platform.apply(manifest)
        wait_until(lambda: _is_ready(platform, "shell"), platform.describe_pods)
        platform.wait_for_deployment("clara-triton")
        yield platform
    finally:
        platform.core.delete_namespace(platform.namespace)


def listener_configuration(airflow: str, peer: Peer) -> Json:
    """The configuration of this checkout, with Airflow and one destination where they are in this run."""
    configuration: Json = yaml.safe_load(_LISTENER_CONFIGURATION.read_text())
    configuration["dicom"]["scp"] |= {"port": DICOM_CONTAINER_PORT, "reject-unknown-sources": False}
    for destination in configuration["dicom"]["scu"]["destinations"]:
        if destination["name"] == peer.name:
            destination |= {"ae-title": peer.ae_title, "host-ip": peer.host, "port": peer.port}
    configuration["services"]["platform-endpoint"] = airflow
    ours = configuration.setdefault("clara", {})
    ours["network"] = {"host": "0.0.0.0"}
    ours["api"] = {"host": "0.0.0.0", "port": API_CONTAINER_PORT}
    return configuration


def wait_until(holds: Callable[[], bool], describe: Callable[[], str], seconds: float = _READY_SECONDS) -> None:
    """Wait for something; fails with a description."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds} s:\n{describe()}"
        time.sleep(0.1)


def _is_ready(platform: Platform, pod: str) -> bool:
    statuses = platform.core.read_namespaced_pod(pod, platform.namespace).status.container_statuses
    return bool(statuses) and all(status.ready for status in statuses)


def _address_towards(url: str) -> str:
    """The address of this machine on the way to another, which is where pods find it too. Nothing is sent."""
    target = urlsplit(url)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((target.hostname, target.port or 443))
        return str(probe.getsockname()[0])
