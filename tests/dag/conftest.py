"""Tests that run in Airflow's own environment, each session with an Airflow home of its own."""

import importlib.util
import os
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN_CATALOGUE = ROOT / "helm" / "clara-workflow" / "values.yaml"
HAS_AIRFLOW = importlib.util.find_spec("airflow") is not None

# Without Airflow there is nothing to import here: `make quick` runs this folder in .venvs/airflow.
collect_ignore_glob = [] if HAS_AIRFLOW else ["test_*.py"]
if HAS_AIRFLOW and version("apache-airflow") < "3.4":
    collect_ignore_glob = ["test_importer.py"]

if HAS_AIRFLOW:
    HOME = tempfile.mkdtemp(prefix="airflow-")
    os.environ |= {
        "AIRFLOW_HOME": HOME,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__MAX_TEMPLATED_FIELD_LENGTH": "32768",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": f"{HOME}/bundles",
    }


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need Airflow."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.airflow)
