"""The folders of a payload that a workflow names: each is written once, inside the payload, and beside the others."""

from collections import Counter
from collections.abc import Iterator, Sequence

from clara_ops.contract.errors import NameRuleError
from clara_ops.contract.names import check_folder
from clara_ops.contract.payload import LOCKS, LOGS, PUBLISH, RECEIVED
from clara_ops.workflow.yaml_source import KeyPath

INPUT: KeyPath = ("input",)
_OWN_FOLDERS = frozenset({RECEIVED, LOCKS, LOGS, PUBLISH})


def folder_problems(places: Sequence[tuple[KeyPath, str]]) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong with a workflow's folders, each with its place.

    Args:
        places: place and name of every folder, the input's at `INPUT`.
    """
    counts = Counter(folder for _, folder in places)
    for path, folder in places:
        try:
            check_folder(folder)
        except NameRuleError as error:
            yield path, str(error)
        if folder.split("/")[0] in _OWN_FOLDERS:
            yield path, f"folder {folder!r} lies in a folder that the payload keeps for itself; choose another"
        if counts[folder] > 1 and path != INPUT:
            yield path, f"folder {folder!r} is written twice, or is the input; give each stage a folder of its own"
        inside = next((other for _, other in places if other != folder and folder.startswith(f"{other}/")), None)
        if inside is not None:
            yield path, f"folder {folder!r} lies inside folder {inside!r}; choose folders beside each other"
