"""All workflow and catalogue files at one moment, and the files of the bundle that follow from them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from clara_ops import __version__
from clara_ops.dag.layout import CATALOGUE_FILE, WORKFLOW_FOLDER
from clara_ops.dag.stubs import broken_stub, catalogue_text, group_stubs
from clara_ops.workflow.catalogue import catalogue_files, read_catalogue
from clara_ops.workflow.errors import Problem, WorkflowFileError
from clara_ops.workflow.loading import duplicates, workflows_of
from clara_ops.workflow.workflow import Workflow
from clara_ops.workflow.yaml_source import YamlSource, file_name, read_yaml

_SUFFIXES = frozenset({".yaml", ".yml"})
_VERSION_DIGITS = 16


@dataclass(frozen=True)
class Snapshot:
    """What the bundle holds: text by path. `version` stands for all of it; `catalogues` are the catalogue files."""

    version: str
    files: Mapping[str, str]
    catalogues: tuple[Path, ...]


def source_files(folder: Path) -> tuple[Path, ...]:
    """The workflow files of a folder, oldest first: where two claim the same ID, the newer one is in error."""
    found = [path for path in folder.iterdir() if path.suffix in _SUFFIXES and not path.name.startswith(".")]
    times = {path: time for path in found if (time := _time_of(path)) is not None}
    return tuple(sorted(times, key=lambda path: (times[path], path.name)))


def _time_of(path: Path) -> int | None:
    """When a file was changed, in ns; None where it has just been taken away."""
    try:
        return path.lstat().st_mtime_ns
    except FileNotFoundError:
        return None


def take_snapshot(folder: Path, catalogues: Sequence[Path]) -> Snapshot:
    """Read and check everything. What is wrong with a file breaks that file only, and is told by a stub of its own."""
    problems: list[Problem] = []
    sources = catalogue_files(catalogues, problems)
    catalogue = read_catalogue(sources, problems)
    written: list[tuple[Workflow, YamlSource]] = []
    for source in (*_with_workflows(sources), *_readable(folder, problems)):
        try:
            written.extend((workflow, source) for workflow in workflows_of(source, catalogue))
        except WorkflowFileError as error:
            problems.extend(error.problems)
    problems.extend(duplicates(workflow for workflow, _ in written))
    broken = {problem.file for problem in problems}
    good = {workflow.name: source.text for workflow, source in written if source.file not in broken}
    files = {f"{WORKFLOW_FOLDER}/{name}.yaml": text for name, text in good.items()}
    files[CATALOGUE_FILE] = catalogue_text(catalogue)
    files |= group_stubs(good, files[CATALOGUE_FILE])
    files |= dict(broken_stub(file, (item for item in problems if item.file == file)) for file in broken)
    return Snapshot(_version(files), files, tuple(Path(source.file) for source in sources))


def _with_workflows(catalogues: Iterable[YamlSource]) -> list[YamlSource]:
    return [source for source in catalogues if isinstance(source.data, dict) and "workflows" in source.data]


def _readable(folder: Path, problems: list[Problem]) -> list[YamlSource]:
    sources = []
    home = folder.resolve()
    for path in source_files(folder):
        if not _target(path).is_relative_to(home):
            problems.append(Problem(file_name(path), 1, 1, "leads out of the workflow folder; copy the file instead"))
            continue
        try:
            sources.append(read_yaml(path))
        except WorkflowFileError as error:
            problems.extend(error.problems)
    return sources


def _target(path: Path) -> Path:
    """Where a link leads; a ring of links leads to itself, and cannot be read."""
    try:
        return path.resolve()
    except RuntimeError:
        return path.absolute()


def _version(files: Mapping[str, str]) -> str:
    digest = sha256(__version__.encode())
    for name in sorted(files):
        digest.update(f"\0{name}\0{files[name]}".encode())
    return digest.hexdigest()[:_VERSION_DIGITS]
