"""No workflow or catalogue file, however hostile, ends in anything but an error with a place."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_ops.workflow import yaml_source
from clara_ops.workflow.catalogue import Catalogue, load_catalogue
from clara_ops.workflow.errors import WorkflowFileError
from clara_ops.workflow.loading import load_workflows, workflows_of
from clara_ops.workflow.yaml_source import YamlSource
from tests.workflow.hostile import CATALOGUES, FILE_NAMES, HEAD, UNREADABLE, WRONG, Hostile

from .conftest import OWN_CATALOGUE

pytestmark = pytest.mark.timeout(60)


def errors_of(load: Callable[[], object]) -> list[str]:
    with pytest.raises(WorkflowFileError) as raised:
        load()
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize("hostile", [*UNREADABLE.values(), *WRONG.values()], ids=[*UNREADABLE, *WRONG])
def test_a_workflow_file(hostile: Hostile, tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "x.yaml"
    hostile.make(path)
    errors = errors_of(lambda: load_workflows(path, catalogue))
    assert any(error.startswith(f"{path}:{hostile.place}: ") and hostile.words in error for error in errors), errors


@pytest.mark.parametrize("hostile", [*UNREADABLE.values(), *CATALOGUES.values()], ids=[*UNREADABLE, *CATALOGUES])
def test_a_catalogue_file(hostile: Hostile, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    hostile.make(path)
    errors = errors_of(lambda: load_catalogue([OWN_CATALOGUE, path]))
    assert any(f":{hostile.place}: " in error and hostile.words in error for error in errors), errors


@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_file_name_is_one_line_that_can_be_printed(name: str, tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / name
    path.write_text(HEAD)
    (error,) = errors_of(lambda: load_workflows(path, catalogue))
    assert error.isprintable()
    assert error.endswith(":1:1: key 'stages' is missing; add it")


def test_a_file_that_vanishes_while_it_is_read(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(HEAD)
    opened = os.open

    def open_late(*words: Any) -> int:
        path.unlink()
        return opened(*words)

    monkeypatch.setattr(yaml_source.os, "open", open_late)
    (error,) = errors_of(lambda: load_workflows(path, catalogue))
    assert error == f"{path}:1:1: cannot be read: No such file or directory"


def test_messages_stay_short(tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"id: {'x' * 500_000}\nname: w\nstages: [{{stage: dicom-reader}}]\n")
    assert max(map(len, errors_of(lambda: load_workflows(path, catalogue)))) < 1000


KEYS = st.sampled_from(
    [
        *(
            "id",
            "name",
            "stages",
            "stage",
            "after",
            "input",
            "output",
            "args",
            "env",
            "resources",
            "gpu",
            "image",
            "<<",
        ),
        *("when", "accepts", "modality", "minimumInstances", "rule", "all", "any", "not", "attribute", "op", "value"),
        *("waitLocks", "ioFolders", "workflows", "kind", "priority", "destinations", "sample"),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["dicom-reader", "eq"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


@given(data=st.dictionaries(KEYS, VALUES, max_size=6))
@settings(max_examples=40, deadline=None)
def test_any_data_makes_workflows_or_a_named_error(data: dict[str, Any], catalogue: Catalogue) -> None:
    whole = {"id": "00000000-0000-4000-8000-000000000001", "name": "w", "stages": [{"stage": "dicom-reader"}], **data}
    for source in (YamlSource("f", data, {}, {}), YamlSource("f", whole, {}, {})):
        try:
            workflows_of(source, catalogue)
        except WorkflowFileError as error:
            assert error.problems
