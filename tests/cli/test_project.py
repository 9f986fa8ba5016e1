from pathlib import Path

import pytest

from clara_ops.cli.errors import ProjectNotFound, UnknownWorkflow
from clara_ops.cli.project import Project, find_project
from clara_ops.cli.workflows import find_workflow
from clara_ops.workflow.errors import WorkflowFileError

ROOT = Path(__file__).resolve().parents[2]
DATA_2019 = ROOT / "tests" / "data" / "clara2019"
USER_WORKFLOW = "7b413e24-d018-4689-8c41-73272f6649d4"
DEFAULT_WORKFLOW = "613e3fce-0d96-495a-a760-f43e68deefd8"  # that of 2019
ORGAN_SEG = "1db65f99-c9b7-4329-ab9c-d519e0557638"


def test_ours_is_found_from_any_folder_below() -> None:
    project = find_project(None, ROOT / "clara_ops" / "cli")
    assert (project.root, project.catalogue) == (ROOT, ROOT / "helm" / "clara-workflow" / "values.yaml")


@pytest.mark.parametrize("place", ["charts/clara-workflow", "charts/clara-workflows", "."])
def test_a_folder_of_2019_is_found(place: str, tmp_path: Path) -> None:
    (folder := tmp_path / place).mkdir(parents=True, exist_ok=True)
    (folder / "values.yaml").write_text((DATA_2019 / "values.yaml").read_text())
    project = find_project(None, tmp_path)
    assert project.catalogue == folder / "values.yaml"
    workflow = find_workflow(project, USER_WORKFLOW)
    assert [stage.name for stage in workflow.stages] == ["dicom-reader", "user-ai", "dicom-writer"]
    assert workflow.stage("dicom-reader").entry.command == ("clara-stage", "dicom-reader"), "what it lacks is ours"
    assert find_workflow(project, None) == workflow, "the only one"


def test_another_chart_s_values_are_no_catalogue(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("stages:\n  a: {}\n")
    (tmp_path / "Chart.yaml").write_text("name: other\n")
    with pytest.raises(ProjectNotFound, match="name it with --root"):
        find_project(tmp_path, ROOT)


def test_root_wins_over_the_current_folder(tmp_path: Path) -> None:
    assert find_project(DATA_2019, tmp_path).root == DATA_2019
    with pytest.raises(ProjectNotFound):
        find_project(tmp_path, ROOT)


@pytest.mark.parametrize(
    ("wanted", "found"), [(ORGAN_SEG, ORGAN_SEG), ("organ-seg", ORGAN_SEG), (None, DEFAULT_WORKFLOW)]
)
def test_a_workflow_is_found_by_id_by_name_and_by_default(wanted: str | None, found: str) -> None:
    assert find_workflow(find_project(ROOT, ROOT), wanted).id == found


def test_an_unknown_workflow_names_those_that_exist() -> None:
    with pytest.raises(UnknownWorkflow, match=r"no workflow 'nope'; there are .*\(organ-seg\)"):
        find_workflow(find_project(ROOT, ROOT), "nope")


def test_a_broken_file_matters_only_when_the_workflow_may_be_in_it(tmp_path: Path) -> None:
    (tmp_path / "dags" / "workflows").mkdir(parents=True)
    catalogue = tmp_path / "values.yaml"
    catalogue.write_text((DATA_2019 / "values.yaml").read_text())
    (tmp_path / "dags" / "workflows" / "broken.yaml").write_text("id: [\n")
    project = Project(tmp_path, catalogue)
    assert find_workflow(project, USER_WORKFLOW).name == "user-workflow"
    with pytest.raises(WorkflowFileError, match=r"broken\.yaml:"):
        find_workflow(project, ORGAN_SEG)
