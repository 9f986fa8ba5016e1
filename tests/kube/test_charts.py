"""Workflow charts: ConfigMaps of the cluster become DAGs, and go with them. The bundle runs where Airflow is."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
AIRFLOW = ROOT / ".venvs" / "airflow" / "bin" / "python"
CATALOGUE = ROOT / "helm" / "clara-workflow" / "values.yaml"
LABELS = {"clara.io/workflow": "true"}
IDENTITY = "id: 00000000-0000-4000-8000-{number:012}\nname: {name}\n"
READER = IDENTITY + "stages: [{{stage: dicom-reader}}]\n"

# Looks at the charts once for each line that it gets, and answers with what Airflow finds in the bundle then.
LOOK = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
from clara_ops.dag.bundle import WorkflowBundle

source, catalogue = sys.argv[1:]
bundle = WorkflowBundle(name="charts", source=source, catalogues=[catalogue], charts=True)
bundle.initialize()
for _ in sys.stdin:
    bundle.refresh()
    bag = BundleDagBag(dag_folder=str(bundle.path), bundle_path=bundle.path, bundle_name=bundle.name)
    images = {
        name: [t.pod_template_dict["spec"]["containers"][0]["image"] for t in dag.tasks if hasattr(t, "stage")]
        for name, dag in bag.dags.items()
    }
    code = {name: Path(dag.fileloc).read_text() for name, dag in bag.dags.items()}
    print(json.dumps({"images": images, "code": code, "errors": list(bag.import_errors.values())}), flush=True)
"""

Look = Callable[[], dict[str, Any]]


@pytest.fixture(autouse=True)
def leave_no_chart(cluster) -> Iterator[None]:
    """A chart that a test has left would be seen by the next one."""
    yield
    for item in cluster.api.list_namespaced_config_map(cluster.namespace, label_selector="clara.io/workflow").items:
        cluster.api.delete_namespaced_config_map(item.metadata.name, cluster.namespace)


@pytest.fixture
def look(cluster, tmp_path: Path) -> Iterator[Look]:
    """Asks a bundle with one workflow of a folder, `local`, beside the charts of the cluster."""
    source = tmp_path / "workflows"
    source.mkdir()
    (source / "local.yaml").write_text(READER.format(number=1, name="local"))
    extra = {"kube_config_path": str(cluster.kubeconfig), "namespace": cluster.namespace}
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(tmp_path / "bundles"),
        "AIRFLOW_CONN_CLARA_KUBERNETES": json.dumps({"conn_type": "kubernetes", "extra": extra}),
    }
    process = subprocess.Popen(
        [AIRFLOW, "-c", LOOK, source, CATALOGUE],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(tmp_path / "stderr").open("w"),
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    ask, answers = process.stdin, process.stdout

    def now() -> dict[str, Any]:
        ask.write("\n")
        ask.flush()
        line = next((line for line in answers if line.startswith('{"images"')), None)
        assert line is not None, (tmp_path / "stderr").read_text()
        found: dict[str, Any] = json.loads(line)
        return found

    yield now
    ask.close()
    process.wait(30)


def chart(name: str, labels: dict[str, str] = LABELS, **files: str) -> dict[str, Any]:
    data = {key.replace("_", "."): text for key, text in files.items()}
    return {"metadata": {"name": name, "labels": labels}, "data": data}


def test_a_chart_brings_workflows_for_as_long_as_it_is_installed(cluster, look: Look) -> None:
    assert set(look()["images"]) == {"local"}
    api, namespace = cluster.api, cluster.namespace
    text = READER.format(number=2, name="charted")
    api.create_namespaced_config_map(namespace, chart("charted", workflow_yaml=text, NOTES_txt="no workflow"))
    api.create_namespaced_config_map(namespace, chart("other", {}, workflow_yaml=READER.format(number=3, name="other")))
    found = look()
    assert set(found["images"]) == {"local", "charted"}
    assert found["code"]["charted"] == text
    assert found["errors"] == []
    api.patch_namespaced_config_map(
        "charted", namespace, {"data": {"workflow.yaml": READER.format(number=2, name="renamed")}}
    )
    assert set(look()["images"]) == {"local", "renamed"}
    api.delete_namespaced_config_map("charted", namespace)
    assert set(look()["images"]) == {"local"}


def test_the_catalogue_of_a_chart_holds_for_its_own_workflows_only(cluster, look: Look) -> None:
    entry = {"stageName": "dicom-reader", "logName": "/app/logs/r.log", "lockName": "r.lock", "timeout": "300"}
    stages = {"dicom-reader": {"image": {"repository": "own/reader", "tag": "7"}, **entry}}
    found = chart(
        "own", workflow_yaml=READER.format(number=2, name="charted"), values_yaml=json.dumps({"stages": stages})
    )
    cluster.api.create_namespaced_config_map(cluster.namespace, found)
    images = look()["images"]
    assert images["charted"] == ["own/reader:7"]
    assert images["local"] != images["charted"]


def test_a_broken_chart_breaks_itself_only(cluster, look: Look) -> None:
    broken = chart(
        "broken",
        good_yaml=READER.format(number=2, name="charted"),
        bad_yaml=IDENTITY.format(number=3, name="bad") + "stages: [{stage: dicom-raeder}]\n",
        taken_yaml=READER.format(number=1, name="thief"),
    )
    cluster.api.create_namespaced_config_map(cluster.namespace, broken)
    found = look()
    assert set(found["images"]) == {"local", "charted"}
    errors = "\n".join(found["errors"])
    assert len(found["errors"]) == 2
    assert f"configmap/{cluster.namespace}/broken/bad.yaml:3:18: stage 'dicom-raeder' is not in the catalogue" in errors
    assert "taken.yaml:1:1: ID '00000000-0000-4000-8000-000000000001' belongs to the workflow in" in errors
