"""The tables, against rows read from another copy of the standard (edition 2026a), and what follows from a row."""

import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage, EnhancedPETImageStorage, SegmentationStorage

from clara_ops.deid.profile import Action, Option, attribute_type, content_rule, rule_for
from clara_ops.deid.tables import read_table

KNOWN = """
00020003 U retain_uids=K
00080012 X/D retain_full_dates=K retain_modified_dates=C
0008002A X/Z/D retain_full_dates=K retain_modified_dates=C
00080050 Z
00080054 X retain_device=C
00080080 X/Z/D retain_institution=K
00080106 D retain_full_dates=K retain_modified_dates=C
00081010 X/Z/D retain_device=K
00081072 X/D
00081111 X/Z/D retain_uids=K
00081140 X/Z/U* retain_uids=K
00081304 X clean_descriptors=C
00100010 Z
00100020 Z/D
00100030 Z
00100040 Z retain_patient_characteristics=K
00100042 X retain_patient_characteristics=C clean_descriptors=C
00102203 X/Z retain_patient_characteristics=K
00104000 X clean_descriptors=C
00120030 Z retain_institution=K
0014407C X retain_device=K retain_full_dates=K retain_modified_dates=C
0018100B U retain_uids=K retain_device=K
0018700E X/D retain_device=K retain_full_dates=K retain_modified_dates=C
00189919 Z/D retain_full_dates=K retain_modified_dates=C
0020000D U retain_uids=K
00321021 X retain_device=C
00380500 X retain_patient_characteristics=C clean_descriptors=C
003A0314 D retain_full_dates=K retain_modified_dates=C
00400555 X/Z clean_structured_content=C
00400610 Z clean_structured_content=C
0040A123 D
0040A124 U
0040A730 D clean_structured_content=C
0040B020 X/D clean_structured_content=C
00420011 D
006A0003 D retain_uids=K
00700001 D clean_graphics=C
00700006 D clean_descriptors=C
0072005E D retain_device=C
00880200 X
04000564 Z retain_institution=K
22000002 X/Z clean_descriptors=C
30060026 Z clean_descriptors=C
300A0054 U retain_uids=K
300C0127 D retain_device=K retain_full_dates=K retain_modified_dates=C
300E0008 X/Z
3010001B Z
40080114 X
FFFAFFFA X
""".strip()

KNOWN_CONTENT = """
DCM 109054 TEXT X clean_descriptors=C
DCM 110180 UIDREF D retain_uids=K
DCM 111018 DATE X/D retain_full_dates=K retain_modified_dates=C
DCM 113795 IMAGE D retain_uids=K
DCM 113873 TEXT X retain_institution=K
DCM 113880 TEXT X/D retain_device=K
DCM 121000 CONTAINER X retain_device=K
DCM 121012 UIDREF X/D retain_uids=K retain_device=K
DCM 121022 TEXT X
DCM 121029 PNAME D
DCM 121031 DATE X
DCM 121032 CODE X retain_patient_characteristics=K
DCM 121033 NUM X retain_patient_characteristics=K
DCM 121071 TEXT X/D clean_descriptors=C
DCM 121112 IMAGE D retain_uids=K
DCM 121112 WAVEFORM X retain_uids=K
DCM 121122 TEXT X retain_device=K clean_descriptors=C
DCM 121214 IMAGE D retain_uids=K
DCM 127858 TIME D retain_full_dates=K retain_modified_dates=C
LN 18785-6 TEXT D clean_descriptors=C
LN 74711-3 TEXT X retain_device=K
NCDR 76 PNAME D
NCIt C54627 NUM X
SCT 363698007 TEXT D clean_descriptors=C
SCT 398201009 DATETIME D retain_full_dates=K retain_modified_dates=C
"""


@pytest.mark.parametrize("line", KNOWN.splitlines())
def test_rows_of_table_e1_1(line: str) -> None:
    tag, basic, *options = line.split()
    rows = {row["tag"].replace(",", ""): row for row in read_table("table_e1_1.csv")}
    cells = {name: value for name, value in rows[tag].items() if value and name not in ("tag", "keyword", "basic")}
    assert rows[tag]["basic"] == basic
    assert cells == dict(option.split("=") for option in options)


@pytest.mark.parametrize("line", KNOWN_CONTENT.strip().splitlines())
def test_rows_of_table_e3_4_1(line: str) -> None:
    scheme, code, value_type, basic, *options = line.split()
    found = [
        row
        for row in read_table("table_e3_4_1.csv")
        if (row["scheme"], row["code"], row["value_type"]) == (scheme, code, value_type)
    ]
    named = ("scheme", "code", "retired_code", "value_type", "meaning", "basic")
    assert [row["basic"] for row in found] == [basic]
    assert {name: value for name, value in found[0].items() if value and name not in named} == dict(
        option.split("=") for option in options
    )


def test_the_tables_are_whole() -> None:
    rows = list(read_table("table_e1_1.csv"))
    assert len(rows) == len({row["tag"] for row in rows}) == 657
    counts = {column: sum(bool(row[column]) for row in rows) for column in rows[0] if column not in ("tag", "keyword")}
    assert counts["retain_full_dates"] == counts["retain_modified_dates"]
    assert counts["retain_safe_private"] == 1 and counts["clean_graphics"] == 4
    assert {row["basic"] for row in rows} == {"D", "Z", "X", "U", "Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U*"}
    assert len(list(read_table("table_e3_4_1.csv"))) == 213


def test_keywords_are_those_of_the_dictionary() -> None:
    """Where pydicom knows a keyword it has the row's tag; rows of a later edition it does not know yet."""
    rows = [row for row in read_table("table_e1_1.csv") if "," in row["tag"] and "x" not in row["tag"]]
    known = {row["keyword"]: tag_for_keyword(row["keyword"]) for row in rows}
    assert sum(tag is not None for tag in known.values()) > 610
    for row in rows:
        assert known[row["keyword"]] in (None, int(row["tag"].replace(",", ""), 16)), row


def test_curves_and_overlays_are_found_in_every_group() -> None:
    for tag in (0x50003000, 0x501E0010, 0x60003000, 0x60024000, 0x60FE0010):
        rule = rule_for(Tag(tag))
        assert rule is not None
        assert rule.basic == (Action.REMOVE,)
    assert rule_for(Tag(0x00280010)) is None


def test_an_option_overrides_the_profile_and_cleaning_wins_over_keeping() -> None:
    rule = rule_for(Tag("DateOfLastCalibration"))
    assert rule is not None
    assert rule.action(frozenset(), "3") == Action.REMOVE
    assert rule.action(frozenset({Option.RETAIN_DEVICE}), "3") == Action.KEEP
    assert rule.action(frozenset({Option.RETAIN_DEVICE, Option.RETAIN_MODIFIED_DATES}), "3") == Action.CLEAN
    assert rule.action(frozenset({Option.RETAIN_UIDS}), "3") == Action.REMOVE


@pytest.mark.parametrize(
    ("keyword", "attribute_type", "expected"),
    [
        ("StationName", "3", Action.REMOVE),
        ("StationName", "2", Action.EMPTY),
        ("StationName", "1", Action.DUMMY),
        ("StationName", None, Action.DUMMY),
        ("SeriesDate", "2", Action.DUMMY),
        ("ReferencedStudySequence", "2", Action.EMPTY),
        ("ContentDate", "2", Action.EMPTY),
        ("ContentDate", "1", Action.DUMMY),
        ("PresentationCreationDate", "1", Action.DUMMY),
        ("RequestedProcedureID", "2", Action.EMPTY),
        ("RequestedProcedureID", None, Action.REMOVE),
        ("StudyDate", "1", Action.DUMMY),
        ("ReferencedImageSequence", "3", Action.REPLACE_UID),
    ],
)
def test_the_type_decides_between_the_alternatives(keyword: str, attribute_type: str | None, expected: Action) -> None:
    rule = rule_for(Tag(keyword))
    assert rule is not None
    assert rule.basic_action(attribute_type) == expected


def test_types_of_attributes() -> None:
    assert attribute_type(Tag("ContentDate"), CTImageStorage, None) == "2"
    assert attribute_type(Tag("ContentDate"), SegmentationStorage, None) == "1"
    assert attribute_type(Tag("StationName"), CTImageStorage, None) == "3"
    assert attribute_type(Tag("StationName"), "1.2.3", None) is None
    within = Tag("RadiopharmaceuticalInformationSequence")
    assert attribute_type(Tag("RadiopharmaceuticalStartDateTime"), EnhancedPETImageStorage, within) == "1"
    assert attribute_type(Tag("StationName"), CTImageStorage, within) is None


def test_a_concept_is_found_by_its_retired_code_too() -> None:
    current = content_rule("SCT", "363698007", "TEXT")
    assert current is not None
    assert content_rule("SRT", "G-C0E3", "TEXT") == content_rule("99SDM", "G-C0E3", "TEXT") == current
    assert content_rule("SCT", "363698007", "CODE") is None
