"""Who comes after whom in a clinical workflow, seen past the tasks that are no stages: routers, exports, reviews."""

from collections.abc import Mapping
from dataclasses import dataclass

from clara_ops.workflow.errors import Problem, WorkflowFileError
from clara_ops.workflow.importing.monai_definition import ClinicalWorkflow, Task
from clara_ops.workflow.schema import nearest
from clara_ops.workflow.yaml_source import KeyPath, YamlSource

STAGE_TYPES = ("docker", "argo", "map")
_MOST_WAYS = 5000


@dataclass(frozen=True)
class Condition:
    """A condition, and where it stands."""

    text: str
    path: KeyPath


@dataclass(frozen=True)
class Way:
    """One way to a task: the task before it that is a stage, None for the start, and the conditions in between."""

    origin: str | None
    conditions: tuple[Condition, ...]


def is_stage(task: Task) -> bool:
    """Whether a task runs a container."""
    return task.type.lower() in STAGE_TYPES


def ways_to_tasks(workflow: ClinicalWorkflow, source: YamlSource) -> Mapping[str, tuple[Way, ...]]:
    """All ways to each task, by its id; none to a task that is never reached.

    Raises:
        WorkflowFileError: an id is used twice, a destination is neither a task nor a place to export to, tasks lead
            back to themselves past routers only, or there are too many ways.
    """
    indices = {task.id: index for index, task in enumerate(workflow.tasks)}
    _check(workflow, source, indices)
    ways: dict[str, list[Way]] = {task.id: [] for task in workflow.tasks}
    open_ways: list[tuple[str, Way, frozenset[str]]] = [(workflow.tasks[0].id, Way(None, ()), frozenset())]
    count = 0
    while open_ways:
        name, way, passed = open_ways.pop()
        count += 1
        task, place = workflow.tasks[indices[name]], ("tasks", indices[name])
        if count > _MOST_WAYS or name in passed:
            words = "leads back to itself" if name in passed else f"is reached in more than {_MOST_WAYS} ways"
            raise WorkflowFileError([source.problem((*place, "id"), f"task {name!r} {words}")])
        known = bool(ways[name])
        ways[name].append(way)
        if is_stage(task) and known:
            continue
        for number, destination in enumerate(task.task_destinations):
            if destination.name in indices:
                conditions = _conditions(destination.conditions, (*place, "task_destinations", number, "conditions"))
                following = (
                    (Way(name, conditions), frozenset[str]())
                    if is_stage(task)
                    else (Way(way.origin, (*way.conditions, *conditions)), passed | {name})
                )
                open_ways.append((destination.name, *following))
    return {name: tuple(dict.fromkeys(reversed(found))) for name, found in ways.items()}


def _conditions(texts: tuple[str, ...], path: KeyPath) -> tuple[Condition, ...]:
    return tuple(Condition(text, (*path, index)) for index, text in enumerate(texts) if text.strip())


def _check(workflow: ClinicalWorkflow, source: YamlSource, indices: Mapping[str, int]) -> None:
    problems: list[Problem] = []
    if not workflow.tasks:
        problems.append(source.problem(("tasks",), "tasks: a workflow needs at least one"))
    places = places_outside(workflow)
    for index, task in enumerate(workflow.tasks):
        if indices[task.id] != index:
            problems.append(source.problem(("tasks", index, "id"), f"a second task {task.id!r}; name each once"))
        for number, destination in enumerate(task.task_destinations):
            if destination.name not in indices and destination.name not in places:
                message = f"no task is called {destination.name!r}{nearest(destination.name, indices)}"
                problems.append(source.problem(("tasks", index, "task_destinations", number, "name"), message))
    if problems:
        raise WorkflowFileError(problems)


def places_outside(workflow: ClinicalWorkflow) -> list[str]:
    """The places that results may be exported to; an old form gives each as a mapping with a name."""
    given = workflow.informatics_gateway.export_destinations
    return [str(place.get("name", "") if isinstance(place, dict) else place) for place in given]
