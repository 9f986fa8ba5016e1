"""The DAG bundle of a git repository, on top of the git provider's: a version is a commit and what was made of it.

{"name": "clara", "classpath": "clara_ops.dag.repository.GitWorkflowBundle", "kwargs": {
    "source": "workflows", "catalogues": ["values.yaml"], "refresh_interval": 10,
    "git": {"tracking_ref": "main", "git_conn_id": "clara_git"}}}
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from airflow.providers.git.bundles.git import GitDagBundle
from git import Repo

from clara_ops.dag.bundle import WorkflowBundle
from clara_ops.dag.files import Files, workflow_files


class GitWorkflowBundle(WorkflowBundle):
    """Workflow files of a subfolder of a git repository.

    Args:
        source: subfolder with workflow files.
        catalogues: catalogue files, relative to the repository.
        git: arguments of the provider's `GitDagBundle`: tracking_ref, and repo_url or git_conn_id.
        kwargs: those of WorkflowBundle.
    """

    def __init__(self, *, source: str, catalogues: Sequence[str], git: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(source=source, catalogues=catalogues, **kwargs)
        self._place = Repository(self.name, source, catalogues, git)


class Repository:
    """Workflow files of a git repository; `folder` and `catalogues` are paths in it.

    Args:
        name: of the bundle.
        folder: with the workflow files.
        catalogues: catalogue files.
        options: those of the provider's `GitDagBundle`: tracking_ref, repo_url, git_conn_id, ...
    """

    def __init__(self, name: str, folder: str, catalogues: Sequence[str], options: Mapping[str, Any]) -> None:
        self._name = f"{name}-git"
        self._folder = folder
        self._catalogues = tuple(catalogues)
        self._options = options
        self._tracking: GitDagBundle | None = None

    def now(self) -> Files:
        """The newest commit, fetched."""
        if self._tracking is None:
            tracking = GitDagBundle(name=self._name, **self._options)
            tracking.initialize()
            self._tracking = tracking
        else:
            self._tracking.refresh()
        return self._files(self._tracking)

    def at(self, version: str) -> Files:
        """The commit that a version of the bundle begins with."""
        commit = version.partition("-")[0]
        bundle = GitDagBundle(name=self._name, version=commit, **self._options)
        shutil.rmtree(bundle.versions_dir, ignore_errors=True)  # what was restored before has been read
        bundle.initialize()
        return self._files(bundle)

    def _files(self, bundle: GitDagBundle) -> Files:
        root, commit = Path(bundle.path), bundle.get_current_version().version
        found = workflow_files(root / self._folder)
        with Repo(bundle.bare_repo_path) as repository:
            added = _additions(repository, commit, self._folder)
        oldest = sorted(found, key=lambda path: (added.get(path.name, len(added)), path.name))
        catalogues = tuple(root / path for path in self._catalogues)
        return Files(root / self._folder, tuple(oldest), catalogues, root=root, commit=commit)


def _additions(repository: Repo, commit: str, folder: str) -> dict[str, int]:
    """In what order the files of a folder came, by name; the times of a checkout say nothing about that."""
    log = repository.git.log(
        "--reverse", "--diff-filter=A", "--no-renames", "--name-only", "--format=", "-z", commit, "--", folder or "."
    )
    names = [PurePosixPath(path.strip("\n")).name for path in log.split("\0")]
    return {name: index for index, name in enumerate(names)}
