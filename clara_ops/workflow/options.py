"""The options that a workflow gives to a stage, checked against what the catalogue entry declares."""

import shlex
from collections.abc import Callable, Mapping, Sequence

from clara_ops.workflow.catalogue import OptionDeclaration
from clara_ops.workflow.schema import nearest


class OptionError(ValueError):
    """An option that the stage does not take, or with a value that it does not take."""


def split_args(args: str | Sequence[str]) -> list[str]:
    """A shell line as its words; a list stays as it is.

    Raises:
        OptionError: a quote is not closed.
    """
    if not isinstance(args, str):
        return list(args)
    try:
        return shlex.split(args)
    except ValueError as error:
        raise OptionError(f"not a shell line: {str(error).lower()}") from error


def complete_args(words: Sequence[str], declared: Sequence[OptionDeclaration] | None) -> tuple[str, ...]:
    """The words, checked, and after them the declared defaults of the options that were not given.

    Without a declaration the words pass unchecked.

    Raises:
        OptionError: an option is unknown, stands twice, lacks its value, or its value is of the wrong kind.
    """
    if declared is None:
        return tuple(words)
    options = {f"--{option.name}": option for option in declared}
    given: set[str] = set()
    waiting = list(words)
    while waiting:
        name, _, attached = waiting.pop(0).partition("=")
        option = _known(name, options)
        if name in given:
            raise OptionError(f"option {name} stands twice; give it once")
        given.add(name)
        if option.type == "flag":
            if attached:
                raise OptionError(f"option {name} is a flag and takes no value")
        else:
            _check_value(name, option, attached or (waiting.pop(0) if waiting else ""))
    return (*words, *(word for name, option in options.items() if name not in given for word in _default(name, option)))


def _known(name: str, options: Mapping[str, OptionDeclaration]) -> OptionDeclaration:
    if not name.startswith("--"):
        raise OptionError(f"{name!r} is not an option; this stage takes options only{nearest(name, options)}")
    option = options.get(name)
    if option is None:
        raise OptionError(f"the stage has no option {name}{nearest(name, options) or '; it takes none'}")
    return option


def _check_value(name: str, option: OptionDeclaration, value: str) -> None:
    if not value:
        raise OptionError(f"option {name} needs a value")
    if option.type == "choice" and value not in option.choices:
        raise OptionError(f"option {name}: {value!r} is not one of {', '.join(option.choices)}")
    parse: Callable[[str], object] | None = {"integer": int, "number": float}.get(option.type)
    if parse is None:
        return
    try:
        parse(value)
    except ValueError as error:
        raise OptionError(
            f"option {name}: expected {'an integer' if parse is int else 'a number'}; found {value!r}"
        ) from error


def _default(name: str, option: OptionDeclaration) -> list[str]:
    if option.default is None or option.default is False:
        return []
    return [name] if option.type == "flag" else [name, str(option.default)]
