"""From a workflow as it is written to one that has been checked: every rule that a schema cannot say."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import ParamSpec

from clara_ops.contract import environment
from clara_ops.contract.errors import NameRuleError
from clara_ops.contract.evaluator import RuleError, check_rule
from clara_ops.contract.names import check_dns_label, is_workflow_id
from clara_ops.workflow.acceptance import accepts_rule, unknown_to_accepts, unknown_to_when
from clara_ops.workflow.catalogue import Catalogue, unknown_stage
from clara_ops.workflow.entry import CatalogueEntry, Resources
from clara_ops.workflow.errors import Problem
from clara_ops.workflow.folders import INPUT, folder_problems
from clara_ops.workflow.model import StageSpec, WorkflowSpec
from clara_ops.workflow.options import OptionError, complete_args, split_args
from clara_ops.workflow.order import earlier, find_cycle, running_order
from clara_ops.workflow.parameters import declaration_problems, literal_variables, reference_problems
from clara_ops.workflow.schema import nearest
from clara_ops.workflow.shadow import apart, with_shadow
from clara_ops.workflow.workflow import Stage, StageInput, Workflow
from clara_ops.workflow.yaml_source import KeyPath, YamlSource

P = ParamSpec("P")

TASKS_OF_THE_PRODUCT = frozenset({"prepare", "publish", "review", "deliver", "shadow"})
_OWN_VARIABLES = frozenset(
    value for name, value in vars(environment).items() if name.isupper() and isinstance(value, str)
) - {environment.DEID_KEY}


def resolve(spec: WorkflowSpec, source: YamlSource, catalogue: Catalogue, problems: list[Problem]) -> Workflow | None:
    """Check a workflow and join it with the catalogue; what is wrong is added to `problems`, and the answer is None."""
    spec, source = with_shadow(spec, source, problems)
    workflow = _Resolver(spec, source, catalogue, problems).resolve()
    return workflow if workflow is None or spec.shadow is None else apart(workflow, spec.shadow)


def check_parts(spec: WorkflowSpec, source: YamlSource, catalogue: Catalogue, problems: list[Problem]) -> None:
    """Check what can be judged of a workflow that is not whole: its names, and each stage for itself."""
    _Resolver(spec, source, catalogue, problems).check_parts()


class _Resolver:
    """One workflow on its way. `_names[i]` is what stage i of the file is called."""

    def __init__(self, spec: WorkflowSpec, source: YamlSource, catalogue: Catalogue, problems: list[Problem]) -> None:
        self._spec = spec
        self._source = source
        self._catalogue = catalogue
        self._problems = problems
        self._timeout = spec.timeout or catalogue.workflow_timeout.default
        self._names = [stage.name or stage.stage for stage in spec.stages]
        self._outputs = [stage.output or f"{name}/output" for stage, name in zip(spec.stages, self._names, strict=True)]

    def resolve(self) -> Workflow | None:
        known = len(self._problems)
        self._check_names()
        self._check_parameters()
        self._check_timeout()
        self._check_folders()
        after = self._after()
        if len(self._problems) > known:
            self._check_stages_alone()
            return None
        cycle = find_cycle(after)
        if cycle is not None:
            message = f"stages wait for each other: {' -> '.join(cycle)}; take one of them out"
            self._report(("stages", self._names.index(cycle[0]), "after"), message)
            self._check_stages_alone()
            return None
        stages = [self._stage(index, after) for index in range(len(self._names))]
        if len(self._problems) > known:
            return None
        return self._workflow({stage.name: stage for stage in stages if stage is not None}, running_order(after))

    def check_parts(self) -> None:
        self._check_names()
        self._check_timeout()
        self._check_stages_alone()

    def _workflow(self, stages: dict[str, Stage], order: tuple[str, ...]) -> Workflow:
        locked = [
            replace(stages[name], wait_locks=tuple(stages[other].lock for other in stages[name].after))
            for name in order
        ]
        spec, begin = self._spec, self._source.problem((), "")
        return Workflow(
            id=spec.id,
            name=spec.name,
            description=spec.description,
            input=spec.input,
            stages=tuple(locked),
            accepts=accepts_rule(spec.accepts),
            parameters=spec.parameters,
            kind=spec.kind,
            review=spec.review,
            priority=spec.priority,
            timeout=self._timeout,
            destinations=spec.destinations,
            sample=spec.sample,
            file=self._source.file,
            line=begin.line,
            column=begin.column,
        )

    def _report(self, path: KeyPath, message: str, *, at_key: bool = False) -> None:
        self._problems.append(self._source.problem(path, message, at_key=at_key))

    def _try(self, path: KeyPath, check: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Whether a check of the contract passes; what it says is reported."""
        try:
            check(*args, **kwargs)
        except (NameRuleError, RuleError) as error:
            self._report(path, str(error))
            return False
        return True

    def _check_names(self) -> None:
        spec = self._spec
        if not is_workflow_id(spec.id):
            message = f"id {spec.id!r} has to be a UUID in lower case; make one: cat /proc/sys/kernel/random/uuid"
            self._report(("id",), message)
        self._try(("name",), check_dns_label, spec.name, "workflow name")
        if not spec.stages:
            self._report(("stages",), "stages: a workflow needs at least one stage")
        for index, (name, stage) in enumerate(zip(self._names, spec.stages, strict=True)):
            place = ("stages", index, "name" if stage.name else "stage")
            self._try(place, check_dns_label, name, "stage name")
            if name in TASKS_OF_THE_PRODUCT:
                self._report(
                    place, f"stage name {name!r} is the name of a task that every workflow has; choose another"
                )
            if self._names.index(name) < index:
                self._report(
                    place, f"two stages are called {name!r}; give this one a 'name' of its own (extended form)"
                )
        rule = spec.accepts.rule
        if rule is not None and self._try(("accepts", "rule"), check_rule, rule):
            for message in unknown_to_accepts(rule):
                self._report(("accepts", "rule"), f"rule: {message}")
        for index, destination in enumerate(spec.destinations):
            if not destination.strip():
                self._report(("destinations", index), "a destination needs a name")

    def _check_parameters(self) -> None:
        for name, parameter in self._spec.parameters.items():
            for key, message in declaration_problems(name, parameter):
                self._report(("parameters", name, key) if key else ("parameters", name), message, at_key=not key)

    def _check_timeout(self) -> None:
        refusal = self._catalogue.workflow_timeout.refusal(self._timeout)
        if refusal is not None:
            self._report(("timeout",), refusal)

    def _check_folders(self) -> None:
        places: list[tuple[KeyPath, str]] = [(INPUT, self._spec.input)]
        places += [(("stages", index, "output"), folder) for index, folder in enumerate(self._outputs)]
        for path, message in folder_problems(places):
            self._report(path, message)

    def _after(self) -> dict[str, tuple[str, ...]]:
        after: dict[str, tuple[str, ...]] = {}
        for index, (name, stage) in enumerate(zip(self._names, self._spec.stages, strict=True)):
            if stage.after is None:
                after[name] = (self._names[index - 1],) if index else ()
                continue
            wanted = (stage.after,) if isinstance(stage.after, str) else stage.after
            for position, other in enumerate(wanted):
                if other not in self._names:
                    message = f"after: no stage is called {other!r}{nearest(other, self._names)}"
                    self._report(("stages", index, "after", position), message)
            after[name] = tuple(dict.fromkeys(wanted))
        return after

    def _check_stages_alone(self) -> None:
        """What can be said of each stage although the graph is not sound, so that all errors come at once."""
        for index, stage in enumerate(self._spec.stages):
            self._check_variables(index, stage)
            entry = self._entry(index, stage)
            if entry is not None:
                self._args(index, stage, entry)
                self._resources(index, stage, entry)

    def _stage(self, index: int, after: dict[str, tuple[str, ...]]) -> Stage | None:
        stage, name = self._spec.stages[index], self._names[index]
        inputs = self._inputs(index, after)
        self._check_when(index, earlier(name, after))
        self._check_variables(index, stage)
        entry = self._entry(index, stage)
        if entry is None:
            return None
        renamed = name != stage.stage
        return Stage(
            name=name,
            entry=entry,
            after=after[name],
            inputs=inputs,
            output=self._outputs[index],
            args=self._args(index, stage, entry),
            env={**literal_variables(entry.env), **stage.env},
            resources=self._resources(index, stage, entry),
            placement=entry.placement.overlaid(stage.placement),
            timeout=min(entry.timeout, self._timeout),
            lock=f"{name}.lock" if renamed else entry.lock_name,
            log=f"{name}.log" if renamed else PurePosixPath(entry.log_name).name,
            when=stage.when,
        )

    def _check_variables(self, index: int, stage: StageSpec) -> None:
        for variable, value in sorted(stage.env.items()):
            if variable in _OWN_VARIABLES or variable.startswith(environment.PARAMETER_PREFIX):
                message = f"{variable} is set by the platform; choose another name"
                self._report(("stages", index, "env", variable), message, at_key=True)
            if isinstance(value, str):
                self._check_references(("stages", index, "env", variable), value)

    def _entry(self, index: int, stage: StageSpec) -> CatalogueEntry | None:
        entry = self._catalogue.get(stage.stage)
        if entry is None:
            self._report(("stages", index, "stage"), unknown_stage(stage.stage, self._catalogue))
        return entry

    def _check_references(self, path: KeyPath, text: str) -> None:
        for problem in reference_problems(text, self._spec.parameters):
            self._report(path, problem)

    def _args(self, index: int, stage: StageSpec, entry: CatalogueEntry) -> tuple[str, ...]:
        try:
            words = split_args(stage.args)
            lists = not isinstance(stage.args, str)
            known = len(self._problems)
            for position, word in enumerate(words):
                self._check_references(("stages", index, "args", *((position,) if lists else ())), word)
            return complete_args(words, entry.args, self._spec.parameters) if len(self._problems) == known else ()
        except OptionError as error:
            self._report(("stages", index, "args"), f"args of stage {self._names[index]!r}: {error}")
            return ()

    def _resources(self, index: int, stage: StageSpec, entry: CatalogueEntry) -> Resources:
        if entry.resources.gpu == 0 and stage.resources.uses_gpu:
            self._report(
                ("stages", index, "resources", "gpu"),
                f"the catalogue gives stage {stage.stage!r} no GPU (gpu: 0); leave 'gpu' out, or change the catalogue",
            )
        return entry.resources.model_copy(update=stage.resources.model_dump(exclude_none=True))

    def _inputs(self, index: int, after: dict[str, tuple[str, ...]]) -> tuple[StageInput, ...]:
        stage, name = self._spec.stages[index], self._names[index]
        producers: dict[str, str | None] = {
            self._spec.input: None,
            **dict(zip(self._outputs, self._names, strict=True)),
        }
        folders: tuple[str, ...]
        if stage.input is None:
            folders = tuple(self._outputs[self._names.index(other)] for other in after[name]) or (self._spec.input,)
        else:
            folders = (stage.input,) if isinstance(stage.input, str) else stage.input
        before = earlier(name, after)
        inputs = []
        for folder in dict.fromkeys(folders):
            if folder not in producers:
                self._report(
                    ("stages", index, "input"),
                    f"stage {name!r} reads folder {folder!r}, which no stage writes{nearest(folder, producers)}",
                )
                continue
            producer = producers[folder]
            if producer is not None and producer not in before:
                self._report(("stages", index, "input"), self._unsynchronised(name, folder, producer))
            inputs.append(StageInput(folder, producer))
        if not folders:
            self._report(("stages", index, "input"), f"stage {name!r} needs at least one input folder")
        return tuple(inputs)

    def _unsynchronised(self, name: str, folder: str, producer: str) -> str:
        if producer == name:
            return f"stage {name!r} reads folder {folder!r}, which it writes itself; read what an earlier stage wrote"
        entry = self._catalogue.get(producer)
        lock = entry.lock_name if entry is not None else f"{producer}.lock"
        return (
            f"stage {name!r} reads folder {folder!r}, which stage {producer!r} writes, but does not wait for it; "
            f"add the lock {lock!r} to its waitLocks (extended form: {producer!r} to its 'after')"
        )

    def _check_when(self, index: int, before: frozenset[str]) -> None:
        when = self._spec.stages[index].when
        if when is None:
            return
        path: KeyPath = ("stages", index, "when")
        if not self._try(path, check_rule, when, "when"):
            return
        for message in unknown_to_when(when, self._names[index], before):
            self._report(path, f"when: {message}")
