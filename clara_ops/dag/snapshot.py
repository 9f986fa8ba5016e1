"""All workflow and catalogue files at one moment, and the files of the bundle that follow from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from clara_ops import __version__
from clara_ops.dag.charts import Chart
from clara_ops.dag.files import Files
from clara_ops.dag.layout import CATALOGUE_FILE, WORKFLOW_FOLDER
from clara_ops.dag.reading import Reader, read_chart, read_source, with_workflows
from clara_ops.dag.stubs import broken_stub, catalogue_text, group_stubs
from clara_ops.workflow.catalogue import catalogue_files, read_catalogue
from clara_ops.workflow.errors import Problem
from clara_ops.workflow.loading import duplicates

_VERSION_DIGITS = 16


@dataclass(frozen=True)
class Snapshot:
    """What the bundle holds: text by path. `version` stands for all of it, `catalogues` are those that were read."""

    version: str
    files: Mapping[str, str]
    catalogues: tuple[str, ...]


def take_snapshot(files: Files, charts: Sequence[Chart], reader: Reader) -> Snapshot:
    """Read and check everything. What is wrong with a file breaks that file only, and is told by a stub of its own.

    Where two claim the same ID or name, files of the folder come before those of charts.
    """
    problems: list[Problem] = []
    sources = catalogue_files(files.catalogues, problems, files.name)
    catalogue = read_catalogue(sources, problems)
    readings = [read_source(source, catalogue) for source in with_workflows(sources)]
    readings += reader.read(files, catalogue)
    readings += [reading for chart in charts for reading in read_chart(chart, catalogue)]
    problems.extend(problem for reading in readings for problem in reading.problems)
    problems.extend(duplicates(workflow for reading in readings for workflow in reading.workflows))
    broken = {problem.file for problem in problems}
    good = {item.name: reading for reading in readings if reading.file not in broken for item in reading.workflows}
    kept = {f"{WORKFLOW_FOLDER}/{name}.yaml": reading.text for name, reading in good.items()}
    kept |= {f"{WORKFLOW_FOLDER}/{name}.json": reading.own for name, reading in good.items() if reading.own}
    kept[CATALOGUE_FILE] = catalogue_text(catalogue)
    kept |= group_stubs({name: reading.text + reading.own for name, reading in good.items()}, kept[CATALOGUE_FILE])
    kept |= dict(broken_stub(file, (item for item in problems if item.file == file)) for file in broken)
    return Snapshot(_version(files.commit, kept), kept, tuple(source.file for source in sources))


def _version(commit: str, files: Mapping[str, str]) -> str:
    digest = sha256(__version__.encode())
    for name in sorted(files):
        digest.update(f"\0{name}\0{files[name]}".encode())
    content = digest.hexdigest()[:_VERSION_DIGITS]
    return f"{commit}-{content}" if commit else content
