"""Where things lie in a version of the bundle, and by what its DAGs are known.

Imports nothing: `policy` is loaded in every process of Airflow.
"""

from pathlib import Path

TAG = "clara"
CATALOGUE_FILE = "catalogue.json"
WORKFLOW_FOLDER = "workflows"


def workflow_file(folder: Path, name: str) -> Path:
    """Where the bundle keeps the file that a workflow is written in."""
    return folder / WORKFLOW_FOLDER / f"{name}.yaml"


def own_catalogue_file(folder: Path, name: str) -> Path:
    """Where the bundle keeps the catalogue entries that hold for that workflow only; there is none for most."""
    return folder / WORKFLOW_FOLDER / f"{name}.json"
