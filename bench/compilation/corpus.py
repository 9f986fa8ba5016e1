"""The same workflows for both: a reader, two AI stages beside each other, and a writer that joins them."""

from pathlib import Path

_OURS = """\
id: {number:08x}-0000-4000-8000-000000000000
name: workflow-{number}
description: {description}
stages:
  - {{stage: dicom-reader}}
  - {{stage: ai-vnet, name: organs}}
  - {{stage: ai-vnet, name: vessels, after: dicom-reader}}
  - {{stage: dicom-writer, after: [organs, vessels]}}
"""
_THEIRS = """\
workflow-{number}:
  description: {description}
  default_args: {{owner: clara, start_date: 2026-01-01, retries: 2}}
  schedule: null
  catchup: false
  tasks:
    prepare: {{operator: airflow.providers.standard.operators.empty.EmptyOperator}}
{stages}
    publish: {{operator: airflow.providers.standard.operators.empty.EmptyOperator, dependencies: [dicom-writer]}}
    deliver: {{operator: airflow.providers.standard.operators.empty.EmptyOperator, dependencies: [dicom-writer]}}
"""
_THEIR_STAGE = """\
    {name}:
      operator: airflow.providers.cncf.kubernetes.operators.pod.KubernetesPodOperator
      kubernetes_conn_id: clara_kubernetes
      namespace: clara
      name: {name}
      image: clara-stages:0.1.0
      cmds: [clara-stage, {name}]
      env_vars: {{CLARA_STAGE: {name}}}
      service_account_name: clara-stage
      dependencies: [{after}]"""
_THEIR_STAGES = {
    "dicom-reader": "prepare",
    "organs": "dicom-reader",
    "vessels": "dicom-reader",
    "dicom-writer": "organs, vessels",
}
_THEIR_LOADER = """\
from airflow.sdk import DAG
from dagfactory import load_yaml_dags

load_yaml_dags(globals_dict=globals(), dags_folder={folder!r}, defaults_config_path={folder!r})
"""


def ours(number: int, description: str = "measured") -> str:
    """A workflow file of ours."""
    return _OURS.format(number=number, description=description)


def theirs(number: int, description: str = "measured") -> str:
    """The same for dag-factory; the pods say less."""
    stages = "\n".join(_THEIR_STAGE.format(name=name, after=after) for name, after in _THEIR_STAGES.items())
    return _THEIRS.format(number=number, description=description, stages=stages)


def write_ours(folder: Path, count: int) -> None:
    """`count` workflow files."""
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number}.yaml").write_text(ours(number), encoding="utf-8")


def write_theirs(folder: Path, count: int) -> None:
    """`count` files for dag-factory, and the one Python file that loads a folder of them, as its manual has it."""
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number}.yaml").write_text(theirs(number), encoding="utf-8")
    (folder / "load.py").write_text(_THEIR_LOADER.format(folder=str(folder)), encoding="utf-8")
