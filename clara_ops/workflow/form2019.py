"""The form of 2019: five keys under the workflow's ID. It is turned into the extended form, every part with its place.

    7b413e24-d018-4689-8c41-73272f6649d4:
      name: "user-workflow"
      stages: ["dicom-reader", "user-ai", "dicom-writer"]
      waitLocks: ["", "dicom-reader.lock", "user-ai.lock"]
      ioFolders: ["dicom-reader/input", "dicom-reader/output", "user-ai/output", "dicom-writer/output"]
      args: ["", "", ""]

Stage i waits for the lock waitLocks[i], reads ioFolders[i] and writes ioFolders[i+1].
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StrictStr

from clara_ops.contract.payload import INPUT_LOCK
from clara_ops.workflow.catalogue import Catalogue, unknown_stage
from clara_ops.workflow.errors import Problem
from clara_ops.workflow.model import MAX_STAGES
from clara_ops.workflow.schema import FileModel, build_model, nearest, salvage
from clara_ops.workflow.yaml_source import KeyPath, Mark, YamlSource

KEYS = frozenset({"waitLocks", "ioFolders"})


class Lines2019(FileModel):
    """The five lines below a workflow's ID.

    Attributes:
        name: Airflow's dag id: lower case letters, digits and `-`, at most 63.
        stages: names of catalogue entries, in running order.
        wait_locks: for each stage the lock of the earlier stage that it waits for; empty, or `input.lock`, for none.
        io_folders: folders of the payload, one more than stages: a stage reads its own and writes the next.
        args: for each stage its options, as one shell line.
    """

    name: StrictStr
    stages: Annotated[tuple[StrictStr, ...], Field(max_length=MAX_STAGES)]
    wait_locks: tuple[StrictStr, ...]
    io_folders: tuple[StrictStr, ...]
    args: tuple[StrictStr, ...]


def is_form_2019(data: object) -> bool:
    """Whether a workflow is written in the form of 2019: by its keys, or by stages that are names only."""
    if not isinstance(data, Mapping):
        return False
    stages = data.get("stages")
    return bool(KEYS & set(data)) or (isinstance(stages, list) and any(isinstance(stage, str) for stage in stages))


def to_extended(
    workflow_id: str, source: YamlSource, catalogue: Catalogue, problems: list[Problem]
) -> YamlSource | None:
    """The same workflow in the extended form; what is wrong is added to `problems`, None for lines of no use."""
    lines = build_model(Lines2019, source, problems) or salvage(Lines2019, source)
    if lines is None:
        return None
    if not _lengths_fit(lines, source, problems):
        problems.extend(
            source.problem(("stages", index), unknown_stage(stage, catalogue))
            for index, stage in enumerate(lines.stages)
            if stage not in catalogue
        )
        return None
    after = [_awaited(lines, index, catalogue, source, problems) for index in range(len(lines.stages))]
    stages = [
        {
            "stage": stage,
            "after": after[index],
            "input": lines.io_folders[index],
            "output": lines.io_folders[index + 1],
            "args": lines.args[index],
        }
        for index, stage in enumerate(lines.stages)
    ]
    data = {"id": workflow_id, "name": lines.name, "input": lines.io_folders[0], "stages": stages}
    return YamlSource(source.file, data, _places(source, len(stages)), {}, source.text)


def _lengths_fit(lines: Lines2019, source: YamlSource, problems: list[Problem]) -> bool:
    count = len(lines.stages)
    wanted = {
        "waitLocks": (lines.wait_locks, count),
        "args": (lines.args, count),
        "ioFolders": (lines.io_folders, count + 1),
    }
    fits = True
    for key, (items, length) in wanted.items():
        if len(items) == length:
            continue
        fits = False
        rule = "one more than stages" if key == "ioFolders" else "as many as stages"
        problems.append(source.problem((key,), f"{key} has {len(items)} items; it needs {length}, {rule}"))
    return fits


def _awaited(
    lines: Lines2019, index: int, catalogue: Catalogue, source: YamlSource, problems: list[Problem]
) -> list[str]:
    """The stage whose lock stage `index` waits for, as a list of none or one."""
    lock = lines.wait_locks[index].strip()
    if not lock or lock == INPUT_LOCK:
        return []
    locks = {
        _lock_of(stage, catalogue): (position, stage) for position, stage in reversed(list(enumerate(lines.stages)))
    }
    found = locks.get(lock)
    if found is None:
        message = f"no stage of this workflow has the lock {lock!r}{nearest(lock, locks)}"
    elif found[0] >= index:
        message = (
            f"lock {lock!r} belongs to stage {found[1]!r}, which does not come before {lines.stages[index]!r}; "
            "list the stages in running order and wait for an earlier one"
        )
    else:
        return [found[1]]
    problems.append(source.problem(("waitLocks", index), message))
    return []


def _lock_of(stage: str, catalogue: Catalogue) -> str:
    entry = catalogue.get(stage)
    return entry.lock_name if entry is not None else f"{stage}.lock"


def _places(source: YamlSource, count: int) -> dict[KeyPath, Mark]:
    """Where the parts of the extended form stand in the five lines."""
    places: dict[KeyPath, KeyPath] = {
        (): (),
        ("name",): ("name",),
        ("input",): ("ioFolders", 0),
        ("stages",): ("stages",),
    }
    for index in range(count):
        places |= {
            ("stages", index): ("stages", index),
            ("stages", index, "stage"): ("stages", index),
            ("stages", index, "after"): ("waitLocks", index),
            ("stages", index, "input"): ("ioFolders", index),
            ("stages", index, "output"): ("ioFolders", index + 1),
            ("stages", index, "args"): ("args", index),
        }
    return {path: mark for path, origin in places.items() if (mark := source.value_mark(origin)) is not None}
