"""Reading the configuration file, with the line in every error."""

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from dicom_listener.config import Config
from dicom_listener.errors import ConfigError


def load_config(path: Path) -> Config:
    """Read and check a configuration.

    Raises:
        ConfigError: `file:line: what is wrong`, one line for each thing that is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: not YAML: {error.problem}") from error
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        lines = [_describe(path, root, problem["loc"], problem["type"], problem["msg"]) for problem in error.errors()]
        raise ConfigError("\n".join(lines)) from error


def _describe(path: Path, root: yaml.Node | None, location: Sequence[int | str], kind: str, message: str) -> str:
    message = message.removeprefix("Value error, ")
    if not location and ": " in message:  # a check over the whole file names its place itself
        named, _, message = message.partition(": ")
        location = [int(part) if part.isdigit() else part for part in named.split(".")]
    if kind == "extra_forbidden":
        message = "unknown key"
    elif kind == "missing":
        message = "this key is missing"
    return f"{path}:{_line(root, location)}: {'.'.join(map(str, location)) or 'file'}: {message}"


def _line(node: yaml.Node | None, location: Sequence[int | str]) -> int:
    """The line of the deepest part of `location` that the file has, counted from 1."""
    line = 1 if node is None else node.start_mark.line + 1
    for part in location:
        child = _child(node, part)
        if child is None:
            break
        key, node = child
        line = key.start_mark.line + 1
    return line


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None
