"""Files that nobody should drop into the workflow folder, and what is to be said of each."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ID = "00000000-0000-4000-8000-0000000000ff"
HEAD = f"id: {ID}\nname: hostile\n"


@dataclass(frozen=True)
class Hostile:
    """How a file is made at a path, and what is said of it: the place, and words of the message."""

    make: Callable[[Path], object]
    place: str
    words: str


def text(content: str, place: str, words: str) -> Hostile:
    return Hostile(lambda path: path.write_text(content, encoding="utf-8"), place, words)


def content(data: bytes, place: str, words: str) -> Hostile:
    return Hostile(lambda path: path.write_bytes(data), place, words)


def stages(count: int, line: str) -> str:
    return HEAD + "stages:\n" + "".join(line.format(i=i, next=i + 1) for i in range(count))


def _link_out(path: Path) -> None:
    outside = path.parent.parent / "outside.yaml"
    outside.write_text(HEAD + "stages: [{stage: dicom-reader}]\n")
    path.symlink_to(outside)


def _unreadable(path: Path) -> None:
    """A file that no one may read; root may read all, so for root one that points to where root may not either."""
    path.write_text(HEAD)
    path.chmod(0)
    if os.access(path, os.R_OK):
        path.unlink()
        path.symlink_to(path.parent / "nothing" / "here")


BOMB = "\n".join(
    [
        "a0: &a0 [x, x, x, x, x, x, x, x, x]",
        *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)),
    ]
)
ONE = "stages: [{stage: dicom-reader, "

# What no YAML reader should take, whatever the file is for.
UNREADABLE: Mapping[str, Hostile] = {
    "anchor bomb": text(BOMB, "1:10", "once its aliases are filled in"),
    "anchor within itself": text("a: &a [*a]", "1:4", "nested deeper"),
    "python tag": text("a: !!python/object/apply:os.system [ls]", "1:4", "tag"),
    "10 MB": content(b"a: b\n" * 2_000_000, "1:1", "larger than"),
    "a million brackets": content(b"[" * 999_999, "1:41", "nested deeper"),
    "parts without end": content(b"[" + b"[]," * 300_000 + b"]", "1:149999", "parts"),
    "not UTF-8": content(b"name: \xff", "1:7", "not UTF-8"),
    "UTF-16": content("name: w".encode("utf-16"), "1:1", "not UTF-8"),
    "NUL": content(b"name: \0", "1:1", "control characters"),
    "NUL by escape": text('name: "a\\0b"', "1:7", "control character"),
    "half a surrogate pair": text('name: "\\ud800"', "1:10", "not YAML"),
    "merge key": text(HEAD + ONE + "env: {<<: {A: b}}}]\n", "3:38", "merge keys"),
    "two documents": text("a: 1\n---\nb: 2\n", "2:1", "second YAML document"),
    "not a number": text("a: .nan", "1:4", "not a finite number"),
    "rules within rules": text(HEAD + ONE + f"when: {'{not: ' * 50}{{}}{'}' * 50}}}]", "3:260", "nested deeper"),
    "folder": Hostile(lambda path: path.mkdir(), "1:1", "cannot be read: not a file"),
    "pipe": Hostile(lambda path: os.mkfifo(path), "1:1", "cannot be read: not a file"),
    "device": Hostile(lambda path: path.symlink_to("/dev/zero"), "1:1", "cannot be read: not a file"),
    "link to nothing": Hostile(lambda path: path.symlink_to(path.parent / "nothing"), "1:1", "cannot be read"),
    "ring of links": Hostile(lambda path: path.symlink_to(path), "1:1", "cannot be read"),
    "unreadable": Hostile(_unreadable, "1:1", "cannot be read"),
}

# YAML that makes no workflow.
WRONG: Mapping[str, Hostile] = {
    "duplicate key": text(HEAD + "name: again\n", "3:1", "a second time (first in line 2)"),
    "integer of 6000 digits": text(
        HEAD + f"stages: []\naccepts: {{minimumInstances: 0x{'F' * 6000}}}\n", "4:29", "a whole number"
    ),
    "name that is no label": text(f"id: {ID}\nname: '../w; rm'\n{ONE}}}]", "2:7", "must be 1 to 63 lower case letters"),
    "stage that is no label": text(HEAD + ONE + "name: 'a\\nb'}]", "3:38", "must be 1 to 63 lower case letters"),
    "name of 64 letters": text(f"id: {ID}\nname: {'w' * 64}\n{ONE}}}]", "2:7", "must be 1 to 63 lower case letters"),
    "folder outside": text(HEAD + ONE + "output: ../../etc}]", "3:40", "inside the payload"),
    "folder from the root": text(HEAD + ONE + "output: /etc}]", "3:40", "inside the payload"),
    "rule without words": text(HEAD + ONE + "when: {attribute: [a], op: {b: c}, value: 1}}]", "3:38", "when.attribute"),
    "operator that is a list": text(HEAD + ONE + "when: {attribute: a, op: [eq], value: 1}}]", "3:38", "when.op"),
    "expression of parentheses": text(
        HEAD + ONE + f"when: {{attribute: a, op: matches, value: '{'(' * 5000}'}}}}]",
        "3:38",
        "not a regular expression",
    ),
    "1000 stages": text(stages(1000, "- {{stage: dicom-reader, name: s{i}, after: s{next}}}\n"), "4:1", "at most 200"),
    "1000 unknown keys": text(HEAD + "".join(f"k{i}: 1\n" for i in range(1000)), "3:1", "unknown key 'k0'"),
    "1000 wrong stages": text(HEAD + f"stages: [{'1,' * 1000}]\n", "3:10", "expected a mapping"),
    "empty": text("", "1:1", "no workflow here"),
    "only a list": text("- a\n- b\n", "1:1", "no workflow here"),
}

CATALOGUES: Mapping[str, Hostile] = {
    "stage that is no label": text("stages: {'../x': {image: {repository: x}}}", "1:18", "'stageName' is missing"),
    "1000 unknown keys": text("stages: {x: {" + "".join(f"k{i}: 1, " for i in range(1000)) + "}}", "1:13", "'image'"),
    "not a mapping": text("stages: {x: [1, 2]}", "1:13", "expected a mapping"),
    "name with a NUL": text('catalogues: ["a\\0b"]', "1:14", "control character"),
    "name that cannot be printed": text('catalogues: ["a\\nb"]', "1:13", "expected a list of file names"),
    "name that is too long": text(f"catalogues: [{'x' * 5000}]", "1:1", "cannot be read"),
    "names itself and nothing": text("catalogues: [x.yaml, nothing.yaml]", "1:1", "cannot be read"),
}

LEADING_OUT = {
    "link out of the folder": Hostile(_link_out, "1:1", "leads out of the workflow folder"),
    "device": Hostile(lambda path: path.symlink_to("/dev/zero"), "1:1", "leads out of the workflow folder"),
}
FILE_NAMES = [
    "with\nline.yaml",
    "\udcff\udcfe.yaml",
    "'''; raise SystemExit #.yaml",
    "x" * 250 + ".yaml",
    "{file}.yaml",
]


def take_away(path: Path) -> None:
    """Remove what a hostile file was made of."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
