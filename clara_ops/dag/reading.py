"""What the workflow files say, read against the catalogue: file by file, so that one that is broken breaks no other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clara_ops.dag.charts import Chart
from clara_ops.dag.files import Files
from clara_ops.dag.stubs import catalogue_text, merged
from clara_ops.workflow.catalogue import Catalogue, read_catalogue
from clara_ops.workflow.errors import Problem, WorkflowFileError
from clara_ops.workflow.loading import workflows_of
from clara_ops.workflow.workflow import Workflow
from clara_ops.workflow.yaml_source import YamlSource, parse_yaml, read_content


@dataclass(frozen=True)
class Reading:
    """What one file says; `own` is a catalogue that holds for its workflows only, as the bundle keeps it."""

    file: str
    text: str = ""
    workflows: tuple[Workflow, ...] = ()
    problems: tuple[Problem, ...] = ()
    own: str = ""


class Reader:
    """Reads workflow files, and reads those again only that have changed, or whose catalogue has."""

    def __init__(self) -> None:
        self._catalogue = ""
        self._known: dict[tuple[str, bytes], Reading] = {}

    def read(self, files: Files, catalogue: Catalogue) -> list[Reading]:
        """What each workflow file says, in their order."""
        text = catalogue_text(catalogue)
        known = self._known if text == self._catalogue else {}
        self._known, self._catalogue = {}, text
        readings = []
        if not files.folder.is_dir():
            file = files.name(files.folder)
            readings.append(Reading(file, problems=(Problem(file, 1, 1, "the workflow folder is not there; make it"),)))
        home = files.folder.resolve()
        for path in files.workflows:
            file = files.name(path)
            if not _target(path).is_relative_to(home):
                problem = Problem(file, 1, 1, "leads out of the workflow folder; copy the file instead")
                readings.append(Reading(file, problems=(problem,)))
                continue
            try:
                content = read_content(path, file)
            except WorkflowFileError as error:
                readings.append(Reading(file, problems=error.problems))
                continue
            reading = known.get((file, content)) or _read(content, file, catalogue)
            self._known[file, content] = reading
            readings.append(reading)
        return readings


def read_source(source: YamlSource, catalogue: Catalogue, own: str = "") -> Reading:
    """What a file says that was read as YAML already."""
    try:
        return Reading(source.file, source.text, workflows_of(source, catalogue), own=own)
    except WorkflowFileError as error:
        return Reading(source.file, source.text, problems=error.problems)


def read_chart(chart: Chart, catalogue: Catalogue) -> list[Reading]:
    """What each file of a workflow chart says."""
    sources: list[YamlSource] = []
    readings: list[Reading] = []
    for key, text in chart.files.items():
        file = f"configmap/{chart.name}/{key}"
        try:
            sources.append(parse_yaml(text.encode("utf-8"), file))
        except WorkflowFileError as error:
            readings.append(Reading(file, problems=error.problems))
    problems: list[Problem] = []
    own = read_catalogue(sources, problems)
    broken = {problem.file for problem in problems}
    readings += [Reading(file, problems=tuple(item for item in problems if item.file == file)) for file in broken]
    kept = catalogue_text(own) if own else ""
    rest = [source for source in sources if source.file not in broken and not _is_catalogue_only(source)]
    return readings + [read_source(source, merged(catalogue, own), kept) for source in rest]


def _target(path: Path) -> Path:
    """Where a link leads; a ring of links leads to itself, and cannot be read."""
    try:
        return path.resolve()
    except RuntimeError:
        return path.absolute()


def with_workflows(catalogues: Sequence[YamlSource]) -> list[YamlSource]:
    """The catalogue files that hold workflows as well."""
    return [source for source in catalogues if isinstance(source.data, dict) and "workflows" in source.data]


def _is_catalogue_only(source: YamlSource) -> bool:
    data = source.data
    return isinstance(data, dict) and isinstance(data.get("stages"), dict) and "workflows" not in data


def _read(content: bytes, file: str, catalogue: Catalogue) -> Reading:
    try:
        source = parse_yaml(content, file)
    except WorkflowFileError as error:
        return Reading(file, problems=error.problems)
    return read_source(source, catalogue)
