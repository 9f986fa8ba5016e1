"""The Python files that Airflow finds in the bundle: each is a few lines that call back here."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from airflow.sdk import DAG, get_parsing_context

from clara_ops.dag.compile import compile_workflow
from clara_ops.dag.layout import CATALOGUE_FILE, own_catalogue_file, workflow_file
from clara_ops.workflow.catalogue import Catalogue, WorkflowTimeout
from clara_ops.workflow.entry import CatalogueEntry
from clara_ops.workflow.errors import Problem
from clara_ops.workflow.loading import workflows_of
from clara_ops.workflow.workflow import Workflow
from clara_ops.workflow.yaml_source import parse_yaml

_GROUPS = 32
_NOT_IN_A_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_STEM = 60

_GROUP_STUB = """\
# Airflow DAGs out of workflow files, written by the bundle: change the workflow files instead.
# State of the files: {digest}
from clara_ops.dag.stubs import load_stub

globals().update(load_stub(__file__, {names!r}))
"""
_BROKEN_STUB = """\
# Stands for the file {file!a}, which makes no Airflow DAG: written by the bundle.
from clara_ops.workflow.errors import Problem, WorkflowFileError

raise WorkflowFileError([
{problems}
])
"""


def load_stub(stub: str, names: Sequence[str]) -> dict[str, DAG]:
    """The DAGs of a stub, by workflow name; for a task that starts, only the one that it belongs to.

    Raises:
        WorkflowFileError: a workflow file has an error.
    """
    folder = Path(stub).parent
    wanted = get_parsing_context().dag_id
    catalogue = _catalogue((folder / CATALOGUE_FILE).read_text(encoding="utf-8"))
    sources: dict[tuple[str, str], Mapping[str, Workflow]] = {}
    dags = {}
    for name in names:
        if wanted in (None, name):
            text, own = _kept(folder, name)
            if (text, own) not in sources:  # a file with many workflows is read once
                whole = merged(catalogue, _catalogue(own)) if own else catalogue
                found = workflows_of(parse_yaml(text.encode("utf-8"), str(workflow_file(folder, name))), whole)
                sources[text, own] = {workflow.name: workflow for workflow in found}
            dags[name] = compile_workflow(sources[text, own][name])
    return dags


def group_stubs(texts: Mapping[str, str], catalogue: str) -> dict[str, str]:
    """Stubs for workflows, by file name.

    A workflow is always in the same stub, whatever others there are: runs look for it there, in their own version. A
    stub changes with what its DAGs are made of, since Airflow parses it again only then.

    Args:
        texts: the text that each workflow is made of, by the workflow's name.
        catalogue: the text of the catalogue.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(texts):
        group = int.from_bytes(sha256(name.encode()).digest()[:2]) % _GROUPS
        groups.setdefault(f"workflows_{group:02}.py", []).append(name)
    return {
        file: _GROUP_STUB.format(names=names, digest=_digest(catalogue, *(texts[name] for name in names)))
        for file, names in groups.items()
    }


def broken_stub(file: str, problems: Iterable[Problem]) -> tuple[str, str]:
    """File name and text of the stub that tells Airflow what is wrong with a file."""
    lines = "\n".join(f"    {problem!a}," for problem in sorted(set(problems)))
    stem = _NOT_IN_A_FILE_NAME.sub("_", Path(file).stem)[:_LONGEST_STEM]
    return f"broken_{stem}_{_digest(file)}.py", _BROKEN_STUB.format(file=file, problems=lines)


def merged(catalogue: Catalogue, own: Catalogue) -> Catalogue:
    """The catalogue for the workflows of a chart: its own entries win, the limits are the platform's."""
    return replace(catalogue, entries={**catalogue.entries, **own.entries})


def catalogue_text(catalogue: Catalogue) -> str:
    """A catalogue as the bundle keeps it."""
    entries = {
        name: entry.model_dump(mode="json", by_alias=True, exclude_unset=True) for name, entry in catalogue.items()
    }
    timeout = catalogue.workflow_timeout.model_dump()
    return json.dumps({"stages": entries, "workflowTimeout": timeout}, indent=1, sort_keys=True)


def _catalogue(text: str) -> Catalogue:
    kept = json.loads(text)
    entries = {name: CatalogueEntry.model_validate(entry) for name, entry in kept["stages"].items()}
    return Catalogue(entries, WorkflowTimeout.model_validate(kept["workflowTimeout"]))


def _kept(folder: Path, name: str) -> tuple[str, str]:
    """The text of a workflow's file, and of the catalogue that holds for it only."""
    own = own_catalogue_file(folder, name)
    text = workflow_file(folder, name).read_text(encoding="utf-8")
    return text, own.read_text(encoding="utf-8") if own.is_file() else ""


def _digest(*texts: str) -> str:
    return sha256("\0".join(texts).encode()).hexdigest()[:16]
