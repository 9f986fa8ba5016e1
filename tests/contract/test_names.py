"""Names that cross rooms: what is allowed, and what would break a folder, a label or an association."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clara_ops.contract.errors import NameRuleError
from clara_ops.contract.names import check_ae_title, check_dns_label, check_folder, check_uid, is_workflow_id
from clara_ops.contract.run_id import check_run_id, make_run_id

PRINTABLE = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\\"), min_size=1, max_size=16
)


@pytest.mark.parametrize("title", ["", "   ", "A" * 17, "A\\B", "KÖLN", "A\nB"])
def test_ae_titles_that_the_standard_forbids(title: str) -> None:
    with pytest.raises(NameRuleError, match="AE title"):
        check_ae_title(title)


def test_spaces_around_an_ae_title_mean_nothing() -> None:
    assert check_ae_title("  CT_AI ") == "CT_AI"


@pytest.mark.parametrize("uid", ["", "1..2", "1.02", ".1", "1.", "1.2.a", "1" * 65, "../../etc"])
def test_uids_that_the_standard_forbids(uid: str) -> None:
    with pytest.raises(NameRuleError, match="UID"):
        check_uid(uid)


@pytest.mark.parametrize("folder", ["", "/etc", "..", "a/../b", "a//b", "a/", "./a", "a b", "a\x00b", "-a", ".hidden"])
def test_folders_that_could_leave_the_payload_or_need_quoting(folder: str) -> None:
    with pytest.raises(NameRuleError, match="folder"):
        check_folder(folder)


def test_folders_of_2019() -> None:
    assert check_folder("dicom-reader/input") == "dicom-reader/input"


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a" * 64, "a.b"])
def test_names_that_kubernetes_refuses(name: str) -> None:
    with pytest.raises(NameRuleError, match="stage"):
        check_dns_label(name, "stage")


def test_workflow_ids() -> None:
    assert is_workflow_id("1db65f99-c9b7-4329-ab9c-d519e0557638")
    assert not is_workflow_id("1DB65F99-C9B7-4329-AB9C-D519E0557638")
    assert not is_workflow_id("organ-seg")


def test_the_same_input_gives_the_same_run_id() -> None:
    first = make_run_id("1db65f99-c9b7-4329-ab9c-d519e0557638", "CT_AI", "1.2.3", 1)
    assert first == make_run_id("1db65f99-c9b7-4329-ab9c-d519e0557638", "CT_AI ", "1.2.3", 1)
    assert re.fullmatch(r"ct-ai-[0-9a-f]{20}-g1", first)


@given(PRINTABLE.filter(lambda title: title.strip()), st.text(max_size=64), st.integers(1, 10_000))
def test_every_run_id_is_a_folder_name_and_a_label(title: str, group: str, generation: int) -> None:
    run_id = check_run_id(make_run_id("w", title, group, generation))
    assert len(run_id) <= 63
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", run_id)


@pytest.mark.parametrize("other", [("w2", "CT_AI", "1"), ("w", "MR_AI", "1"), ("w", "CT_AI", "2")])
def test_other_input_gives_another_run_id(other: tuple[str, str, str]) -> None:
    assert make_run_id(*other, 1) != make_run_id("w", "CT_AI", "1", 1)


def test_a_generation_counts_from_one() -> None:
    with pytest.raises(NameRuleError, match="generation 0"):
        make_run_id("w", "CT_AI", "1", 0)
