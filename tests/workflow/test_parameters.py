"""Parameters of a workflow: declarations, values, and references that stay inside their word."""

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_ops.localkube.configuration import expanded
from clara_ops.workflow.parameters import (
    LONGEST_TEXT,
    Parameter,
    ParameterError,
    check_value,
    fill,
    json_schema,
    literal,
    parameter_values,
)
from clara_ops.workflow.pod import stage_pod

from .conftest import Load, Problems

RUN = "ct-ai-0123456789abcdef0123-g1"
HEAD = "id: 7b413e24-d018-4689-8c41-73272f6649d4\nname: w\n"
STAGES = "stages: [{stage: dicom-reader}]\n"
DECLARED = {
    "threshold": Parameter(type="number", default=0.5, minimum=0, maximum=1),
    "steps": Parameter(type="integer", default=3),
    "title": Parameter(default="CT"),
    "overlay": Parameter(type="flag"),
    "model": Parameter(type="choice", choices=("small", "large"), default="small"),
}
EVERY_KIND = """\
parameters:
  workers: {type: integer, default: 2, minimum: 1, maximum: 8, help: slices at once}
  gaps: {type: choice, choices: [refuse, keep], default: refuse}
  largest: {type: flag}
  rule: {default: "{}"}
"""


@pytest.mark.parametrize(
    ("declaration", "place", "message"),
    [
        ("{type: number}", "{type", "parameter 'limit' needs a default"),
        ("{type: number, default: 0.5, maximum: 0}", "0.5", "default: parameter 'limit': 0.5 is above its maximum 0"),
        ("{type: integer, default: 1.5}", "1.5", "expected a whole number; found 1.5"),
        ("{type: integer, default: yes}", "yes", "expected a whole number; found True"),
        ("{type: number, default: 0, minimum: 2, maximum: 1}", "1}", "maximum 1 is below minimum 2"),
        ("{type: choice, default: a}", "{type", "'choices' goes with 'type: choice'"),
        ("{type: choice, choices: [a, b], default: c}", "c}", "'c' is not one of a, b"),
        ("{type: text, default: 5}", "5}", "expected text; found 5"),
        ("{default: x, minimum: 1}", "1}", "'minimum' goes with 'type: integer' or 'type: number'"),
        ("{type: flag, default: 1}", "1}", "expected true or false; found 1"),
        ('{default: "two\\nlines"}', '"two', "expected one line"),
        ("{type: bool}", "bool", "expected one of 'text', 'integer', 'number', 'flag' or 'choice'; found 'bool'"),
        ("{defualt: 5}", "defualt", "unknown key 'defualt' (did you mean 'default'?)"),
    ],
)
def test_what_is_wrong_with_a_declaration(problems: Problems, declaration: str, place: str, message: str) -> None:
    line = f"  limit: {declaration}"
    found = problems(f"{HEAD}parameters:\n{line}\n{STAGES}")
    assert any(said.startswith(f"w.yaml:4:{line.index(place) + 1}: ") and message in said for said in found), found


@pytest.mark.parametrize(
    ("name", "message"),
    [("Limit", "lower case letters"), ("ae_title", "has the name of something that every run has"), ("a-b", "letters")],
)
def test_names_of_parameters(problems: Problems, name: str, message: str) -> None:
    assert message in problems(f"{HEAD}parameters: {{{name}: {{type: flag}}}}\n{STAGES}")[0]


@pytest.mark.parametrize(
    ("stage", "place", "message"),
    [
        ("args: '--workers ${worker}'", "'--", "no parameter 'worker' (did you mean 'workers'?)"),
        ("args: [--workers, '${worker}']", "'${", "the text '${worker}' is written '$${worker}'"),
        ("env: {N: '${nothing}'}", "'${", "no parameter 'nothing' (known: gaps, largest, rule, workers)"),
        ("env: {CLARA_PARAMETER_X: a}", "CLARA", "CLARA_PARAMETER_X is set by the platform"),
        ("args: '--workers ${gaps}'", "'--", "parameter 'gaps' has to be of type integer"),
        ("args: '--workers 1${workers}'", "'--", "a parameter has to be its whole value"),
        ("args: '--tilt ${gaps}'", "'--", "choice 'refuse' of parameter 'gaps' is not one of keep, resample"),
        ("args: '--split=${gaps}'", "'--", "parameter 'gaps' has to be of type flag"),
        ("args: --split=yes", "--", "is a flag and takes no value, except a parameter"),
        ("env: {N: '$(X${rule})'}", "'$(", "cannot be a part of a reference of Kubernetes"),
    ],
)
def test_what_is_wrong_with_a_reference(problems: Problems, stage: str, place: str, message: str) -> None:
    line = f"stages: [{{stage: dicom-reader, {stage}}}]"
    found = problems(f"{HEAD}{EVERY_KIND}{line}\n")
    assert any(said.startswith(f"w.yaml:8:{line.index(place) + 1}: ") and message in said for said in found), found


def test_a_reference_without_parameters_says_how_the_text_is_written(problems: Problems, load: Load) -> None:
    (problem,) = problems(f"{HEAD}stages: [{{stage: dicom-reader, env: {{PLACE: '${{HOME}}'}}}}]\n")
    assert "no parameter 'HOME' (it has none); the text '${HOME}' is written '$${HOME}'" in problem
    (workflow,) = load(f"{HEAD}stages: [{{stage: dicom-reader, env: {{PLACE: '$${{HOME}}'}}}}]\n")
    assert environment(stage_pod(workflow, workflow.stages[0], RUN))["PLACE"] == "${HOME}"


def test_every_stage_gets_every_value_and_its_args_are_filled_in(load: Load) -> None:
    args = "--workers ${workers} --gaps=${gaps} --split=${largest} --select ${rule}"
    (workflow,) = load(
        f"{HEAD}{EVERY_KIND}stages: [{{stage: dicom-reader, args: '{args}', env: {{R: 'x ${{rule}}'}}}}]\n"
    )
    usual = stage_pod(workflow, workflow.stages[0], RUN)
    words = usual["spec"]["containers"][0]["args"]
    assert words[:4] == ["--workers", "2", "--gaps=refuse", "--select={}"]
    values = parameter_values(workflow.parameters, {"largest": True, "rule": "--suv; $(CLARA_STAGE) ${workers}"})
    pod = stage_pod(workflow, workflow.stages[0], RUN, "", values)
    words = pod["spec"]["containers"][0]["args"]
    assert words[:5] == ["--workers", "2", "--gaps=refuse", "--split", "--select=--suv; $$(CLARA_STAGE) $${workers}"]
    assert environment(pod) | {
        "CLARA_PARAMETER_WORKERS": "2",
        "CLARA_PARAMETER_GAPS": "refuse",
        "CLARA_PARAMETER_LARGEST": "true",
        "CLARA_PARAMETER_RULE": "--suv; $$(CLARA_STAGE) $${workers}",
        "R": "x --suv; $$(CLARA_STAGE) $${workers}",
    } == environment(pod)


def test_a_text_may_not_begin_a_word_of_a_stage_that_declares_no_options(
    tmp_path, load: Load, problems: Problems
) -> None:
    entry = (
        "stages:\n  foreign: {image: {repository: f}, stageName: foreign, logName: /app/logs/f.log, "
        'lockName: f.lock, timeout: "60"}\n'
    )
    workflow = "workflows:\n  7b413e24-d018-4689-8c41-73272f6649d4:\n    name: w\n    parameters: {t: {default: a}}\n"
    stages = "    stages: [{stage: foreign, args: ['%s']}]\n"
    (problem,) = problems(entry + workflow + stages % "${t}")
    assert "begins with a text parameter, whose value could pass for an option" in problem
    (loaded,) = load(entry + workflow + stages % "--t=${t}")
    assert stage_pod(loaded, loaded.stages[0], RUN)["spec"]["containers"][0]["args"] == ["--t=a"]


def environment(pod) -> dict[str, str]:
    return {item["name"]: item["value"] for item in pod["spec"]["containers"][0]["env"]}


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"treshold": 1}, "no parameter 'treshold' (did you mean 'threshold'?)"),
        ({"threshold": 7}, "'threshold': 7 is above its maximum 1"),
        ({"threshold": -0.1}, "below its minimum 0"),
        ({"threshold": "0.5"}, "expected a number; found text"),
        ({"threshold": float("nan")}, "expected a number; found nan"),
        ({"threshold": True}, "expected a number; found True"),
        ({"steps": 2.5}, "expected a whole number; found 2.5"),
        ({"overlay": "yes"}, "expected true or false; found text"),
        ({"model": "huge"}, "'huge' is not one of small, large"),
        ({"model": None}, "None is not one of"),
        ({"title": "a\n"}, "expected one line"),
        ({"title": "a" * (LONGEST_TEXT + 1)}, f"at most {LONGEST_TEXT} characters"),
        ({"title": ["a"]}, "expected text; found ['a']"),
    ],
)
def test_values_that_no_parameter_takes(conf, message: str) -> None:
    with pytest.raises(ParameterError) as raised:
        parameter_values(DECLARED, conf)
    assert message in str(raised.value)


def test_everything_that_is_wrong_is_said_and_the_rest_of_conf_is_no_parameter() -> None:
    with pytest.raises(ParameterError, match=r"below its minimum 0; .*not one of small, large"):
        parameter_values(DECLARED, {"threshold": -1, "model": "x", "payload": RUN, "facts": {}})
    assert parameter_values(DECLARED, {"steps": 4.0, "payload": RUN, "facts": {}}) == {
        "threshold": 0.5,
        "steps": 4,
        "title": "CT",
        "overlay": False,
        "model": "small",
    }


ANY_VALUE = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(-2, 2), st.sampled_from(["small", "large", "x"]), st.text()
)


@settings(deadline=None)
@given(name=st.sampled_from(sorted(DECLARED)), value=ANY_VALUE)
def test_the_schema_says_the_same_as_the_check(name: str, value) -> None:
    try:
        jsonschema.validate(value, json_schema(DECLARED[name]))
        fits = True
    except jsonschema.ValidationError:
        fits = False
    try:
        check_value(name, DECLARED[name], value)
        assert fits
    except ParameterError:
        assert not fits


ODD = st.text(alphabet="$({a})'\" -\\=", max_size=12)


@given(before=ODD, value=ODD, after=ODD)
def test_a_value_arrives_in_the_container_as_it_is(before: str, value: str, after: str) -> None:
    """Whatever stands around it, and whatever Kubernetes makes of dollar signs."""
    template = f"{literal(before).replace('$', '').replace('(', '')}${{title}}{literal(after).replace('$', '')}"
    arrived = expanded(fill(template, {"title": value}), {"a": "SECRET"})
    head, tail = template.split("${title}")
    assert arrived == head + value + tail
