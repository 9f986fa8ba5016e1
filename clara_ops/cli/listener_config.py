"""What a listener's configuration says of workflows, held against the workflows that there are.

Only its mapping is judged here; the rest of the file is `dicom-listener check-config`'s.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from clara_ops.contract.errors import NameRuleError
from clara_ops.contract.names import check_ae_title, is_workflow_id
from clara_ops.workflow.errors import Problem
from clara_ops.workflow.loading import Claim
from clara_ops.workflow.schema import nearest
from clara_ops.workflow.yaml_source import KeyPath, YamlSource

_AE_TITLES: KeyPath = ("dicom", "scp", "ae-titles")
_DESTINATIONS: KeyPath = ("dicom", "scu", "destinations")


@dataclass(frozen=True)
class Mapped:
    """Names that the configuration knows."""

    ae_titles: frozenset[str]
    destinations: frozenset[str]


def mapping_problems(config: YamlSource, claims: Sequence[Claim]) -> list[Problem]:
    """What is wrong with `workflows:` of the configuration.

    Args:
        claims: ID and name of every workflow that there is.
    """
    mapped = names_of(config)
    entries = _at(config, ("workflows",))
    if not isinstance(entries, list):
        message = "workflows: expected a list of entries with name, clara-ae-title and workflow"
        return [config.problem(("workflows",), message)]
    return [problem for index, entry in enumerate(entries) for problem in _entry(config, index, entry, mapped, claims)]


def names_of(config: YamlSource) -> Mapped:
    """The AE titles and destinations of the configuration."""
    titles = [item.get("ae-title") if isinstance(item, dict) else item for item in _list(config, _AE_TITLES)]
    destinations = [item.get("name") for item in _list(config, _DESTINATIONS) if isinstance(item, dict)]
    return Mapped(frozenset(map(_title, titles)), frozenset(map(str, destinations)))


def destination_problems(source: YamlSource, config: YamlSource, claims: Sequence[Claim]) -> list[Problem]:
    """What is wrong with `destinations:` of the workflows of a file.

    Args:
        claims: those of the workflows of that file.
    """
    known = names_of(config).destinations
    problems = []
    for claim in claims:
        for index, name in enumerate(_list(source, (*claim.path, "destinations"))):
            if str(name) not in known:
                message = f"destination {name!r} is not in {config.file}{nearest(str(name), known)}"
                problems.append(source.problem((*claim.path, "destinations", index), message))
    return problems


def _entry(config: YamlSource, index: int, entry: Any, mapped: Mapped, claims: Sequence[Claim]) -> Iterator[Problem]:
    path: KeyPath = ("workflows", index)
    if not isinstance(entry, dict):
        yield config.problem(path, "expected an entry with name, clara-ae-title and workflow")
        return
    for key in ("clara-ae-title", "workflow"):
        if key not in entry:
            yield config.problem(path, f"key {key!r} is missing; add it")
    title, destination, workflow = (entry.get(key) for key in ("clara-ae-title", "destination-name", "workflow"))
    if title is not None and _title(title) not in mapped.ae_titles:
        message = f"AE title {title!r} is not one of dicom.scp.ae-titles{nearest(str(title), mapped.ae_titles)}"
        yield config.problem((*path, "clara-ae-title"), message)
    if destination is not None and str(destination) not in mapped.destinations:
        known = nearest(str(destination), mapped.destinations)
        message = f"destination {destination!r} is not one of dicom.scu.destinations{known}"
        yield config.problem((*path, "destination-name"), message)
    if workflow is not None:
        yield from _workflow(config, (*path, "workflow"), str(workflow).strip(), claims)


def _workflow(config: YamlSource, path: KeyPath, wanted: str, claims: Sequence[Claim]) -> Iterator[Problem]:
    by_id = is_workflow_id(wanted.lower())
    found = [claim for claim in claims if (claim.id == wanted.lower() if by_id else claim.name == wanted)]
    if not found:
        known = nearest(wanted, {claim.id if by_id else claim.name for claim in claims})
        yield config.problem(path, f"no workflow has the {'ID' if by_id else 'name'} {wanted!r}{known}")
    if len(found) > 1:
        places = " and ".join(f"{claim.file}:{claim.line}" for claim in found)
        yield config.problem(path, f"more than one workflow is {wanted!r}: {places}; give each its own")


def _title(title: object) -> str:
    try:
        return check_ae_title(str(title))
    except NameRuleError:
        return str(title)


def _list(source: YamlSource, path: KeyPath) -> list[Any]:
    found = _at(source, path)
    return found if isinstance(found, list) else []


def _at(source: YamlSource, path: KeyPath) -> Any:
    data = source.data
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data
