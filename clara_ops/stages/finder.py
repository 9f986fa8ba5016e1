"""Finds stage modules by name, and reads what they say of themselves without importing them."""

import ast
import importlib
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Protocol, cast

from clara_ops import stages
from clara_ops.contract.errors import ClaraError
from clara_ops.contract.result import StageResult
from clara_ops.driver.folders import StageFolders
from clara_ops.driver.progress import Progress


class UnknownStage(ClaraError):
    """No stage module has this name."""


class StageModule(Protocol):
    """The form of a module in `clara_ops.stages` that is a stage."""

    DESCRIPTION: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options that a workflow's `args` may give."""

    def run(self, folders: StageFolders, options: Namespace, progress: Progress) -> StageResult | None:
        """Do the stage's work."""


def stage_descriptions() -> dict[str, str]:
    """Every stage's description by the stage's name. Modules are parsed, not imported: their libraries are heavy."""
    found = {}
    modules = [path for folder in stages.__path__ for path in Path(folder).glob("*.py")]
    for path in sorted(modules, key=lambda path: path.name):
        description = _description(path)
        if description is not None:
            found[path.stem.replace("_", "-")] = description
    return found


def load_stage(name: str) -> StageModule:
    """Import a stage's module.

    Raises:
        UnknownStage: with the names that there are.
    """
    if name not in (known := stage_descriptions()):
        raise UnknownStage(f"no stage {name!r}; stages are {', '.join(known)}")
    return cast(StageModule, importlib.import_module(f"{stages.__name__}.{name.replace('-', '_')}"))


def _description(path: Path) -> str | None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if names == ["DESCRIPTION"] and isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            return cast(str, ast.literal_eval(node.value))
    return None
