"""Workflow charts that are installed on the cluster: ConfigMaps with the label `clara.io/workflow=true`.

Their keys that end in `.yaml` are workflow files; one with `stages:` as a mapping is a catalogue for the workflows of
its own chart only, and wins over the bundle's.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import CoreV1Api
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from clara_ops.dag.stage_operator import CONNECTION_ID
from clara_ops.workflow.pod import WORKFLOW_LABEL

SELECTOR = f"{WORKFLOW_LABEL}=true"
_SUFFIXES = (".yaml", ".yml")
_SECONDS = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chart:
    """One ConfigMap: `name` is namespace/name, `version` its resource version, `files` what it holds, by key."""

    name: str
    version: str
    files: Mapping[str, str]


class InstalledCharts:
    """The charts of the namespace of connection `clara_kubernetes`, oldest first.

    While the cluster does not answer, those that it had last are kept, over restarts as well.

    Args:
        kept: file that they are kept in.
    """

    def __init__(self, kept: Path) -> None:
        self._kept = kept
        self._told = ""

    def now(self) -> tuple[Chart, ...]:
        """The charts that are installed, or were when the cluster answered last."""
        try:
            charts = _list_charts()
        except (ApiException, HTTPError, ConfigException, AirflowException) as error:
            self._tell(f"workflow charts stay as they were, the cluster does not answer: {error}")
            return self._last()
        self._tell("")
        if charts != self._last():
            growing = self._kept.with_name(f".{self._kept.name}")
            growing.parent.mkdir(parents=True, exist_ok=True)
            growing.write_text(json.dumps([asdict(chart) for chart in charts]), encoding="utf-8")
            growing.replace(self._kept)
        return charts

    def _last(self) -> tuple[Chart, ...]:
        if not self._kept.is_file():
            return ()
        return tuple(Chart(**chart) for chart in json.loads(self._kept.read_text(encoding="utf-8")))

    def _tell(self, message: str) -> None:
        """Log a trouble when it begins, not at every look."""
        if message and message != self._told:
            _log.warning("%s", message)
        self._told = message


def _list_charts() -> tuple[Chart, ...]:
    hook = KubernetesHook(conn_id=CONNECTION_ID)
    api: CoreV1Api = hook.core_v1_client
    namespace = hook.get_namespace() or "default"
    found = api.list_namespaced_config_map(namespace, label_selector=SELECTOR, _request_timeout=_SECONDS).items
    oldest = sorted(found, key=lambda item: (item.metadata.creation_timestamp, item.metadata.name))
    return tuple(
        Chart(f"{namespace}/{item.metadata.name}", item.metadata.resource_version, _workflow_keys(item.data or {}))
        for item in oldest
    )


def _workflow_keys(data: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in sorted(data.items()) if key.endswith(_SUFFIXES)}
