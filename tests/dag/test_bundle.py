"""The DAG bundle: what Airflow finds in it, how it follows the files, and that each version stays as it was."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.dag_processing.bundles.base import BundleVersion
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk.definitions.context import _AIRFLOW_PARSING_CONTEXT_DAG_ID

from clara_ops.dag import stubs
from clara_ops.dag.bundle import WorkflowBundle

from .conftest import OWN_CATALOGUE, ROOT

ORGAN_SEG = (ROOT / "dags" / "workflows" / "organ-seg.yaml").read_text()


def workflow(number: int, name: str, stage: str = "dicom-reader") -> str:
    return f"id: 00000000-0000-4000-8000-{number:012}\nname: {name}\nstages: [{{stage: {stage}}}]\n"


Bundle = Callable[..., WorkflowBundle]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with two workflows, and their catalogue beside it."""
    folder = tmp_path / "workflows"
    folder.mkdir()
    (folder / "organ-seg.yaml").write_text(ORGAN_SEG)
    (folder / "second.yaml").write_text(workflow(2, "second"))
    (tmp_path / "values.yaml").write_text(OWN_CATALOGUE.read_text())
    return folder


@pytest.fixture
def bundle(source: Path) -> Bundle:
    """A bundle of these; called again, it is another process's bundle of the same name."""
    name = f"test-{source.parent.name}-{time.monotonic_ns()}"

    def make(version: str | None = None) -> WorkflowBundle:
        catalogues = [str(source.parent / "values.yaml")]
        made = WorkflowBundle(name=name, version=version, source=str(source), catalogues=catalogues)
        made.initialize()
        return made

    return make


def parse(bundle: WorkflowBundle) -> BundleDagBag:
    return BundleDagBag(dag_folder=str(bundle.path), bundle_path=bundle.path, bundle_name=bundle.name)


def stub_times(bundle: WorkflowBundle) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in bundle.path.glob("*.py")}


def version_of(bundle: WorkflowBundle) -> str:
    version = bundle.get_current_version()
    assert isinstance(version, BundleVersion)
    return version.version


def test_airflow_finds_each_workflow_and_shows_its_file(bundle: Bundle, source: Path) -> None:
    made = bundle()
    bag = parse(made)
    assert set(bag.dags) == {"organ-seg", "second"}
    assert bag.import_errors == {}
    dag = bag.dags["organ-seg"]
    assert Path(dag.fileloc).read_text() == ORGAN_SEG
    assert (made.path / str(dag.relative_fileloc)).suffix == ".py"


def test_a_broken_file_has_a_stub_of_its_own_and_breaks_no_other(bundle: Bundle, source: Path) -> None:
    (source / "broken.yaml").write_text(workflow(3, "broken", "dicom-raeder"))
    (source / "worse.yaml").write_bytes(b"\xff")
    bag = parse(bundle())
    assert set(bag.dags) == {"organ-seg", "second"}
    errors = list(bag.import_errors.values())
    assert len(errors) == 2
    assert any(f"{source}/broken.yaml:3:18: stage 'dicom-raeder' is not in the catalogue (did you" in e for e in errors)
    assert any(f"{source}/worse.yaml:1:1: not UTF-8" in error for error in errors)


def test_a_file_that_is_mended_is_found_at_the_next_refresh(bundle: Bundle, source: Path) -> None:
    broken = source / "broken.yaml"
    broken.write_text(workflow(3, "third", "nothing"))
    made = bundle()
    before = version_of(made)
    broken.write_text(workflow(3, "third"))
    made.refresh()
    bag = parse(made)
    assert set(bag.dags) == {"organ-seg", "second", "third"}
    assert bag.import_errors == {}
    assert version_of(made) != before


def test_what_the_catalogue_says_of_running_time_counts_in_the_bundle_too(bundle: Bundle, source: Path) -> None:
    long = workflow(3, "long") + "timeout: 3600\n"
    (source / "long.yaml").write_text(long)
    (error,) = parse(bundle()).import_errors.values()
    assert "long.yaml:4:10: timeout: at most 1800 s" in error
    with (source.parent / "values.yaml").open("a") as values:
        values.write("workflowTimeout: {default: 60, maximum: 3600}\n")
    made = bundle()
    made.refresh()
    bag = parse(made)
    assert bag.import_errors == {}
    assert bag.dags["long"].get_task("dicom-reader").workflow.timeout == 3600
    assert bag.dags["second"].get_task("dicom-reader").stage.timeout == 60


def test_nothing_changes_where_no_file_has_changed(bundle: Bundle) -> None:
    made = bundle()
    version, times = version_of(made), stub_times(made)
    made.refresh()
    again = bundle()
    assert (version_of(again), stub_times(again)) == (version, times)


def test_only_stubs_of_changed_workflows_are_parsed_again(bundle: Bundle, source: Path) -> None:
    made = bundle()
    times = stub_times(made)
    (source / "new.yaml").write_text(workflow(4, "fourth"))
    made.refresh()
    after = stub_times(made)
    assert {name for name in times if times[name] == after[name]} == set(times)
    assert len(after) == len(times) + 1


def test_a_workflow_stays_in_its_stub_whatever_others_there_are() -> None:
    texts = {f"w{index}": "" for index in range(200)}
    together = stubs.group_stubs(texts, "")
    for name in texts:
        (file,) = stubs.group_stubs({name: ""}, "")
        assert repr(name) in together[file]


def test_a_change_of_the_workflow_is_seen_though_the_stub_is_the_same(bundle: Bundle, source: Path) -> None:
    """Airflow parses a stub again when its time changes, so that has to change with the workflow."""
    made = bundle()
    before = stub_times(made)
    file = parse(made).dags["second"].relative_fileloc
    (source / "second.yaml").write_text(workflow(2, "second") + "description: new\n")
    made.refresh()
    after = stub_times(made)
    assert {name for name in before if before[name] != after[name]} == {file}
    assert parse(made).dags["second"].description == "new"


def test_a_change_of_the_catalogue_is_seen_by_all(bundle: Bundle, source: Path) -> None:
    made = bundle()
    before = stub_times(made)
    values = source.parent / "values.yaml"
    values.write_text(values.read_text().replace('tag: "0.1.0"', 'tag: "0.2.0"'))
    made.refresh()
    assert all(before[name] != time for name, time in stub_times(made).items())
    pod = parse(made).dags["second"].get_task("dicom-reader").pod_template_dict
    assert pod["spec"]["containers"][0]["image"] == "clara-stages:0.2.0"


def test_a_running_run_keeps_its_workflow(bundle: Bundle, source: Path) -> None:
    version = version_of(bundle())
    (source / "second.yaml").write_text(workflow(2, "second", "dicom-writer"))
    (source / "organ-seg.yaml").unlink()
    assert version_of(bundle()) != version
    old = parse(bundle(version))
    assert set(old.dags) == {"organ-seg", "second"}
    assert old.dags["second"].has_task("dicom-reader")


def test_a_workflow_that_is_taken_away_is_gone(bundle: Bundle, source: Path) -> None:
    made = bundle()
    (source / "second.yaml").unlink()
    made.refresh()
    assert set(parse(made).dags) == {"organ-seg"}


def test_a_version_that_is_lost_is_made_again_from_the_same_files(bundle: Bundle, source: Path) -> None:
    made = bundle()
    version = version_of(made)
    for path in sorted(made.versions_dir.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert set(parse(bundle(version)).dags) == {"organ-seg", "second"}
    with pytest.raises(FileNotFoundError, match="stale_bundle_cleanup_age_threshold"):
        bundle("0123456789abcdef")


def test_a_task_start_compiles_its_own_workflow_only(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stubs, "_GROUPS", 1)
    made = bundle()
    compiled: list[str] = []
    compile_workflow = stubs.compile_workflow
    monkeypatch.setattr(stubs, "compile_workflow", lambda item: compiled.append(item.name) or compile_workflow(item))
    monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_DAG_ID, "second")
    bag = parse(made)
    assert compiled == list(bag.dags) == ["second"]


def test_workflows_may_stand_in_the_catalogue_file(bundle: Bundle, source: Path) -> None:
    values = source.parent / "values.yaml"
    values.write_text(
        values.read_text() + "workflows:\n  00000000-0000-4000-8000-000000000009:\n    name: walk\n"
        "    stages: [dicom-reader]\n    waitLocks: ['']\n    ioFolders: [a/input, a/output]\n    args: ['']\n"
    )
    assert set(parse(bundle()).dags) == {"organ-seg", "second", "walk"}


def test_a_broken_catalogue_entry_leaves_the_others_alone(bundle: Bundle, source: Path) -> None:
    values = source.parent / "values.yaml"
    values.write_text(values.read_text() + "  bad:\n    stageName: bad\n")
    (source / "uses-bad.yaml").write_text(workflow(5, "uses-bad", "bad"))
    bag = parse(bundle())
    assert set(bag.dags) == {"organ-seg", "second"}
    assert len(bag.import_errors) == 2


def test_an_id_that_is_taken_breaks_the_newcomer(bundle: Bundle, source: Path) -> None:
    newcomer = source / "a-copy.yaml"
    newcomer.write_text(workflow(2, "copy"))
    later = time.time() + 10
    os.utime(newcomer, (later, later))
    bag = parse(bundle())
    assert set(bag.dags) == {"organ-seg", "second"}
    (error,) = bag.import_errors.values()
    assert (
        f"{newcomer}:1:1: ID '00000000-0000-4000-8000-000000000002' belongs to the workflow in {source}/second.yaml"
        in error
    )


def test_links_out_of_the_folder_are_refused_and_links_inside_are_not(
    bundle: Bundle, source: Path, tmp_path: Path
) -> None:
    """A ConfigMap is mounted as links to a hidden folder inside."""
    (tmp_path / "outside.yaml").write_text(workflow(6, "outside"))
    (source / "outside.yaml").symlink_to(tmp_path / "outside.yaml")
    (source / "..data").mkdir()
    (source / "..data" / "inside.yaml").write_text(workflow(7, "inside"))
    (source / "inside.yaml").symlink_to(Path("..data") / "inside.yaml")
    (source / "dangling.yaml").symlink_to(source / "nothing.yaml")
    bag = parse(bundle())
    assert set(bag.dags) == {"organ-seg", "second", "inside"}
    errors = "\n".join(bag.import_errors.values())
    assert "outside.yaml:1:1: leads out of the workflow folder" in errors
    assert "dangling.yaml:1:1: cannot be read" in errors
