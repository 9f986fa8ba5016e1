"""YAML with places: what is read, and that no file, however hostile, gets past a named error."""

import pickle
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clara_ops.workflow.errors import WorkflowFileError
from clara_ops.workflow.yaml_source import MAX_BYTES, MAX_DEPTH, Mark, parse_yaml, read_yaml


def error_of(content: bytes) -> str:
    with pytest.raises(WorkflowFileError) as raised:
        parse_yaml(content, "f.yaml")
    return str(raised.value)


def test_values_and_keys_have_their_places() -> None:
    source = parse_yaml(b"stages:\n  - stage: ai\n    args: [a, 'b']\n", "f.yaml")
    assert source.data == {"stages": [{"stage": "ai", "args": ["a", "b"]}]}
    assert source.values["stages", 0, "args", 1] == Mark(3, 15)
    assert source.keys["stages", 0, "args"] == Mark(3, 5)


def test_a_problem_stands_at_the_nearest_part_that_the_file_has() -> None:
    source = parse_yaml(b"a:\n  b: 1\n", "f.yaml")
    assert str(source.problem(("a", "b", "c"), "wrong")) == "f.yaml:2:6: wrong"
    assert str(source.part(("a",)).problem(("b",), "wrong", at_key=True)) == "f.yaml:2:3: wrong"


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc xyz:#-", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_reads_what_pyyaml_writes(data: object) -> None:
    text = yaml.safe_dump(data, allow_unicode=True)
    assert parse_yaml(text.encode(), "f.yaml").data == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        (b"a: [1\nb: 2", "f.yaml:2:2", "not YAML"),
        (b"a: \xff\xfe", "f.yaml:1:4", "not UTF-8"),
        (b"a: 1\nb: \x07", "f.yaml:2:1", "not YAML"),
        (b"a: !!python/object/apply:os.system [ls]", "f.yaml:1:4", "tag"),
        (b"a: !env HOME", "f.yaml:1:4", "tag"),
        (b"--- {a: 1}\n--- {b: 2}\n", "f.yaml:2:1", "second YAML document"),
        (b"a: *missing", "f.yaml:1:4", "no anchor"),
        (b"a: 1\nb: 2\na: 3", "f.yaml:3:1", "a second time (first in line 1)"),
        (b"? [a, b]\n: c", "f.yaml:1:3", "a key has to be text"),
        (b"a: &loop [*loop]", "f.yaml:1:4", "levels"),
        (b"[" * 100_000, f"f.yaml:1:{MAX_DEPTH + 1}", "nested deeper"),
        (b"{a: " * 100_000, f"f.yaml:1:{4 * MAX_DEPTH + 1}", "nested deeper"),
        (b"x" * (MAX_BYTES + 1), "f.yaml:1:1", "larger than"),
    ],
)
def test_hostile_files_end_in_an_error_with_a_place(content: bytes, place: str, words: str) -> None:
    message = error_of(content)
    assert message.startswith(f"{place}: ")
    assert words in message


def test_an_anchor_bomb_goes_off_within_a_second() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    start = time.monotonic()
    assert "once its aliases are filled in" in error_of("\n".join(lines).encode())
    assert time.monotonic() - start < 1


def test_anchors_that_do_no_harm_are_filled_in() -> None:
    assert parse_yaml(b"a: &x {b: 1}\nc: *x", "f.yaml").data == {"a": {"b": 1}, "c": {"b": 1}}


def test_numbers_that_are_too_long_stay_text() -> None:
    digits = "9" * 5000
    assert parse_yaml(f"a: {digits}".encode(), "f.yaml").data == {"a": digits}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WorkflowFileError, match="cannot be read"):
        read_yaml(tmp_path / "missing.yaml")


def test_the_error_survives_pickling() -> None:
    """Airflow hands errors from process to process."""
    with pytest.raises(WorkflowFileError) as raised:
        parse_yaml(b"a: [", "f.yaml")
    assert pickle.loads(pickle.dumps(raised.value)).problems == raised.value.problems
