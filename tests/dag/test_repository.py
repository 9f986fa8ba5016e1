"""The bundle of a git repository: a push shows, a bad commit breaks one file only, and a run keeps its commit."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.dag_processing.bundles.base import BundleVersion
from airflow.dag_processing.dagbag import BundleDagBag
from git import GitCommandError

from clara_ops.dag import snapshot
from clara_ops.dag.repository import GitWorkflowBundle

from .conftest import OWN_CATALOGUE

pytestmark = pytest.mark.e2e


def workflow(number: int, name: str, stage: str = "dicom-reader") -> str:
    return f"id: 00000000-0000-4000-8000-{number:012}\nname: {name}\nstages: [{{stage: {stage}}}]\n"


class Remote:
    """A bare repository, and a clone of it that pushes."""

    def __init__(self, folder: Path) -> None:
        self.url = folder / "remote.git"
        self.clone = folder / "clone"
        subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=main", self.url], check=True)
        subprocess.run(["git", "clone", "-q", self.url, self.clone], check=True, capture_output=True)
        self.git("checkout", "-q", "-b", "main")
        shutil.copy(OWN_CATALOGUE, self.clone / "values.yaml")
        (self.clone / "workflows").mkdir()

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.clone, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def push(self, **files: str | None) -> str:
        """Write workflow files by name, or delete those that are None; tells the commit."""
        for name, text in files.items():
            path = self.clone / "workflows" / f"{name}.yaml"
            path.unlink() if text is None else path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "-q", "-m", "change")
        self.git("push", "-q", "origin", "main")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    """A repository with one commit: two workflows and their catalogue."""
    found = Remote(tmp_path)
    found.push(first=workflow(1, "first"), second=workflow(2, "second"))
    return found


Bundle = Callable[..., GitWorkflowBundle]


@pytest.fixture
def bundle(remote: Remote) -> Bundle:
    """A bundle of it; called again, it is another process's bundle of the same name."""
    name = f"git-{remote.url.parent.name}-{time.monotonic_ns()}"

    def make(version: str | None = None) -> GitWorkflowBundle:
        git = {"tracking_ref": "main", "repo_url": str(remote.url)}
        made = GitWorkflowBundle(name=name, version=version, source="workflows", catalogues=["values.yaml"], git=git)
        made.initialize()
        return made

    return make


def parse(bundle: GitWorkflowBundle) -> BundleDagBag:
    return BundleDagBag(dag_folder=str(bundle.path), bundle_path=bundle.path, bundle_name=bundle.name)


def version_of(bundle: GitWorkflowBundle) -> str:
    version = bundle.get_current_version()
    assert isinstance(version, BundleVersion)
    return version.version


def test_workflows_come_out_of_a_subfolder_and_the_version_is_the_commit(bundle: Bundle, remote: Remote) -> None:
    made = bundle()
    bag = parse(made)
    assert set(bag.dags) == {"first", "second"}
    assert bag.import_errors == {}
    assert version_of(made).startswith(f"{remote.git('rev-parse', 'HEAD')}-")
    assert Path(bag.dags["first"].fileloc).read_text() == workflow(1, "first")


def test_a_push_shows_at_the_next_refresh(bundle: Bundle, remote: Remote) -> None:
    made = bundle()
    before = version_of(made)
    commit = remote.push(second=None, third=workflow(3, "third"))
    made.refresh()
    assert set(parse(made).dags) == {"first", "third"}
    assert version_of(made) != before
    assert version_of(made).startswith(commit)


def test_a_bad_commit_breaks_one_file_only(bundle: Bundle, remote: Remote) -> None:
    made = bundle()
    remote.push(second=workflow(2, "second", "dicom-raeder"))
    made.refresh()
    bag = parse(made)
    assert set(bag.dags) == {"first"}
    (error,) = bag.import_errors.values()
    assert "workflows/second.yaml:3:18: stage 'dicom-raeder' is not in the catalogue (did you mean" in error
    remote.push(second=workflow(2, "second"))
    made.refresh()
    assert set(parse(made).dags) == {"first", "second"}
    assert parse(made).import_errors == {}


def test_a_change_of_the_catalogue_comes_with_the_same_push(bundle: Bundle, remote: Remote) -> None:
    made = bundle()
    values = remote.clone / "values.yaml"
    values.write_text(values.read_text().replace('tag: "0.1.0"', 'tag: "0.2.0"'))
    remote.push()
    made.refresh()
    pod = parse(made).dags["first"].get_task("dicom-reader").pod_template_dict
    assert pod["spec"]["containers"][0]["image"] == "clara-stages:0.2.0"


def test_a_running_run_keeps_its_commit_also_on_a_machine_that_has_not_seen_it(bundle: Bundle, remote: Remote) -> None:
    remote.push(broken=workflow(4, "broken", "nothing"))
    made = bundle()
    version = version_of(made)
    remote.push(first=None, second=workflow(2, "second", "dicom-writer"))
    made.refresh()
    assert set(parse(made).dags) == {"second"}
    for _ in range(2):
        old = parse(bundle(version))
        assert set(old.dags) == {"first", "second"}
        assert old.dags["second"].has_task("dicom-reader")
        assert len(old.import_errors) == 1
        shutil.rmtree(made.versions_dir / version)


def test_a_version_of_another_release_of_the_product_is_refused(
    bundle: Bundle, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bundle()
    version = version_of(made)
    shutil.rmtree(made.versions_dir / version)
    monkeypatch.setattr(snapshot, "__version__", "0.0.0")
    with pytest.raises(FileNotFoundError, match="the product, have changed"):
        bundle(version)


def test_an_id_that_is_taken_breaks_the_one_that_was_added_later(bundle: Bundle, remote: Remote) -> None:
    """A checkout gives all files one time, in any order: what counts is the history."""
    remote.push(a_copy=workflow(2, "copy"))
    bag = parse(bundle())
    assert set(bag.dags) == {"first", "second"}
    (error,) = bag.import_errors.values()
    assert "workflows/a_copy.yaml:1:1: ID '00000000-0000-4000-8000-000000000002' belongs to" in error


def test_a_commit_without_the_folder_says_so(bundle: Bundle, remote: Remote) -> None:
    made = bundle()
    remote.push(first=None, second=None)
    made.refresh()
    bag = parse(made)
    assert not bag.dags
    (error,) = bag.import_errors.values()
    assert "workflows:1:1: the workflow folder is not there" in error


def test_links_out_of_the_folder_are_refused(bundle: Bundle, remote: Remote) -> None:
    (remote.clone / "workflows" / "link.yaml").symlink_to("../values.yaml")
    (remote.clone / "workflows" / "system.yaml").symlink_to("/etc/hostname")
    remote.push()
    bag = parse(bundle())
    assert set(bag.dags) == {"first", "second"}
    assert len(bag.import_errors) == 2
    assert all("leads out of the workflow folder" in error for error in bag.import_errors.values())


def test_a_remote_that_does_not_answer_leaves_what_is_there(bundle: Bundle, remote: Remote) -> None:
    made = bundle()
    remote.url.rename(remote.url.with_name("gone.git"))
    with pytest.raises(GitCommandError, match=r"not appear|does not exist"):
        made.refresh()
    assert set(parse(made).dags) == {"first", "second"}
