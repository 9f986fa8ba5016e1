"""An imported workflow as a file of ours: catalogue entries and workflow together, so that it can be dropped in."""

from typing import Any

import yaml

from clara_ops.workflow.importing.imported import Imported

_WIDTH = 120


def file_text(imported: Imported, workflow_id: str, origin: str) -> str:
    """The text of the file, with what has no counterpart in comments at its head.

    Args:
        workflow_id: UUID of the workflow.
        origin: name of the file that it comes from.
    """
    head = [f"Imported from {origin}."]
    if imported.notes:
        head.append("What has no counterpart here, or another one:")
        head += [f"  {note.line}:{note.column}: {note.message}" for note in imported.notes]
    data: dict[str, Any] = {"workflows": {workflow_id: imported.workflow}}
    if imported.stages:
        data = {"stages": dict(imported.stages), **data}
    text = yaml.safe_dump(data, sort_keys=False, width=_WIDTH, allow_unicode=True)
    return "".join(f"# {_one_line(line)}\n" for line in head) + text


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
