"""The key map: originals beside their replacements, for the site that holds the key; written only when asked."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from clara_ops.deid.errors import KeyMapError
from clara_ops.deid.pseudonyms import Subject


def check_key_map(path: Path, output: Path) -> None:
    """Refuse a place for a key map before any work is done.

    Raises:
        KeyMapError: the file exists, its folder does not, or it would lie in the stage's output.
    """
    folder = path.parent.resolve()
    if not folder.is_dir():
        raise KeyMapError(f"{path}: there is no folder {path.parent}; name a file in a folder that exists")
    if path.exists():
        raise KeyMapError(f"{path}: exists; name a new file, or remove this one")
    if folder.is_relative_to(output.resolve()):
        raise KeyMapError(f"{path}: lies in the output, which leaves the house; name a file elsewhere")


def write_key_map(path: Path, subjects: Mapping[str, Subject], uids: Mapping[str, str]) -> None:
    """Write a new file that only its owner can read (0600).

    Args:
        subjects: by their Patient ID, or what else told them apart.
        uids: replacements by original.

    Raises:
        KeyMapError: the file exists, or cannot be written.
    """
    content = {
        "patients": [{"original": original, **asdict(subject)} for original, subject in sorted(subjects.items())],
        "uids": dict(sorted(uids.items())),
    }
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, ensure_ascii=False)
            file.write("\n")
    except OSError as error:
        raise KeyMapError(f"{path}: cannot be written ({error.strerror}); name a new file elsewhere") from error
