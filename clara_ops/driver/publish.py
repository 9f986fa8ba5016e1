"""Publish files of a run for the render server."""

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

from clara_ops.contract.documents import read_document, write_document
from clara_ops.contract.errors import ClaraError
from clara_ops.contract.payload import PUBLICATION
from clara_ops.contract.publication import Publication
from clara_ops.driver.folders import StageFolders

logger = logging.getLogger(__name__)

Study = str | Path | Iterable[str | Path]


class PublishError(ClaraError):
    """What is to be published is not there, or two files of it have the same name."""


def publish(folders: StageFolders, study: Study, model: str | None = None) -> None:
    """Copy files to the publish folder and list them in its `publish.json` (contract.publication.Publication).

    Called again, it adds to what is published already. Without a publish folder, as by hand, it only logs so.

    Args:
        study: a file, a folder (all its files, at any depth), or several of them.
        model: name of the model that made them.

    Raises:
        PublishError: a file or folder is missing, or its name is taken by another.
    """
    files = _files(study)
    if folders.publish is None:
        logger.info("not published: no publish folder here, files=%d", len(files))
        return
    for name, path in files.items():
        _copy(path, folders.publish / name)
    document = folders.publish / PUBLICATION
    earlier = read_document(Publication, document) if document.exists() else Publication(files=())
    names = tuple(dict.fromkeys((*earlier.files, *files)))
    write_document(Publication(files=names, model=model or earlier.model), document)
    logger.info("published files=%d", len(files))


def _files(study: Study) -> dict[str, Path]:
    """Files by the name that they are published under."""
    entries = [study] if isinstance(study, (str, Path)) else list(study)
    found: dict[str, Path] = {}
    for entry in map(Path, entries):
        if entry.is_dir():
            inside = [path for path in sorted(entry.rglob("*")) if path.is_file()]
            named = {path.relative_to(entry).as_posix(): path for path in inside}
        elif entry.is_file():
            named = {entry.name: entry}
        else:
            raise PublishError(f"{entry}: no such file or folder; publish what the stage has written")
        for name, path in named.items():
            if found.setdefault(name, path) != path:
                raise PublishError(f"{path}: {found[name]} is published under the same name {name!r}; rename one")
    return found


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, temporary)
    temporary.replace(target)
