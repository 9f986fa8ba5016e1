"""docs/workflow.md and the JSON Schemas: made of the models as they are now, with examples that load."""

import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from clara_ops.workflow.catalogue import Catalogue, load_catalogue
from clara_ops.workflow.json_schema import catalogue_schema, workflow_schema
from clara_ops.workflow.loading import load_workflows
from clara_ops.workflow.reference import documents

from .conftest import OWN_CATALOGUE, ROOT

DOCUMENTS = documents()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", DOCUMENTS["workflow.md"], flags=re.MULTILINE | re.DOTALL)
OF_CATALOGUES = [text for text in EXAMPLES if text.startswith("# helm/clara-workflow/values.yaml\n")]
OF_WORKFLOWS = [text for text in EXAMPLES if text.startswith("# dags/workflows/")]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_is_that_of_the_models(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == DOCUMENTS[name], f"docs/{name} is not up to date: run 'make docs'"


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """Ours, and the one in the document."""
    paths = [tmp_path / f"{index}.yaml" for index, _ in enumerate(OF_CATALOGUES)]
    for path, text in zip(paths, OF_CATALOGUES, strict=True):
        path.write_text(text)
    return load_catalogue([OWN_CATALOGUE, *paths])


def test_every_example_says_what_it_is() -> None:
    assert len(OF_WORKFLOWS) >= 3
    assert OF_CATALOGUES
    assert len(EXAMPLES) == len(OF_WORKFLOWS) + len(OF_CATALOGUES)


@pytest.mark.parametrize("text", OF_WORKFLOWS)
def test_the_examples_load_and_pass_the_schema(text: str, tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(text)
    assert load_workflows(path, catalogue)
    assert list(Draft202012Validator(workflow_schema()).iter_errors(yaml.safe_load(text))) == []


@pytest.mark.parametrize("text", OF_CATALOGUES)
def test_the_catalogue_of_the_examples_passes_the_schema(text: str, catalogue: Catalogue) -> None:
    assert {"user-ai", "lung-nodules"} <= set(catalogue)
    assert list(Draft202012Validator(catalogue_schema()).iter_errors(yaml.safe_load(text))) == []


def test_links_within_the_document_lead_somewhere() -> None:
    text = DOCUMENTS["workflow.md"]
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-")
        for line in re.findall(r"^#+ (.*)$", text, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= headings
