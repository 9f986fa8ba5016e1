"""Label tables beside volumes, held against the voxels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clara_ops.contract.documents import write_document
from clara_ops.contract.errors import DocumentError
from clara_ops.contract.labels import LabelTable
from clara_ops.imaging.errors import LabelError
from clara_ops.imaging.label_table import check_labels, labels_path, read_label_table, write_label_table
from tests.dicomgen.results import TABLE

VOLUME = Path("1.2.840.1.mhd")


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_label_table(TABLE, tmp_path / VOLUME)
    assert labels_path(tmp_path / VOLUME).name == "1.2.840.1.labels.json"
    assert read_label_table(tmp_path / VOLUME) == TABLE


def test_a_volume_without_table_holds_grey_values(tmp_path: Path) -> None:
    assert read_label_table(tmp_path / VOLUME) is None


@pytest.mark.parametrize("value", [0, -1, 65536])
def test_values_that_no_label_can_have_are_refused(value: int, tmp_path: Path) -> None:
    table = replace(TABLE, labels=(replace(TABLE.labels[0], value=value),))
    with pytest.raises(LabelError, match=f"label 'Liver' has value {value}"):
        write_label_table(table, tmp_path / VOLUME)


def test_a_value_given_twice_is_refused(tmp_path: Path) -> None:
    table = replace(TABLE, labels=(TABLE.labels[0], replace(TABLE.labels[1], value=3)))
    with pytest.raises(LabelError, match="value 3 is given twice, the second time for 'Left kidney'"):
        write_label_table(table, tmp_path / VOLUME)


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    labels_path(tmp_path / VOLUME).write_text('{"version": 1, "labels": []}')
    with pytest.raises(DocumentError, match="algorithm_name"):
        read_label_table(tmp_path / VOLUME)


def test_voxels_are_held_against_the_table() -> None:
    check_labels(np.array([[[0, 3, 7, 9]]], np.int16), TABLE, VOLUME)
    with pytest.raises(LabelError, match="holds value 4"):
        check_labels(np.array([[[0, 4]]], np.uint8), TABLE, VOLUME)
    with pytest.raises(LabelError, match="values from -1 to 3"):
        check_labels(np.array([[[-1, 3]]], np.int16), TABLE, VOLUME)
    with pytest.raises(LabelError, match="float64"):
        check_labels(np.zeros((1, 1, 1)), TABLE, VOLUME)


LIVER = TABLE.labels[0]
WORDS = {
    "no label": (replace(TABLE, labels=()), "explains no label"),
    "no name": (replace(TABLE, labels=(replace(LIVER, name=" "),)), r"labels\[0\]\.name is empty"),
    "long name": (replace(TABLE, labels=(replace(LIVER, name="x" * 65),)), r"labels\[0\]\.name has 65 characters"),
    "backslash": (replace(TABLE, labels=(replace(LIVER, name="a\\b"),)), r"labels\[0\]\.name .* backslash"),
    "control character": (replace(TABLE, labels=(replace(LIVER, name="a\tb"),)), "control character"),
    "color": (replace(TABLE, labels=(replace(LIVER, color=(0, 256, 0)),)), r"labels\[0\]\.color is \[0, 256, 0\]"),
    "scheme": (
        replace(TABLE, labels=(LIVER, replace(LIVER, value=4, type=replace(LIVER.type, scheme="SNOMED CT SEPT 2024")))),
        r"labels\[1\]\.type\.scheme has 19 characters, DICOM takes 16",
    ),
    "meaning": (
        replace(TABLE, labels=(replace(LIVER, anatomy=replace(LIVER.type, meaning="")),)),
        r"labels\[0\]\.anatomy\.meaning is empty",
    ),
    "algorithm": (replace(TABLE, algorithm_name=""), "algorithm_name is empty"),
    "version": (replace(TABLE, algorithm_version="1\\2"), "algorithm_version"),
}


@pytest.mark.parametrize(("table", "message"), WORDS.values(), ids=WORDS)
def test_what_dicom_cannot_say_is_refused(table: LabelTable, message: str, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=message):
        write_label_table(table, tmp_path / VOLUME)
    write_document(table, labels_path(tmp_path / VOLUME))
    with pytest.raises(LabelError, match=message):
        read_label_table(tmp_path / VOLUME)


@pytest.mark.parametrize("name", ["肝　臓", "간", "Печень", "كبد", "x" * 64])
def test_names_in_any_script_are_taken(name: str, tmp_path: Path) -> None:
    write_label_table(replace(TABLE, labels=(replace(LIVER, name=name),)), tmp_path / VOLUME)
    found = read_label_table(tmp_path / VOLUME)
    assert found and found.labels[0].name == name
