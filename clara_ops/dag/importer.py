"""Airflow 3.4's own way to workflow files: an importer, instead of the stubs that `clara_ops.dag.bundle` writes.

    [dag_processor] dag_importer_configs = [{"classpath": "clara_ops.dag.importer.WorkflowImporter",
        "kwargs": {"catalogues": ["values.yaml"], "folder": "workflows"}}]

It works on any bundle: Airflow's own of a local folder, the git provider's. The API is experimental in 3.4.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from airflow.dag_processing.bundles.base import BaseDagBundle
from airflow.sdk.importers.base import (
    AbstractDagImporter,
    DagDefinition,
    DagImportError,
    DagImportResult,
    DagSourceCode,
    FileDagDefinition,
    find_file_dag_definitions,
    get_file_suffix,
)

from clara_ops.dag.compile import compile_workflow
from clara_ops.dag.files import Files, Folder
from clara_ops.dag.reading import Reader
from clara_ops.workflow.catalogue import Catalogue, catalogue_files, read_catalogue
from clara_ops.workflow.errors import Problem, WorkflowFileError
from clara_ops.workflow.loading import duplicates, load_workflows
from clara_ops.workflow.yaml_source import file_name


class WorkflowImporter(AbstractDagImporter):  # type: ignore[misc]  # not there in the Airflow that types are checked with
    """Imports the workflow files below one folder of a bundle.

    Args:
        catalogues: catalogue files, absolute or relative to the bundle.
        folder: with the workflow files, relative to the bundle.
    """

    supported_extensions = (".yaml", ".yml")

    def __init__(self, catalogues: Sequence[str], folder: str = ".") -> None:
        self._catalogues = tuple(catalogues)
        self._folder = folder
        self._reader = Reader()
        self._taken: dict[str, list[Problem]] = {}

    def can_handle(self, definition: DagDefinition | str | Path) -> bool:
        """Whether it is a YAML file."""
        return get_file_suffix(definition) in self.supported_extensions

    def list_dag_definitions(
        self,
        bundle: BaseDagBundle,
        *,
        safe_mode: bool = True,  # noqa: ARG002 - Airflow's signature
    ) -> Iterator[FileDagDefinition | DagImportError]:
        """The workflow files; `bundle` may be one file only, when a process parses that one."""
        root = bundle.path / self._folder if bundle.path.is_dir() else bundle.path
        if root.is_dir():
            # the processes that parse are forked from the one that lists, and so they know what is taken
            self._taken = self._duplicates(Folder(root, ()).now(), self._catalogue(bundle))
        if root.exists():
            found = find_file_dag_definitions(root, self.supported_extensions)
            yield from (item for item in found if item.path == root or item.path.parent == root)

    def import_definition(self, definition: FileDagDefinition, bundle: BaseDagBundle) -> DagImportResult:
        """The DAGs of a file, or one error with everything that is wrong with it."""
        result = DagImportResult(definition=definition)
        name = file_name(Path(repr(definition)))
        with definition.as_file() as path:
            try:
                self._check_place(path, name, bundle)
                workflows = load_workflows(path, self._catalogue(bundle), name)
                result.dags.extend(compile_workflow(workflow) for workflow in workflows)
            except WorkflowFileError as error:
                first = error.problems[0]
                place = {"line_number": first.line, "column_number": first.column}
                result.errors.append(DagImportError(repr(definition), str(error), error_type="workflow", **place))
        return result

    def get_source_code(
        self,
        definition: DagDefinition,
        dag_id: str | None = None,  # noqa: ARG002 - Airflow's signature
    ) -> DagSourceCode:
        """The file, for the Code tab."""
        return DagSourceCode(source_code=definition.read_text(), language="yaml")

    def _catalogue(self, bundle: BaseDagBundle) -> Catalogue:
        """What can be used of the catalogue files; an error in one is told where a workflow needs the entry."""
        problems: list[Problem] = []
        return read_catalogue(catalogue_files([bundle.path / name for name in self._catalogues], problems), problems)

    def _duplicates(self, files: Files, catalogue: Catalogue) -> dict[str, list[Problem]]:
        found: dict[str, list[Problem]] = {}
        readings = self._reader.read(files, catalogue)
        for problem in duplicates(workflow for reading in readings for workflow in reading.workflows):
            found.setdefault(problem.file, []).append(problem)
        return found

    def _check_place(self, path: Path, name: str, bundle: BaseDagBundle) -> None:
        if not path.resolve().is_relative_to(bundle.path.resolve()):
            raise WorkflowFileError([Problem(name, 1, 1, "leads out of the workflow folder; copy the file instead")])
        if name in self._taken:
            raise WorkflowFileError(self._taken[name])
