"""The shadow of a stage: a second model beside it and the comparison of the two, as two more stages of the workflow.

So they are checked as all others are. Nobody may wait for them, and they are kept apart from what is delivered.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from clara_ops.workflow.errors import Problem
from clara_ops.workflow.model import ShadowSpec, StageSpec, WorkflowSpec
from clara_ops.workflow.schema import nearest
from clara_ops.workflow.workflow import Shadow, Workflow
from clara_ops.workflow.yaml_source import KeyPath, Mark, YamlSource

COMPARISON = "compare-labels"
"""Catalogue entry that compares; it is told the two folders by `--main` and `--shadow`."""


def with_shadow(spec: WorkflowSpec, source: YamlSource, problems: list[Problem]) -> tuple[WorkflowSpec, YamlSource]:
    """The workflow with its shadow and the comparison as its last two stages, and where their parts stand."""
    shadow = spec.shadow
    if shadow is None:
        return spec, source
    names = [stage.name or stage.stage for stage in spec.stages]
    if shadow.of not in names:
        problems.append(
            source.problem(("shadow", "of"), f"shadow: no stage is called {shadow.of!r}{nearest(shadow.of, names)}")
        )
        return spec.model_copy(update={"shadow": None}), source
    problems.extend(_awaited(spec, shadow, source))
    stages = (*spec.stages, _beside(spec, shadow, names), _comparison(shadow))
    values, keys = (_places(places, len(names)) for places in (source.values, source.keys))
    return spec.model_copy(update={"stages": stages}), replace(source, values=values, keys=keys)


def apart(workflow: Workflow, shadow: ShadowSpec) -> Workflow:
    """The workflow with the two stages of its shadow in a place of their own."""
    names = _names(shadow)
    beside, comparison = (workflow.stage(name) for name in names)
    stages = tuple(stage for stage in workflow.stages if stage.name not in names)
    return replace(workflow, stages=stages, shadow=Shadow(shadow.of, beside, comparison))


def _names(shadow: ShadowSpec) -> tuple[str, str]:
    name = shadow.name or f"{shadow.of}-shadow"
    return name, f"{name}-comparison"


def _beside(spec: WorkflowSpec, shadow: ShadowSpec, names: list[str]) -> StageSpec:
    """The second model: it reads what the stage reads, under the same condition."""
    index = names.index(shadow.of)
    main = spec.stages[index]
    return StageSpec(
        stage=shadow.stage,
        name=_names(shadow)[0],
        after=tuple(names[max(index - 1, 0) : index]) if main.after is None else main.after,
        input=main.input,
        args=shadow.args,
        env=shadow.env,
        resources=shadow.resources,
        placement=shadow.placement,
        when=main.when,
    )


def _comparison(shadow: ShadowSpec) -> StageSpec:
    name, compared = _names(shadow)
    args = ("--main", shadow.of, "--shadow", name)
    return StageSpec(stage=COMPARISON, name=compared, after=(shadow.of, name), args=args)


def _awaited(spec: WorkflowSpec, shadow: ShadowSpec, source: YamlSource) -> Iterator[Problem]:
    for index, stage in enumerate(spec.stages):
        after = (stage.after,) if isinstance(stage.after, str) else stage.after or ()
        for name in sorted(set(after) & set(_names(shadow))):
            message = f"after: {name!r} belongs to a shadow, which changes nothing: no stage may wait for it"
            yield source.problem(("stages", index, "after"), message)


def _places(places: Mapping[KeyPath, Mark], count: int) -> dict[KeyPath, Mark]:
    """Where the parts of the two stages stand: below `shadow:`."""
    below = {path[1:]: mark for path, mark in places.items() if path[:1] == ("shadow",)}
    of_stage: dict[KeyPath, Mark] = {("stages", count, *path): mark for path, mark in below.items()}
    of_comparison: dict[KeyPath, Mark] = {("stages", count + 1): below[()]} if () in below else {}
    return {**places, **of_stage, **of_comparison}
