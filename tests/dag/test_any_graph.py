"""Any graph that can be written down compiles to exactly its edges, or is refused for the right reason.

What is right is worked out here a second time, over a matrix of who comes before whom.
"""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clara_ops.dag.compile import compile_file
from clara_ops.workflow.catalogue import Catalogue
from clara_ops.workflow.entry import CatalogueEntry
from clara_ops.workflow.errors import WorkflowFileError

ID = "7b413e24-d018-4689-8c41-73272f6649d4"
MOST = 6
NAMES = [f"s{index}" for index in range(MOST)]
CATALOGUE = Catalogue(
    {
        name: CatalogueEntry.model_validate(
            {
                "image": {"repository": name},
                "stageName": name,
                "logName": f"/app/logs/{name}.log",
                "lockName": f"{name}.lock",
                "timeout": "60",
            }
        )
        for name in NAMES
    }
)
Before = list[list[bool]]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each example is written."""
    return tmp_path_factory.mktemp("graphs") / "w.yaml"


def compiled(file: Path, data: Mapping[str, Any]) -> DAG | list[str]:
    file.write_text(json.dumps(data))
    try:
        (dag,) = compile_file(file, CATALOGUE)
    except WorkflowFileError as error:
        return [problem.message for problem in error.problems]
    return dag


def before(edges: Sequence[set[int]]) -> Before:
    """Entry [i][j]: whether j has to be over before i starts (Warshall's algorithm)."""
    matrix = [[j in edges[i] for j in range(len(edges))] for i in range(len(edges))]
    for through in range(len(edges)):
        for i in range(len(edges)):
            for j in range(len(edges)):
                matrix[i][j] = matrix[i][j] or (matrix[i][through] and matrix[through][j])
    return matrix


def assert_exactly(dag: DAG, edges: Sequence[set[int]]) -> None:
    """The tasks of the stages have these edges; the others stand before the first and after the last ones."""
    awaited = set[int]().union(*edges)
    expected = {NAMES[i]: {NAMES[j] for j in waits} or {"prepare"} for i, waits in enumerate(edges)}
    last = {NAMES[i] for i in range(len(edges)) if i not in awaited}
    expected |= {"prepare": set(), "publish": last, "deliver": last}
    assert {task.task_id: task.upstream_task_ids for task in dag.tasks} == expected


LOCKS = st.integers(1, MOST).flatmap(
    lambda count: st.tuples(
        *(
            st.sampled_from([*(["" if index == 0 else f"{NAMES[index - 1]}.lock"] * 4), "", "input.lock", "zz.lock"])
            | st.sampled_from([f"{name}.lock" for name in NAMES])
            for index in range(count)
        )
    )
)


@given(locks=LOCKS)
@example(locks=("", "s0.lock", "s1.lock"))
@settings(max_examples=80, deadline=None)
def test_any_locks_of_the_form_of_2019(locks: tuple[str, ...], file: Path) -> None:
    count = len(locks)
    lines = {
        "name": "w",
        "stages": NAMES[:count],
        "waitLocks": list(locks),
        "ioFolders": [f"f{index}/output" for index in range(count + 1)],
        "args": [""] * count,
    }
    owner = {f"{name}.lock": index for index, name in enumerate(NAMES[:count])}
    edges: list[set[int]] = []
    reasons: set[str] = set()
    for index, lock in enumerate(locks):
        named = owner.get(lock)
        if lock in ("", "input.lock"):
            edges.append(set())
        elif named is None:
            reasons.add(f"no stage of this workflow has the lock '{lock}'")
        elif named >= index:
            reasons.add(f"lock '{lock}' belongs to stage '{NAMES[named]}', which does not come before '{NAMES[index]}'")
        else:
            edges.append({named})
    if not reasons:
        is_before = before(edges)
        for index in range(1, count):
            if not is_before[index][index - 1]:
                reasons.add(f"add the lock '{NAMES[index - 1]}.lock' to its waitLocks")
    outcome = compiled(file, {ID: lines})
    if reasons:
        assert isinstance(outcome, list), f"compiled, although {reasons}"
        assert all(any(reason in message for message in outcome) for reason in reasons), (reasons, outcome)
    else:
        assert isinstance(outcome, DAG), outcome
        assert_exactly(outcome, edges)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, Any], ...]:
    """Stages that wait for earlier ones and read what is there by then; in half of the graphs one that need not."""
    count = draw(st.integers(1, MOST))
    stages: list[dict[str, Any]] = []
    known: list[set[str]] = []
    for index in range(count):
        stage: dict[str, Any] = {"stage": NAMES[index]}
        waits = NAMES[index - 1 : index]
        if index and draw(st.booleans()):
            waits = stage["after"] = draw(st.lists(st.sampled_from(NAMES[:index]), unique=True, max_size=MOST))
        known.append(set(waits).union(*(known[NAMES.index(name)] for name in waits)))
        if draw(st.booleans()):
            folders = ["dicom/input", *(f"{name}/output" for name in sorted(known[index]))]
            stage["input"] = draw(st.lists(st.sampled_from(folders), min_size=1, unique=True))
        stages.append(stage)
    if draw(st.booleans()):
        stage = stages[draw(st.integers(0, count - 1))]
        if draw(st.booleans()):
            stage["after"] = draw(st.lists(st.sampled_from([*NAMES, "zz"]), max_size=3))
        else:
            stage["input"] = draw(
                st.lists(st.sampled_from([*(f"{name}/output" for name in NAMES), "zz/output"]), max_size=3)
            )
    return tuple(stages)


def expected_of(stages: Sequence[dict[str, Any]]) -> tuple[list[set[int]], list[list[str]], set[str]]:
    """Edges, folders that each stage reads, and why the graph is to be refused."""
    names = {stage["stage"]: index for index, stage in enumerate(stages)}
    waits = [stage.get("after", NAMES[index - 1 : index]) for index, stage in enumerate(stages)]
    reasons = {f"no stage is called '{name}'" for named in waits for name in named if name not in names}
    if reasons:
        return [], [], reasons
    edges = [{names[name] for name in named} for named in waits]
    is_before = before(edges)
    if any(is_before[index][index] for index in range(len(stages))):
        return edges, [], {"stages wait for each other"}
    reads = []
    for index, stage in enumerate(stages):
        default = [f"{name}/output" for name in dict.fromkeys(waits[index])] or ["dicom/input"]
        folders = list(dict.fromkeys(stage.get("input", default)))
        reads.append(folders)
        if not folders:
            reasons.add(f"stage '{NAMES[index]}' needs at least one input folder")
        for folder in folders:
            producer = names.get(folder.removesuffix("/output"))
            if folder == "dicom/input":
                continue
            if producer is None:
                reasons.add(f"stage '{NAMES[index]}' reads folder '{folder}', which no stage writes")
            elif producer == index:
                reasons.add(f"stage '{NAMES[index]}' reads folder '{folder}', which it writes itself")
            elif not is_before[index][producer]:
                reasons.add(f"which stage '{NAMES[producer]}' writes, but does not wait for it")
    return edges, reads, reasons


@given(stages=graphs())
@example(stages=({"stage": "s0", "after": ["s1"]}, {"stage": "s1", "after": ["s0"]}))
@settings(max_examples=150, deadline=None)
def test_any_graph_of_the_extended_form(stages: tuple[dict[str, Any], ...], file: Path) -> None:
    edges, reads, reasons = expected_of(stages)
    outcome = compiled(file, {"id": ID, "name": "w", "stages": list(stages)})
    if not reasons:
        assert isinstance(outcome, DAG), outcome
        assert_exactly(outcome, edges)
        for index, folders in enumerate(reads):
            assert inputs_of(outcome, NAMES[index]) == folders
        return
    assert isinstance(outcome, list), f"compiled, although {reasons}"
    assert all(any(reason in message for message in outcome) for reason in reasons), (reasons, outcome)
    if reasons == {"stages wait for each other"}:
        (message,) = outcome
        ring = [NAMES.index(name) for name in re.findall(r"s\d", message)]
        assert ring[0] == ring[-1]
        assert len(ring) == len(set(ring)) + 1
        assert all(following in edges[index] for index, following in itertools.pairwise(ring))


def inputs_of(dag: DAG, name: str) -> list[str]:
    """The folders of the payload that the pod of a stage mounts as input; several each below the producer's name."""
    task: Any = dag.get_task(name)
    (container,) = task.pod_template_dict["spec"]["containers"]
    mounts = {mount["mountPath"]: mount.get("subPath", "") for mount in container["volumeMounts"]}
    places = [place for place in mounts if place == "/app/input" or place.startswith("/app/input/")]
    folders = [mounts[place].partition("/")[2].partition("/")[2] for place in places]
    for place, folder in zip(places, folders, strict=True):
        assert place == "/app/input" or place == f"/app/input/{folder.split('/')[0]}"
    assert len(places) == 1 or "/app/input" not in places
    return folders
