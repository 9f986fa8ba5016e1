"""The table "may import" of docs/architecture.md, 1, held by parsing every module: arrows run downwards only."""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = {"clara_ops", "clara", "dicom_listener", "plugins"}
EVERYTHING = "everything above"
MODELS_OF_TRITON = "clara_ops/inference/models/"


@dataclass(frozen=True)
class Room:
    """A row of the table.

    Attributes:
        rooms: packages of this project that it may import, beside itself.
        libraries: packages of others, by import name, beside the standard library.
        models: libraries of what Triton runs in an environment of its own.
    """

    rooms: frozenset[str]
    libraries: frozenset[str]
    models: frozenset[str]


def read_rooms(document: str) -> dict[str, Room]:
    """The rooms that hold Python, by package, in the table's order."""
    rows = re.findall(r"^\| `([\w/]+)/` \| .* \| ([^|]+) \|$", document, flags=re.MULTILINE)
    packages = {folder.replace("/", "."): words for folder, words in rows if folder.split("/")[0] in PROJECT}
    rooms: dict[str, Room] = {}
    for package, words in packages.items():
        general, _, special = words.partition(";")
        names = {name.strip() for name in general.split(",")} - {"standard library"}
        above = frozenset(rooms) if EVERYTHING in names else frozenset()
        named = {f"clara_ops.{name}" for name in names if f"clara_ops.{name}" in packages}
        libraries = {name for name in names if f"clara_ops.{name}" not in packages} - {EVERYTHING}
        models = frozenset(re.findall(r"\w+", special.partition("also")[2]))
        rooms[package] = Room(above | named, frozenset(libraries), models)
    return rooms


ROOMS = read_rooms((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Import:
    """One import statement's module, and where it is."""

    module: str
    where: str


def modules() -> list[Path]:
    folders = ("clara_ops", "clara", "dicom_listener", "plugins")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str | None:
    names = [name for name in ROOMS if module == name or module.startswith(name + ".")]
    return max(names, key=len, default=None)


def imports(path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(tree):
        where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, where) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (Import(f"{module}.{alias.name}", where) for alias in node.names)


def violation(importer: str, imported: Import) -> str | None:
    """Why an import breaks the rule; None when it does not."""
    name = room_of(importer)
    if name is None:
        return f"{importer.rpartition('.')[0]}: in no room of docs/architecture.md; add it to the table there"
    rule = ROOMS[name]
    top = imported.module.split(".")[0]
    if top in sys.stdlib_module_names:
        return None
    if top in PROJECT:
        target = room_of(imported.module)
        allowed = target in (None, name) or target in rule.rooms
        return None if allowed else f"{imported.where}: {name} may not import {target}"
    libraries = rule.libraries | (rule.models if imported.where.startswith(MODELS_OF_TRITON) else frozenset())
    return None if top in libraries else f"{imported.where}: {name} may not import {top}"


def test_every_module_keeps_to_its_room() -> None:
    found = {
        problem
        for path in modules()
        if module_name(path) != "clara_ops"
        for imported in imports(path)
        if (problem := violation(module_name(path), imported))
    }
    assert not found, "\n".join(sorted(found))


def test_the_laptop_s_set_up_runs_on_a_bare_python() -> None:
    """`make demo` starts with it, before anything is installed."""
    path = ROOT / "clara_ops" / "laptop" / "setup.py"
    pending, seen = [path], set()
    while pending:
        module = pending.pop()
        seen.add(module)
        for imported in imports(module):
            top = imported.module.split(".")[0]
            assert top in sys.stdlib_module_names or top in PROJECT, f"{imported.where}: {imported.module}"
            pending += [found for found in _files_of(imported.module) if found not in seen]


def _files_of(module: str) -> list[Path]:
    """The files that importing `module` (or `package.name`) runs, as far as they are ours."""
    parts = module.split(".")
    candidates = [ROOT.joinpath(*parts[:length]) for length in range(1, len(parts) + 1)]
    files = [file for path in candidates for file in (path.with_suffix(".py"), path / "__init__.py")]
    return [file for file in files if file.is_file()]


def test_the_table_itself_keeps_the_design() -> None:
    def may(library: str) -> set[str]:
        return {name for name, rule in ROOMS.items() if library in rule.libraries}

    assert may("airflow") == {"clara_ops.dag", "plugins"}
    assert may("tritonclient") == {"clara_ops.inference"}
    assert ROOMS["clara_ops.contract"] == Room(frozenset(), frozenset(), frozenset())
    assert ROOMS["clara_ops.driver"] == Room(frozenset({"clara_ops.contract"}), frozenset(), frozenset())
    assert ROOMS["dicom_listener"].rooms == {"clara_ops.contract"}


def test_arrows_run_downwards_only() -> None:
    below: set[str] = set()
    for name, rule in ROOMS.items():
        forward = {target for target in rule.rooms - below if name in ROOMS[target].rooms}
        assert not forward, f"{name} and {forward} import each other"
        below.add(name)


@pytest.mark.parametrize(
    ("importer", "imported", "expected"),
    [
        ("clara_ops.driver.x", "clara_ops.workflow.pod", "clara_ops.driver may not import clara_ops.workflow"),
        ("clara_ops.contract.x", "pydantic", "clara_ops.contract may not import pydantic"),
        ("dicom_listener.x", "airflow.models", "dicom_listener may not import airflow"),
        ("clara_ops.workflow.x", "clara_ops.dag.bundle", "clara_ops.workflow may not import clara_ops.dag"),
        ("clara_ops.dag.x", "airflow.sdk", None),
        ("clara.callbacks", "clara_ops.driver.callbacks", None),
    ],
)
def test_the_rule_itself(importer: str, imported: str, expected: str | None) -> None:
    found = violation(importer, Import(imported, "x.py:1"))
    assert found == (expected and f"x.py:1: {expected}")


def test_a_new_room_needs_a_row_in_the_table() -> None:
    found = violation("clara_ops.new.x", Import("json", "x.py:1"))
    assert found == "clara_ops.new: in no room of docs/architecture.md; add it to the table there"


def test_imports_are_read_from_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package := tmp_path / "clara_ops" / "driver").mkdir(parents=True)
    (package / "x.py").write_text(
        "import os, numpy\ndef f():\n    from airflow import DAG\nfrom . import y\nfrom ..dag import z\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    found = [(item.module, item.where.rpartition(":")[2]) for item in imports(package / "x.py")]
    assert sorted(found) == [
        ("airflow.DAG", "3"),
        ("clara_ops.dag.z", "5"),
        ("clara_ops.driver.y", "4"),
        ("numpy", "1"),
        ("os", "1"),
    ]
