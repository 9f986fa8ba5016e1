"""Clinical workflows of MONAI Deploy's workflow manager.

A task that runs a container becomes a stage. Routers become edges with conditions, exports destinations: what the last
stages write is delivered. Conditions over what is a fact here become `accepts` and `when`.
"""

import re
from typing import Any

from clara_ops.contract.evaluator import attributes_of
from clara_ops.workflow.errors import Problem, WorkflowFileError
from clara_ops.workflow.importing.imported import Imported, Json, Notes, add_timeout, label, labels
from clara_ops.workflow.importing.monai_condition import ConditionError, Converted, Rule, joined, rule_of
from clara_ops.workflow.importing.monai_definition import ClinicalWorkflow, Task, clinical_workflow
from clara_ops.workflow.importing.monai_graph import Condition, Way, is_stage, places_outside, ways_to_tasks
from clara_ops.workflow.importing.monai_stage import stage_of_task
from clara_ops.workflow.parameters import literal
from clara_ops.workflow.resolve import TASKS_OF_THE_PRODUCT
from clara_ops.workflow.schema import build_model
from clara_ops.workflow.yaml_source import KeyPath, YamlSource

_PRODUCED = re.compile(r"\{\{\s*context\.executions\.([\w-]+)\.(?:artifacts\b.*|output_dir\s*)\}\}")
_RECEIVED = re.compile(r"\{\{\s*context\.input\b.*\}\}")
_WITHOUT_A_TRACE = frozenset({"router", "export"})
_REVIEW = re.compile("clinical.?review", re.IGNORECASE)


def import_clinical_workflow(source: YamlSource) -> Imported:
    """A clinical workflow as a workflow of ours.

    Raises:
        WorkflowFileError: it is not sound itself: a key is missing, a destination is not there, tasks run in a ring.
    """
    source = clinical_workflow(source)
    problems: list[Problem] = []
    workflow = build_model(ClinicalWorkflow, source, problems)
    if workflow is None:
        raise WorkflowFileError(problems)
    return _Converter(workflow, source).convert()


class _Converter:
    """One workflow on its way. `_labels` are the names of the stages, by task."""

    def __init__(self, workflow: ClinicalWorkflow, source: YamlSource) -> None:
        self._workflow = workflow
        self._notes = Notes(source)
        self._ways = ways_to_tasks(workflow, source)
        tasks = [task.id for task in workflow.tasks if is_stage(task) and self._ways[task.id]]
        if not tasks:
            raise WorkflowFileError([source.problem(("tasks",), "no task that is reached runs a container")])
        self._labels = dict(zip(tasks, labels(tasks, TASKS_OF_THE_PRODUCT), strict=True))
        self._accepts: list[Rule] = []
        self._is_reviewed = False

    def convert(self) -> Imported:
        workflow = self._workflow
        self._notes.unused((), dict.fromkeys(workflow.others), ())
        stages: list[Json] = []
        entries: dict[str, Json] = {}
        for index, task in enumerate(workflow.tasks):
            path: KeyPath = ("tasks", index)
            self._notes.unused(path, dict.fromkeys(task.others), ())
            if not self._ways[task.id]:
                self._notes.add((*path, "id"), f"task {task.id!r} is never reached from the first one; it is left out")
            elif is_stage(task):
                stage = self._labels[task.id]
                entries[stage], words = stage_of_task(stage, task, path, self._notes)
                stages.append(self._stage(stage, task, path, words))
            elif _REVIEW.search(task.type):
                self._review(task, path)
            elif task.type.lower() not in _WITHOUT_A_TRACE:
                self._notes.add(
                    (*path, "type"), f"task {task.id!r} of type {task.type!r} has no counterpart; what follows goes on"
                )
        _keep_what_is_known(stages, self._notes)
        made: Json = {"name": label(workflow.name, "imported")}
        if workflow.description:
            made["description"] = workflow.description
        if accepts := self._accepted():
            made["accepts"] = accepts
        if self._is_reviewed:
            made["review"] = {"onTimeout": "reject"}
        if destinations := self._destinations(stages):
            made["destinations"] = destinations
        self._tell_of_the_gateway()
        made["stages"] = stages
        add_timeout(made, entries, self._notes)
        return Imported(made, entries, self._notes.in_order())

    def _review(self, task: Task, path: KeyPath) -> None:
        self._is_reviewed = True
        words = "a person reviews at the end here, before delivery ('review:'); what follows does not wait for it"
        self._notes.add((*path, "type"), f"task {task.id!r}: {words}")

    def _stage(self, stage: str, task: Task, path: KeyPath, words: list[str]) -> Json:
        ways = self._ways[task.id]
        inputs = self._inputs(task, path)
        origins = [self._labels[way.origin] for way in ways if way.origin is not None]
        producers = [folder.split("/")[0] for folder in inputs if folder != "dicom/input"]
        after = [name for name in dict.fromkeys([*origins, *producers]) if name != stage]
        made: Json = {"stage": stage, "after": after}
        if inputs and inputs != ([f"{name}/output" for name in after] or ["dicom/input"]):
            made["input"] = inputs
        if words:
            made["args"] = [literal(word) for word in words]
        rule = self._rule_of_ways(ways)
        if rule is None:
            return made
        alone = sum(way.origin is None for other in self._labels for way in self._ways[other]) == 1
        if alone and ways[0].origin is None and not any("." in name for name in attributes_of(rule)):
            self._accepts.append(rule)
        else:
            made["when"] = rule
        return made

    def _inputs(self, task: Task, path: KeyPath) -> list[str]:
        folders: list[str] = []
        for index, artifact in enumerate(task.artifacts.input):
            produced = _PRODUCED.fullmatch(artifact.value.strip())
            if produced is not None and produced[1] in self._labels:
                folders.append(f"{self._labels[produced[1]]}/output")
            elif _RECEIVED.fullmatch(artifact.value.strip()):
                folders.append("dicom/input")
            else:
                place = (*path, "artifacts", "input", index)
                self._notes.add(place, f"input {artifact.name!r} from {artifact.value!r} is written by no stage here")
        folders = list(dict.fromkeys(folders))
        if len(folders) > 1:
            places = ", ".join(f"input/{folder.split('/')[0]}" for folder in folders)
            self._notes.add((*path, "artifacts", "input"), f"several inputs: here they are the folders {places}")
        return folders

    def _rule_of_ways(self, ways: tuple[Way, ...]) -> Rule | None:
        """The rule under which one of the ways is taken; None where one is always taken."""
        rules = [self._rule_of(way.conditions) for way in ways]
        kept = [rule for rule in rules if rule is not None]
        if len(kept) == len(rules):
            return joined("any", kept)
        for way, rule in zip(ways, rules, strict=True):
            if rule is not None:
                self._leave_out(way.conditions[0], "another way to the same task has no condition")
        return None

    def _leave_out(self, condition: Condition, reason: str) -> None:
        self._notes.add(
            condition.path, f"of condition {condition.text!r} a part is LEFT OUT, so more runs here: {reason}"
        )

    def _rule_of(self, conditions: tuple[Condition, ...]) -> Rule | None:
        rules: list[Rule] = []
        for condition in conditions:
            try:
                converted = rule_of(condition.text, self._labels)
            except ConditionError as error:
                converted = Converted(None, (str(error),))
            for reason in converted.lost:
                self._leave_out(condition, reason)
            if converted.rule is not None:
                rules.append(converted.rule)
        return joined("all", rules) if rules else None

    def _accepted(self) -> Json:
        predicate = tuple(Condition(text, ("predicate", index)) for index, text in enumerate(self._workflow.predicate))
        rule = self._rule_of(predicate)
        rules = [*self._accepts, *([rule] if rule is not None else [])]
        if not rules:
            return {}
        if len(rules) == 1 and (rules[0].get("attribute"), rules[0].get("op")) == ("modality", "eq"):
            return {"modality": rules[0]["value"]}
        return {"rule": joined("all", rules)}

    def _destinations(self, stages: list[Json]) -> list[str]:
        """All places that are exported to; what is exported from the midst, or under conditions, is told."""
        awaited = {name for stage in stages for name in stage["after"]}
        outside, found = set(places_outside(self._workflow)), []
        for index, task in enumerate(self._workflow.tasks):
            path: KeyPath = ("tasks", index)
            names = [place.name for place in task.export_destinations]
            names += [place.name for place in task.task_destinations if place.name in outside]
            if not names or not self._ways[task.id]:
                continue
            found += names
            conditions = [text for place in task.export_destinations for text in place.conditions]
            if not is_stage(task):
                conditions += [condition.text for way in self._ways[task.id] for condition in way.conditions]
            if conditions:
                words = f"export {task.id!r} is sent WITHOUT its conditions {conditions}"
                self._notes.add(path, f"{words}: delivery has none here; give a stage before it a 'when'")
            self._tell_of_what_is_not_last(task, path, awaited)
        if not found:
            self._notes.add(
                ("tasks",),
                "nothing is exported: here the last stages' output is delivered where the AE title's mapping says",
            )
        return list(dict.fromkeys(found))

    def _tell_of_what_is_not_last(self, task: Task, path: KeyPath, awaited: set[str]) -> None:
        sources = {match[1] for item in task.artifacts.input if (match := _PRODUCED.fullmatch(item.value.strip()))}
        if is_stage(task):
            sources = {task.id}
        for name in sorted(sources & set(self._labels)):
            if self._labels[name] in awaited:
                self._notes.add(
                    path,
                    f"export {task.id!r}: others wait for stage {self._labels[name]!r}, so it is not delivered here",
                )

    def _tell_of_the_gateway(self) -> None:
        gateway = self._workflow.informatics_gateway
        if gateway.ae_title:
            self._notes.add(
                ("informatics_gateway", "ae_title"),
                f"AE title {gateway.ae_title!r}: map it under 'workflows:' of dicom-server-config.yaml",
            )
        if gateway.data_origins:
            self._notes.add(
                ("informatics_gateway", "data_origins"), "list the senders under 'sources:' of dicom-server-config.yaml"
            )


def _keep_what_is_known(stages: list[Json], notes: Notes) -> None:
    """Take out `when` that asks for what a stage finds that is not over by then."""
    after: dict[str, list[str]] = {stage["stage"]: stage["after"] for stage in stages}
    for stage in stages:
        known, waiting = set[str](), list(stage["after"])
        while waiting:
            name = waiting.pop()
            if name not in known:
                known.add(name)
                waiting += after.get(name, [])
        rule: Any = stage.get("when")
        unknown = sorted({name for name in attributes_of(rule) if "." in name} if rule else set())
        unknown = [name for name in unknown if name.partition(".")[0] not in known]
        if unknown:
            del stage["when"]
            words = f"stage {stage['stage']!r}: its condition is LEFT OUT, so more runs here"
            notes.add(("tasks",), f"{words}: {', '.join(unknown)} is not known by then")
