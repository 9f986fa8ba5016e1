"""The DAG bundle: a folder of workflow files, as Airflow wants to see it.

Airflow parses Python files, and starts a process for each of them. So the bundle reads the workflow files itself and
writes a few stubs: workflows that are sound share some, and each file with an error has one of its own that raises it.
Everything is kept by version as well, so that a run goes on with the workflow and the pods that it began with.

How Airflow is told (`[section] key`, or variable `AIRFLOW__SECTION__KEY`):

    [dag_processor] dag_bundle_config_list = [{"name": "clara", "classpath": "clara_ops.dag.bundle.WorkflowBundle",
        "kwargs": {"source": "<folder>", "catalogues": ["<values.yaml>"], "refresh_interval": 1}}]
    [dag_processor] bundle_refresh_check_interval = 1     how often a new or changed file is looked for, in seconds
    [dag_processor] min_file_process_interval = 300       a stub changes with its workflows: no need to hurry
    [dag_processor] stale_dag_threshold = 10              a workflow that is taken away is gone soon, in seconds
    [scheduler] parsing_cleanup_interval = 10             the same
    [dag_processor] dag_bundle_storage_path = <folder>    kept over restarts, else runs lose their version
    [dag_processor] stale_bundle_cleanup_age_threshold    longer than the longest run, in seconds
    [core] min_serialized_dag_update_interval = 0         a change takes effect at once
    [core] max_templated_field_length = 32768             pods are seen, and compared, as a whole
    [core] executor = clara_ops.dag.executor.WarmLocalExecutor    on one machine: tasks start without importing
    [scheduler] scheduler_idle_sleep_time = 0.1           the gap between two tasks
    [workers] min_heartbeat_interval = 1                  else the end of a skipped task is seen 5 s late now and then

The first request to the API server's `/execution` costs seconds: one `GET /execution/health` at start takes them from
the first run. Pool `clara_gpu` has to exist, with a slot for each GPU, and pool `clara_shadow`, with a slot for each
shadow that may run at once; both with deferred tasks included. On a cluster the service account of tasks and triggerer
needs, in the pods' namespace: pods create, get, list, watch, patch, delete; pods/log get; events list, watch; with
`charts` also, for the DAG processor: configmaps list. Workflows in a git repository: see `clara_ops.dag.repository`.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.base import BaseDagBundle, BundleVersion

from clara_ops.dag.charts import Chart, InstalledCharts
from clara_ops.dag.files import Files, Folder, Place
from clara_ops.dag.reading import Reader
from clara_ops.dag.snapshot import Snapshot, take_snapshot


class WorkflowBundle(BaseDagBundle):
    """Workflow files of one folder, with the stages of some catalogue files.

    Args:
        source: folder with workflow files.
        catalogues: catalogue files; workflows that stand in them are taken as well.
        charts: whether workflow charts that are installed on the cluster are taken as well, see `clara_ops.dag.charts`.
        kwargs: those of BaseDagBundle: name, refresh_interval in seconds, version.
    """

    supports_versioning = True

    def __init__(self, *, source: str, catalogues: Sequence[str], charts: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._place: Place = Folder(Path(source), [Path(path) for path in catalogues])
        self._charts = InstalledCharts(self.base_dir / "charts.json") if charts else None
        self._reader = Reader()
        self._tracking = self.base_dir / "tracking"
        self._current: str | None = None
        self._read: tuple[str, ...] = ()
        self._seen: object = None

    @property
    def path(self) -> Path:
        """The files of the version that was asked for, or the newest ones."""
        return self.versions_dir / self.version if self.version else self._tracking

    def get_current_version(self) -> BundleVersion | None:
        """The version of the files at `path`."""
        version = self.version or self._current
        return BundleVersion(version) if version else None

    def initialize(self) -> None:
        """Make sure that the files are there; a version that is not kept any more is an error that names what to do."""
        if not self.version:
            self.refresh()
        elif not self.path.is_dir():
            self._restore(self.version)
        super().initialize()

    def refresh(self) -> None:
        """Read the workflow files again, where one of them has changed."""
        with self.lock():
            files, charts = self._place.now(), self._installed()
            if self._seen == (_state(files, self._read), charts):
                return
            snapshot = take_snapshot(files, charts, self._reader)
            _write_changes(self._tracking, snapshot)
            self._keep(snapshot)
            self._current, self._read = snapshot.version, snapshot.catalogues
            self._seen = _state(files, self._read), charts

    def _installed(self) -> tuple[Chart, ...]:
        return self._charts.now() if self._charts is not None else ()

    def _restore(self, version: str) -> None:
        with self.lock():
            snapshot = take_snapshot(self._place.at(version), self._installed(), self._reader)
            if snapshot.version != version:
                raise FileNotFoundError(
                    f"version {version} of bundle {self.name!r} is not kept in {self.versions_dir} and its files, or "
                    "the product, have changed since: clear the run with its latest version, and raise "
                    "[dag_processor] stale_bundle_cleanup_age_threshold"
                )
            self._keep(snapshot)

    def _keep(self, snapshot: Snapshot) -> None:
        """Keep a version for as long as runs may need it. What the newest files have as well is not written twice."""
        target = self.versions_dir / snapshot.version
        if target.is_dir():
            return
        growing = self.versions_dir / f".{snapshot.version}.{os.getpid()}"
        shutil.rmtree(growing, ignore_errors=True)
        _write_changes(growing, snapshot, self._tracking)
        growing.rename(target)


def _state(files: Files, catalogues: Sequence[str]) -> object:
    """What is another when a file has changed."""
    read = (Path(path) if files.root is None else files.root / path for path in catalogues)
    return files.commit, [(str(path), _state_of(path)) for path in (*files.workflows, *files.catalogues, *read)]


def _state_of(path: Path) -> object:
    """What changes with the content of a file; None where it cannot be reached."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns


def _write_changes(folder: Path, snapshot: Snapshot, twin: Path | None = None) -> None:
    """Bring a folder to the snapshot's files; what has not changed is not touched, and so not parsed again.

    Files are replaced and never written into, so that a file with the same content in `twin` can be shared.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in snapshot.files.items():
        path, content = folder / name, text.encode("utf-8")
        path.parent.mkdir(exist_ok=True)
        if _holds(path, content):
            continue
        growing = path.with_name(f".{path.name}")
        growing.unlink(missing_ok=True)
        if twin is not None and _holds(twin / name, content):
            growing.hardlink_to(twin / name)
        else:
            growing.write_bytes(content)
        growing.replace(path)
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) not in snapshot.files:
            path.unlink()


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
