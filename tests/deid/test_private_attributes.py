from pathlib import Path

import pytest
from pydicom.tag import Tag

from clara_ops.deid.errors import AllowListError
from clara_ops.deid.private_attributes import read_allow_list


def test_a_list_is_read_as_the_standard_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "safe.txt"
    path.write_text(
        "# PS3.15 table E.3.10-1\n\n(0019,xx0C) SIEMENS MR HEADER\n7053,XX09, Philips PET Private Group\n",
        encoding="utf-8",
    )
    allow_list = read_allow_list(path)
    assert allow_list.allows(Tag(0x0019, 0x100C), "SIEMENS MR HEADER")
    assert allow_list.allows(Tag(0x0019, 0x340C), "SIEMENS MR HEADER")
    assert allow_list.allows(Tag(0x7053, 0x1009), "Philips PET Private Group")
    assert not allow_list.allows(Tag(0x0019, 0x100D), "SIEMENS MR HEADER")
    assert not allow_list.allows(Tag(0x0019, 0x100C), "ANOTHER")
    assert not allow_list.allows(Tag(0x0021, 0x100C), "SIEMENS MR HEADER")


@pytest.mark.parametrize("line", ["(0018,xx0C) EVEN GROUP", "(0019,100C) NO BLOCK", "(0019,xx0C)", "SIEMENS"])
def test_a_line_of_another_form_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "safe.txt"
    path.write_text(f"(0019,xx0C) SIEMENS MR HEADER\n{line}\n", encoding="utf-8")
    with pytest.raises(AllowListError, match=r"safe\.txt:2: "):
        read_allow_list(path)


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AllowListError, match=r"nowhere\.txt"):
        read_allow_list(tmp_path / "nowhere.txt")
