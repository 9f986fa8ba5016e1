"""Outputs that appear whole: a stage writes to a hidden folder inside its output, whose files are renamed at the end.

The output is often a mount, which cannot be renamed itself; a folder inside it can, and is on the same file system.
"""

import shutil
from pathlib import Path

from clara_ops.driver.folders import walk_files

PARTIAL = ".partial"
SOURCE_SUFFIX = ".source.json"


def empty(folder: Path) -> None:
    """Remove everything in a folder, and keep the folder: it may be a mount."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def begin(folder: Path) -> Path:
    """Empty a folder, so that a retry starts clean, and make the hidden one inside it that a stage writes to."""
    empty(folder)
    partial = folder / PARTIAL
    partial.mkdir()
    return partial


def reveal(partial: Path) -> None:
    """Rename all that a stage wrote from the hidden folder into its parent.

    Headers (`.mhd`) come after the data that they name, and top-level documents (`.json`) last: a reader that sees one
    may use what it speaks of.
    """
    target = partial.parent
    files = []
    for path in sorted(partial.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            (target / path.relative_to(partial)).mkdir(exist_ok=True)
        else:
            files.append(path)
    for path in sorted(files, key=lambda path: _order(path, partial)):
        path.replace(target / path.relative_to(partial))
    shutil.rmtree(partial)


def _order(path: Path, partial: Path) -> int:
    if path.suffix == ".json" and path.parent == partial:
        return 2
    return 1 if path.suffix == ".mhd" else 0


def copy_source_maps(inputs: Path, outputs: Path) -> None:
    """Put `<name>.source.json` of the input beside every output volume of that name that has none."""
    maps = {path.name: path for path in reversed(walk_files(inputs)) if path.name.endswith(SOURCE_SUFFIX)}
    for volume in outputs.rglob("*.mhd"):
        companion = volume.with_name(volume.stem + SOURCE_SUFFIX)
        if companion.name in maps and not companion.exists():
            temporary = companion.with_name(f".{companion.name}.part")
            shutil.copyfile(maps[companion.name], temporary)
            temporary.replace(companion)
