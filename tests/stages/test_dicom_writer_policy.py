"""How series of results are numbered and described, and what they say of their use."""

from pathlib import Path

import numpy as np
import pytest

from tests.dicomgen.case import Case, make_case
from tests.dicomgen.results import label_image
from tests.dicomgen.series import Geometry, make_series

ALL = ("--structure-set", "--measurements")


@pytest.fixture
def case(tmp_path: Path) -> Case:
    images = make_series(Geometry(rows=60, columns=200, pixel_spacing=(0.25, 0.1)))
    for image in images:
        image.SeriesDescription = "Oberbauch"
    return make_case(tmp_path, images)


def test_series_are_numbered_by_kind_and_described_by_kind_and_model(case: Case) -> None:
    found = {
        image.Modality: (image.SeriesNumber, image.SeriesDescription)
        for image in case.write(label_image(case.image), *ALL)
    }
    assert found == {
        "SEG": (1007, "Segmentation phantom-net"),
        "OT": (2007, "Overlay phantom-net"),
        "RTSTRUCT": (4007, "Structures phantom-net"),
        "SR": (5007, "Measurements phantom-net"),
    }


def test_a_site_has_numbers_and_descriptions_of_its_own(case: Case) -> None:
    (found,) = case.write(
        label_image(case.image),
        "--no-overlay",
        "--series-number",
        "200",
        "--series-description",
        "KI {source} {version}",
    )
    assert (found.SeriesNumber, found.SeriesDescription) == (207, "KI Oberbauch 1.2")


def test_every_object_says_what_it_is_not_for(case: Case) -> None:
    labels = label_image(case.image)
    plain = {image.SOPInstanceUID for image in case.write(labels, *ALL)}
    for path in (case.folder / "results").iterdir():
        path.unlink()
    marked = case.write(labels, "--not-for-diagnostic-use", *ALL)
    assert plain.isdisjoint(image.SOPInstanceUID for image in marked)
    for found in marked:
        assert found.SeriesDescription.endswith(", NOT FOR DIAGNOSTIC USE")
        if found.Modality in ("OT", "SEG"):
            assert found.ImageComments == "NOT FOR DIAGNOSTIC USE"
        if found.Modality == "RTSTRUCT":
            assert found.StructureSetDescription == "NOT FOR DIAGNOSTIC USE"


def test_pictures_hold_the_notice_at_their_foot(case: Case) -> None:
    labels = label_image(case.image)
    plain = [image.pixel_array for image in case.write(labels) if image.Modality == "OT"]
    for path in (case.folder / "results").iterdir():
        path.unlink()
    marked = [image.pixel_array for image in case.write(labels, "--not-for-diagnostic-use") if image.Modality == "OT"]
    for before, after in zip(plain, marked, strict=True):
        changed = (before != after).any(axis=-1)
        assert not changed[:30].any()
        assert changed[40:].any(axis=0).sum() > 100
        assert np.array_equal(after[changed].max(axis=0)[:2], [255, 255])


def test_a_long_description_leaves_the_notice_whole(case: Case) -> None:
    (found,) = case.write(
        label_image(case.image), "--no-overlay", "--not-for-diagnostic-use", "--series-description", "x" * 64
    )
    assert len(found.SeriesDescription) == 64
    assert found.SeriesDescription.endswith("x, NOT FOR DIAGNOSTIC USE")
