"""Workflow files for tests: the catalogue of the project, and files written on the spot."""

from collections.abc import Callable
from pathlib import Path

import pytest

from clara_ops.workflow.catalogue import Catalogue, load_catalogue
from clara_ops.workflow.errors import WorkflowFileError
from clara_ops.workflow.loading import load_workflows
from clara_ops.workflow.workflow import Workflow

ROOT = Path(__file__).parents[2]
OWN_CATALOGUE = ROOT / "helm" / "clara-workflow" / "values.yaml"

Load = Callable[[str], tuple[Workflow, ...]]
Problems = Callable[[str], list[str]]


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The stages that the project ships."""
    return load_catalogue([OWN_CATALOGUE])


@pytest.fixture
def load(tmp_path: Path, catalogue: Catalogue) -> Load:
    """Load a workflow file with this text."""

    def load_text(text: str) -> tuple[Workflow, ...]:
        path = tmp_path / "w.yaml"
        path.write_text(text, encoding="utf-8")
        return load_workflows(path, catalogue, "w.yaml")

    return load_text


@pytest.fixture
def problems(load: Load) -> Problems:
    """What is said about a workflow file with this text, one line for each problem."""

    def problems_of(text: str) -> list[str]:
        with pytest.raises(WorkflowFileError) as raised:
            load(text)
        return str(raised.value).splitlines()

    return problems_of
