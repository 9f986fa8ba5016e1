"""The parameters of a workflow: how they are declared, what values they take, and where a stage refers to them.

A stage's `args` and `env` refer to a parameter by `${name}`; `$${` stands for the text `${`. A reference is filled in
after the words were split, so that a value is never more than a part of its word.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from clara_ops.contract.conf import CONF_KEYS, FactValue
from clara_ops.contract.environment import PARAMETER_PREFIX
from clara_ops.workflow.fields import Environment
from clara_ops.workflow.schema import FileModel, nearest

LONGEST_TEXT = 1000
Values = Mapping[str, FactValue]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_REFERENCE = re.compile(r"\$(\$\{|\{([^}]*)\})")
_HALF_REFERENCE = re.compile(r"\$\([^)]*\$\{")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_JSON_TYPES = {"text": "string", "choice": "string", "integer": "integer", "number": "number", "flag": "boolean"}
_IN_WORDS = {"text": "text", "integer": "a whole number", "number": "a number", "flag": "true or false"}


class ParameterError(ValueError):
    """A parameter that the workflow does not have, or a value that it does not take."""


def _parameter_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"parameter {name!r}: lower case letters, digits and '_', a letter first")
    return name


class Parameter(FileModel):
    """A value that a person may set for one run, in Airflow's trigger dialog or over REST.

    Attributes:
        type: what its values are: one line of text, a whole number, a number, true or false, or one of `choices`.
        default: value of a run that nobody set it for, such as that of a series which just arrived; only a flag needs
            none, and is then false.
        minimum: smallest value of an integer or a number.
        maximum: largest value of an integer or a number.
        choices: the texts that a choice may be.
        help: what it does, for the person who sets it.
    """

    type: Literal["text", "integer", "number", "flag", "choice"] = "text"
    default: StrictStr | StrictBool | StrictInt | StrictFloat | None = None
    minimum: StrictInt | StrictFloat | None = None
    maximum: StrictInt | StrictFloat | None = None
    choices: tuple[StrictStr, ...] = ()
    help: StrictStr = ""

    @property
    def usual(self) -> FactValue:
        """The default of a sound declaration."""
        return False if self.default is None else self.default


ParameterName = Annotated[StrictStr, AfterValidator(_parameter_name)]
Parameters = Annotated[Mapping[ParameterName, Parameter], Field(default_factory=dict)]


def declaration_problems(name: str, parameter: Parameter) -> Iterator[tuple[str, str]]:
    """What is wrong with a declaration: the key it is wrong at, and the message."""
    if name in CONF_KEYS:
        yield "", f"parameter {name!r} has the name of something that every run has; choose another"
    if (parameter.type == "choice") != bool(parameter.choices):
        yield "choices", f"parameter {name!r}: 'choices' goes with 'type: choice', and only with it"
    yield from _bound_problems(name, parameter)
    if parameter.default is None:
        if parameter.type != "flag":
            yield "default", f"parameter {name!r} needs a default: a series that arrives by itself starts a run with it"
        return
    try:
        check_value(name, parameter, parameter.default)
    except ParameterError as error:
        yield "default", f"default: {error}"


def _bound_problems(name: str, parameter: Parameter) -> Iterator[tuple[str, str]]:
    bounds = {"minimum": parameter.minimum, "maximum": parameter.maximum}
    for key, bound in bounds.items():
        if bound is not None and parameter.type not in ("integer", "number"):
            yield key, f"parameter {name!r}: {key!r} goes with 'type: integer' or 'type: number'"
    if parameter.minimum is not None and parameter.maximum is not None and parameter.minimum > parameter.maximum:
        yield "maximum", f"parameter {name!r}: maximum {parameter.maximum} is below minimum {parameter.minimum}"


def check_value(name: str, parameter: Parameter, value: object) -> FactValue:
    """The value, where the parameter takes it.

    Raises:
        ParameterError: naming the parameter, and what it takes; a text is not repeated.
    """
    match parameter.type, value:
        case "flag", bool():
            return value
        case "choice", str() if value in parameter.choices:
            return value
        case "choice", _:
            raise ParameterError(f"parameter {name!r}: {value!r} is not one of {', '.join(parameter.choices)}")
        case "text", str():
            return _checked_text(name, value)
        case (("integer" | "number"), (int() | float())) if _is_number(value, parameter.type):
            return _checked_number(name, parameter, value)
    found = "text" if isinstance(value, str) else repr(value)
    raise ParameterError(f"parameter {name!r}: expected {_IN_WORDS[parameter.type]}; found {found}")


def _checked_text(name: str, value: str) -> str:
    if len(value) > LONGEST_TEXT or _CONTROL.search(value) is not None:
        raise ParameterError(f"parameter {name!r}: expected one line of at most {LONGEST_TEXT} characters")
    return value


def _is_number(value: float, wanted: str) -> bool:
    """JSON Schema's notion: 3.0 is an integer, true is no number."""
    return not isinstance(value, bool) and math.isfinite(value) and (wanted == "number" or value == int(value))


def _checked_number(name: str, parameter: Parameter, value: float) -> float:
    if parameter.minimum is not None and value < parameter.minimum:
        raise ParameterError(f"parameter {name!r}: {value} is below its minimum {parameter.minimum}")
    if parameter.maximum is not None and value > parameter.maximum:
        raise ParameterError(f"parameter {name!r}: {value} is above its maximum {parameter.maximum}")
    return int(value) if parameter.type == "integer" else value


def parameter_values(declared: Mapping[str, Parameter], conf: Mapping[str, Any]) -> dict[str, FactValue]:
    """The value of every parameter in a run: what its conf says, else the default.

    Raises:
        ParameterError: with everything in conf that no parameter takes.
    """
    problems = []
    values = {name: parameter.usual for name, parameter in declared.items()}
    for name, value in conf.items():
        if name in CONF_KEYS:
            continue
        if name not in declared:
            problems.append(f"the workflow has no parameter {name!r}{nearest(name, declared)}")
            continue
        try:
            values[name] = check_value(name, declared[name], value)
        except ParameterError as error:
            problems.append(str(error))
    if problems:
        raise ParameterError("; ".join(problems))
    return values


def json_schema(parameter: Parameter) -> dict[str, Any]:
    """JSON Schema of a value, which says the same as `check_value`."""
    schema: dict[str, Any] = {"type": _JSON_TYPES[parameter.type]}
    if parameter.type == "choice":
        schema["enum"] = list(parameter.choices)
    if parameter.type == "text":
        schema |= {"maxLength": LONGEST_TEXT, "not": {"pattern": _CONTROL.pattern}}
    bounds = {"minimum": parameter.minimum, "maximum": parameter.maximum}
    return schema | {key: bound for key, bound in bounds.items() if bound is not None}


def references(text: str) -> list[str]:
    """Names of the parameters that a text refers to."""
    return [found[2] for found in _REFERENCE.finditer(text) if found[2] is not None]


def reference_problems(text: str, declared: Mapping[str, Parameter]) -> Iterator[str]:
    """What is wrong with the references of a text."""
    if _HALF_REFERENCE.search(text) is not None:
        yield f"{text!r}: a parameter cannot be a part of a reference of Kubernetes, '$(...)'"
    for name in references(text):
        if name not in declared:
            known = nearest(name, declared) or " (it has none)"
            itself = f"${{{name}}}"
            yield f"the workflow has no parameter {name!r}{known}; the text {itself!r} is written '${itself}'"


def literal(text: str) -> str:
    """A text that refers to nothing, as it is written where references are filled in."""
    return text.replace("${", "$${")


def literal_variables(env: Environment) -> Environment:
    """The variables of a catalogue entry, which knows nothing of a workflow's parameters."""
    return {name: literal(value) if isinstance(value, str) else value for name, value in env.items()}


def fill(text: str, values: Values) -> str:
    """A text with its references filled in; what Kubernetes would read as a reference of its own is made plain."""

    def value_of(found: re.Match[str]) -> str:
        return "${" if found[2] is None else _in_pod(values[found[2]])

    return _REFERENCE.sub(value_of, text)


def environment_of(values: Values) -> dict[str, str]:
    """The variables by which every stage gets every parameter: `CLARA_PARAMETER_<NAME>`."""
    return {f"{PARAMETER_PREFIX}{name.upper()}": _in_pod(value) for name, value in values.items()}


def _in_pod(value: FactValue) -> str:
    """A value as text for `args` and `env` of a container, where `$(NAME)` is a reference and `$$` a dollar sign."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.replace("$", "$$")
