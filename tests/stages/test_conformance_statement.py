"""docs/dicom-conformance-stages.md names every attribute that dicom-writer writes, and all that it always writes."""

import re
import shutil
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

from tests.dicomgen.case import make_case, manifest
from tests.dicomgen.results import label_image
from tests.dicomgen.series import make_series

STATEMENT = (Path(__file__).resolve().parents[2] / "docs" / "dicom-conformance-stages.md").read_text(encoding="utf-8")
SECTIONS = {
    "SEG": "Segmentation and Label Map Segmentation",
    "OT": "Secondary Capture Image",
    "CT": "CT, MR and PET Image",
    "RTSTRUCT": "RT Structure Set",
    "SR": "Comprehensive 3D SR",
    "DOC": "Encapsulated PDF",
    "M3D": "Encapsulated STL",
}
ROW = re.compile(r"\| [^|]+ \(([0-9A-F]{4}),([0-9A-F]{4})\) \| [^|]+ \| ([^|]+) \|")


def rows(text: str) -> dict[int, str]:
    """Presence by tag."""
    return {int(group + element, 16): presence for group, element, presence in ROW.findall(text)}


def section(name: str) -> dict[int, str]:
    return rows(STATEMENT.split(f"### {name}\n")[1].split("\n### ")[0].split("\n## ")[0])


COMMON = rows(STATEMENT.split("## 5. ")[1].split("\n### ")[0])


@pytest.mark.e2e
@pytest.mark.parametrize("encoding", ["binary", "fractional", "labelmap"])
def test_the_statement_is_what_is_written(encoding: str, tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series())
    shutil.copytree(case.volume.parent, tmp_path / "labels" / "grey")
    options = ("--structure-set", "--measurements", "--report", "--surfaces", "--not-for-diagnostic-use")
    objects = case.write(label_image(case.image), *options, "--segmentation", encoding, manifest=manifest(tmp_path))
    assert {found.Modality for found in objects} == set(SECTIONS)
    for found in objects:
        assert_is_stated(found, {**COMMON, **section(SECTIONS[found.Modality])})


def assert_is_stated(found: Dataset, stated: dict[int, str]) -> None:
    written = {int(element.tag) for element in found}
    assert not {f"{tag:08X}" for tag in written - set(stated)}, found.Modality
    always = {tag for tag, presence in stated.items() if presence == "always"}
    assert not {f"{tag:08X}" for tag in always - written}, found.Modality
    assert found.SOPClassUID in STATEMENT
    assert UID(found.file_meta.TransferSyntaxUID).name in STATEMENT
