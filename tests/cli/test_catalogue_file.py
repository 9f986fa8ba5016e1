"""`clara-wf cs` on files: the very entry of 2019, and not a line of the user's changed."""

import copy
import difflib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clara_ops.cli.catalogue_file import add_stage
from clara_ops.cli.errors import CatalogueFileError
from clara_ops.contract.errors import NameRuleError

ROOT = Path(__file__).resolve().parents[2]
VALUES_2019 = ROOT / "tests" / "data" / "clara2019" / "values.yaml"
OURS = ROOT / "helm" / "clara-workflow" / "values.yaml"


def added_lines(before: str, after: str) -> list[str]:
    """The lines that are new; fails when one was changed or lost."""
    changes = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[:2] in ("+ ", "- ")]
    assert not [line for line in changes if line.startswith("- ")]
    return [line[2:] for line in changes]


def entry_of_2019() -> list[str]:
    lines = VALUES_2019.read_text().splitlines()
    return lines[lines.index("  user-ai:") : lines.index("workflows:")]


@pytest.mark.parametrize("text", ["", "# a comment\n", "stages:\n", "stages: {}\n", "stages:  # ours\n", "other: 1\n"])
def test_into_a_file_without_stages(text: str) -> None:
    addition = add_stage(text, "user-ai", "values.yaml")
    assert "\n".join(entry_of_2019()) in addition.text
    assert list(yaml.safe_load(addition.text)["stages"]) == ["user-ai"]
    assert addition.keys in (("stages.user-ai",), ("stages",))


def test_the_entry_is_the_one_of_2019_line_by_line() -> None:
    text = VALUES_2019.read_text()
    start, end = text.index("  user-ai:"), text.index("workflows:")
    without = text[:start] + text[end:]
    assert add_stage(without, "user-ai", "values.yaml").text == text


def test_ours_gets_the_same_lines_and_nothing_else() -> None:
    before = OURS.read_text()
    addition = add_stage(before, "user-ai", "values.yaml")
    assert added_lines(before, addition.text) == entry_of_2019()
    assert addition.keys == ("stages.user-ai",)


def test_a_complete_entry_is_left_alone() -> None:
    before = VALUES_2019.read_text()
    assert add_stage(before, "ai-vnet", "values.yaml") == type(add_stage("", "x", ""))(before, ())


EDITED = """\
# the hospital's own catalogue
stages:
    user-ai:                # made by the research group
        image: {repository: registry.example/ai}   # tag to come
        # how long it may take
        timeout: "900"
        command:
          - python
          - user_ai.py

        stageName: "user-ai"
    # nothing after this
other: 1
"""


def test_only_missing_keys_are_added_each_at_its_place() -> None:
    addition = add_stage(EDITED, "user-ai", "values.yaml")
    data = yaml.safe_load(addition.text)
    entry = data["stages"]["user-ai"]
    assert entry["timeout"] == "900"
    assert entry["image"] == {"repository": "registry.example/ai", "tag": "latest"}
    assert entry["command"] == ["python", "user_ai.py"]
    assert entry["lockName"] == "user-ai.lock"
    assert data["other"] == 1
    assert "# tag to come" in addition.text
    assert addition.text.index("# nothing after this") > addition.text.index("lockName")
    assert "stages.user-ai.image.tag" in addition.keys
    assert "stages.user-ai.timeout" not in addition.keys
    again = add_stage(addition.text, "user-ai", "values.yaml")
    assert (again.text, again.keys) == (addition.text, ())


def test_a_comment_before_the_next_part_stays_with_it() -> None:
    text = "stages:\n  a:\n    timeout: '5'\n\n# the workflows\nworkflows: {}\n"
    result = add_stage(text, "b", "values.yaml").text
    assert result.endswith("\n# the workflows\nworkflows: {}\n")
    assert list(yaml.safe_load(result)["stages"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages: [dicom-reader]\n", "values.yaml:1:9: stages: expected a mapping"),
        ("- 1\n", "values.yaml:1:1: the file: expected a mapping"),
        ("stages:\n  user-ai: yes\n", "values.yaml:2:12: stages.user-ai: expected a mapping"),
        ("stages: {a: [}\n", "values.yaml:1:14: not YAML"),
    ],
)
def test_another_form_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(CatalogueFileError) as refused:
        add_stage(text, "user-ai", "values.yaml")
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("name", ["User", "a b", "-a", "", "../x", "a" * 64])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(NameRuleError):
        add_stage("", name, "values.yaml")


KEYS = st.sampled_from(["image", "input", "output", "stageName", "appDir", "inputs", "logName", "timeout", "mine"])
ENTRIES: st.SearchStrategy[dict[str, object]] = st.dictionaries(
    KEYS, st.none() | st.builds(dict) | st.builds(dict, name=st.just("x")), max_size=6
)


@given(
    entries=st.dictionaries(st.sampled_from(["a", "user-ai", "z"]), ENTRIES, max_size=3),
    flow=st.sampled_from([True, False, None]),
    indent=st.sampled_from([2, 4]),
)
def test_whatever_is_there_stays_and_all_keys_are_there_in_the_end(
    entries: dict[str, dict[str, object]], flow: bool | None, indent: int
) -> None:
    entries = copy.deepcopy(entries)
    for entry in entries.values():
        entry.update({key: "text" for key in ("stageName", "appDir", "inputs", "logName", "timeout") if key in entry})
    before = yaml.safe_dump({"stages": entries, "last": 1}, default_flow_style=flow, indent=indent, sort_keys=False)
    after = yaml.safe_load(add_stage(before, "user-ai", "values.yaml").text)
    assert after["last"] == 1
    assert set(after["stages"]) == {*entries, "user-ai"}
    wanted = yaml.safe_load("\n".join(entry_of_2019()))["user-ai"]
    for name, entry in entries.items():
        for key, value in entry.items():
            expected = wanted[key] | (value or {}) if name == "user-ai" and isinstance(wanted.get(key), dict) else value
            assert after["stages"][name][key] == expected
    assert set(wanted) <= set(after["stages"]["user-ai"])


def test_an_empty_value_above_a_missing_key_is_filled_at_its_own_depth() -> None:
    before = "stages:\n  user-ai:\n    output: null\n    input: {}\n"
    after = yaml.safe_load(add_stage(before, "user-ai", "values.yaml").text)["stages"]["user-ai"]
    assert after["output"] == {"name": "output"}
    assert after["image"] == {"repository": "user-ai", "tag": "latest"}
