"""The options that a workflow gives to a stage, checked against what the catalogue entry declares."""

import shlex
from collections.abc import Callable, Mapping, Sequence

from clara_ops.contract.conf import FactValue
from clara_ops.workflow.entry import OptionDeclaration
from clara_ops.workflow.parameters import Parameter, fill, literal, references
from clara_ops.workflow.schema import nearest

_NO_PARAMETERS: Mapping[str, Parameter] = {}
_FITTING = {"integer": ("integer",), "number": ("integer", "number"), "choice": ("choice",)}


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


def complete_args(
    words: Sequence[str],
    declared: Sequence[OptionDeclaration] | None,
    parameters: Mapping[str, Parameter] = _NO_PARAMETERS,
) -> tuple[str, ...]:
    """The words, checked, and after them the declared defaults of the options that were not given.

    Without a declaration the words pass unchecked. A text parameter never begins a word, where its value could pass for
    an option: `--title ${title}` becomes `--title=${title}`.

    Args:
        words: what the workflow says; every reference in them is to one of `parameters`.
        declared: the options of the stage.
        parameters: those of the workflow.

    Raises:
        OptionError: an option is unknown, stands twice, lacks its value, or its value is of the wrong kind.
    """
    if declared is None:
        return tuple(_free_word(word, parameters) for word in words)
    options = {f"--{option.name}": option for option in declared}
    given: set[str] = set()
    complete: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        name, _, attached = word.partition("=")
        option = _known(name, options)
        if name in given:
            raise OptionError(f"option {name} stands twice; give it once")
        given.add(name)
        if option.type == "flag":
            _check_flag(name, attached, parameters)
            complete.append(word)
            continue
        value = attached or (waiting.pop(0) if waiting else "")
        _check_value(name, option, value, parameters)
        attach = bool(attached) or _begins_with_text(value, parameters)
        complete.extend([f"{name}={value}"] if attach else [name, value])
    return (
        *complete,
        *(word for name, option in options.items() if name not in given for word in _default(name, option)),
    )


def fill_args(
    args: Sequence[str], declared: Sequence[OptionDeclaration] | None, values: Mapping[str, FactValue]
) -> list[str]:
    """What `complete_args` made, with the values of a run; a flag that refers to a parameter is there or not."""
    flags = {f"--{option.name}" for option in declared or () if option.type == "flag"}
    filled = []
    for word in args:
        name, _, attached = word.partition("=")
        if attached and name in flags:
            filled += [name] if values[references(attached)[0]] else []
        else:
            filled.append(fill(word, values))
    return filled


def _free_word(word: str, parameters: Mapping[str, Parameter]) -> str:
    if _begins_with_text(word, parameters):
        raise OptionError(
            f"{word!r} begins with a text parameter, whose value could pass for an option; "
            f"write it as '--option={word}', or have the stage read its variable"
        )
    return word


def _begins_with_text(word: str, parameters: Mapping[str, Parameter]) -> bool:
    named = references(word)
    return bool(named) and word.startswith(f"${{{named[0]}}}") and parameters[named[0]].type == "text"


def _check_flag(name: str, attached: str, parameters: Mapping[str, Parameter]) -> None:
    """A flag has no value, but may follow a parameter."""
    if not attached:
        return
    named = references(attached)
    if len(named) != 1 or attached != f"${{{named[0]}}}":
        raise OptionError(f"option {name} is a flag and takes no value, except a parameter: {name}=${{name}}")
    if parameters[named[0]].type != "flag":
        raise OptionError(f"option {name}: parameter {named[0]!r} has to be of type flag")


def _known(name: str, options: Mapping[str, OptionDeclaration]) -> OptionDeclaration:
    if not name.startswith("--"):
        raise OptionError(f"{name!r} is not an option; this stage takes options only{nearest(name, options)}")
    option = options.get(name)
    if option is None:
        raise OptionError(f"the stage has no option {name}{nearest(name, options) or '; it takes none'}")
    return option


def _check_value(name: str, option: OptionDeclaration, value: str, parameters: Mapping[str, Parameter]) -> None:
    if not value:
        raise OptionError(f"option {name} needs a value")
    if references(value):
        _check_reference(name, option, value, parameters)
        return
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


def _check_reference(name: str, option: OptionDeclaration, value: str, parameters: Mapping[str, Parameter]) -> None:
    """Whether every value that the parameters may have is one that the option takes."""
    if option.type == "text":
        return
    first = references(value)[0]
    if value != f"${{{first}}}":
        raise OptionError(
            f"option {name} takes no text, so that a parameter has to be its whole value; found {value!r}"
        )
    parameter = parameters[first]
    if parameter.type not in _FITTING[option.type]:
        raise OptionError(f"option {name}: parameter {first!r} has to be of type {' or '.join(_FITTING[option.type])}")
    foreign = sorted(set(parameter.choices) - set(option.choices))
    if foreign:
        raise OptionError(
            f"option {name}: choice {foreign[0]!r} of parameter {first!r} is not one of {', '.join(option.choices)}"
        )


def _default(name: str, option: OptionDeclaration) -> list[str]:
    if option.default is None or option.default is False:
        return []
    return [name] if option.type == "flag" else [name, literal(str(option.default))]
