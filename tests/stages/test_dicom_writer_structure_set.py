"""The RT Structure Set: contours that hold exactly the voxels of their label, on the slices that they name."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage

from clara_ops.contract.labels import Code
from tests.dicomgen.case import STACKS, Case, make_case, points_of, sources_of
from tests.dicomgen.multiframe import make_multiframe
from tests.dicomgen.results import TABLE, label_at, label_image, write_labels
from tests.dicomgen.series import Array, Geometry, make_series


def structure_set_of(case: Case, labels: sitk.Image) -> Dataset:
    found, _ = case.write(labels, "--no-overlay", "--structure-set")
    assert found.SOPClassUID == RTStructureSetStorage
    return found


def contour_points(contour: Dataset) -> Array:
    assert contour.ContourGeometricType == "CLOSED_PLANAR"
    points = np.array([float(number) for number in contour.ContourData]).reshape(-1, 3)
    assert len(points) == contour.NumberOfContourPoints
    return points


def held(points: Array, image: Dataset) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """The voxels of an image whose centres lie inside a contour on it, by crossings with a ray along the row."""
    orientation = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
    origin = np.array(image.ImagePositionPatient, float)
    normal = np.cross(*orientation)
    np.testing.assert_allclose((points - origin) @ normal, 0, atol=1e-3)
    corners = (points - origin) @ orientation.T
    centres = (points_of(image) - origin) @ orientation.T
    inside = np.zeros(centres.shape[:2], np.bool_)
    for (x, y), (next_x, next_y) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        crosses = (y > centres[..., 1]) != (next_y > centres[..., 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            at = x + (centres[..., 1] - y) / (next_y - y) * (next_x - x)
        inside ^= crosses & (centres[..., 0] < at)
    return inside


def held_by_label(structures: Dataset, sources: dict[str, Dataset]) -> dict[tuple[int, str], Array]:
    """How many contours of each label hold each voxel, by label value and instance."""
    counts = {
        (label.value, uid): np.zeros((image.Rows, image.Columns))
        for label in TABLE.labels
        for uid, image in sources.items()
    }
    for label, roi in zip(TABLE.labels, structures.ROIContourSequence, strict=True):
        for contour in roi.get("ContourSequence", ()):
            (image,) = contour.ContourImageSequence
            source = sources[image.ReferencedSOPInstanceUID]
            assert image.ReferencedSOPClassUID == source.SOPClassUID
            counts[label.value, str(source.SOPInstanceUID)] += held(contour_points(contour), source)
    return counts


@pytest.mark.parametrize("geometry", STACKS.values(), ids=STACKS)
def test_contours_hold_exactly_their_label(geometry: Geometry, tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series(geometry))
    sources = sources_of(case)
    for (value, uid), count in held_by_label(structure_set_of(case, label_image(case.image)), sources).items():
        np.testing.assert_array_equal(count, (label_at(points_of(sources[uid])) == value).astype(float))


def test_holes_stay_out_of_their_contour(tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series())
    array = np.zeros((5, 10, 12), np.uint8)
    array[1:4, 1:9, 1:11] = 3
    array[1:4, 3:5, 3:5] = array[1:4, 6, 7:9] = 0
    array[2, 3, 3] = 7
    labels = sitk.GetImageFromArray(array)
    labels.CopyInformation(case.image)
    structures = structure_set_of(case, labels)
    assert [len(roi.get("ContourSequence", ())) for roi in structures.ROIContourSequence] == [3, 1, 0]
    counts = held_by_label(structures, sources_of(case))
    for label in TABLE.labels:
        for number in range(5):
            count = counts[label.value, f"1.2.826.0.1.1.1.{number + 1}"]
            np.testing.assert_array_equal(count, (array[number] == label.value).astype(float))


def test_rois_say_what_they_are_and_who_made_them(tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series())
    structures, segmentation = case.write(label_image(case.image), "--no-overlay", "--structure-set")
    rois, contours = structures.StructureSetROISequence, structures.ROIContourSequence
    observations = structures.RTROIObservationsSequence
    assert [roi.ROINumber for roi in rois] == [1, 2, 3]
    assert [contour.ReferencedROINumber for contour in contours] == [1, 2, 3]
    assert [(found.ReferencedROINumber, found.ObservationNumber) for found in observations] == [(1, 1), (2, 2), (3, 3)]
    assert [roi.ROIName for roi in rois] == ["Liver", "Left kidney", "Spleen"]
    assert [list(contour.ROIDisplayColor) for contour in contours] == [list(label.color) for label in TABLE.labels]
    for number, roi in enumerate(rois, start=1):
        assert roi.ReferencedFrameOfReferenceUID == structures.FrameOfReferenceUID == "1.2.826.0.1.1.9"
        assert roi.ROIGenerationAlgorithm == "AUTOMATIC"
        (made_by,) = roi.ROIDerivationAlgorithmIdentificationSequence
        assert (made_by.AlgorithmName, made_by.AlgorithmVersion) == ("phantom-net", "1.2")
        (definition,) = roi.DefinitionSourceSequence
        assert definition.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        assert definition.ReferencedSegmentNumber == number
    assert observations[1].RTROIIdentificationCodeSequence[0].CodeMeaning == "Kidney"
    assert observations[1].AnatomicRegionSequence[0].CodeMeaning == "Left"
    assert observations[1].RTROIInterpretedType == "ORGAN"
    assert "AnatomicRegionSequence" not in observations[0]


@pytest.mark.parametrize(("category", "interpreted"), [("91723000", "ORGAN"), ("85756007", "")])
def test_anatomical_structures_are_organs_for_planning_systems(category: str, interpreted: str, tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series())
    labels = tuple(replace(label, category=Code(category, "SCT", "x")) for label in TABLE.labels)
    write_labels(case.volume, tmp_path / "labels", label_image(case.image), replace(TABLE, labels=labels))
    structures, _ = case.objects("--no-overlay", "--structure-set")
    assert {found.RTROIInterpretedType for found in structures.RTROIObservationsSequence} == {interpreted}


def test_every_image_of_the_source_is_referenced(tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series())
    (frame_of_reference,) = structure_set_of(case, label_image(case.image)).ReferencedFrameOfReferenceSequence
    (study,) = frame_of_reference.RTReferencedStudySequence
    (series,) = study.RTReferencedSeriesSequence
    assert frame_of_reference.FrameOfReferenceUID == "1.2.826.0.1.1.9"
    assert study.ReferencedSOPInstanceUID == "1.2.826.0.1.1"
    assert series.SeriesInstanceUID == "1.2.826.0.1.1.1"
    assert {image.ReferencedSOPInstanceUID for image in series.ContourImageSequence} == set(sources_of(case))


def test_contours_on_a_multi_frame_object_name_its_frames(tmp_path: Path) -> None:
    source = make_multiframe(make_series(), describe=_no_description)
    case = make_case(tmp_path, [source])
    liver, *_ = structure_set_of(case, label_image(case.image)).ROIContourSequence
    heights = [float(group.PlanePositionSequence[0].ImagePositionPatient[2]) for group in
               source.PerFrameFunctionalGroupsSequence]  # fmt: skip
    assert liver.ContourSequence
    for contour in liver.ContourSequence:
        (image,) = contour.ContourImageSequence
        assert image.ReferencedSOPInstanceUID == source.SOPInstanceUID
        np.testing.assert_allclose(contour_points(contour)[:, 2], heights[image.ReferencedFrameNumber - 1])


def _no_description(frame: Dataset, index: int) -> None:
    """A frame that says no more than where it is."""


def test_a_contour_of_more_than_64_kibibytes_is_whole(tmp_path: Path) -> None:
    geometry = Geometry(rows=60, columns=120, count=3, pixel_spacing=(0.123, 0.117), step=(0.0, 0.0, 2.0))
    case = make_case(tmp_path, make_series(geometry))
    comb = np.zeros((3, 60, 120), np.uint8)
    comb[:, ::2, :] = comb[:, :, 0] = 3
    comb[:, 1::4, 2:118:2] = 3
    comb[:, 3::4, 3:118:2] = 3
    labels = sitk.GetImageFromArray(comb)
    labels.CopyInformation(case.image)
    structures = structure_set_of(case, labels)
    assert structures.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    longest = max(
        len("\\".join(map(str, found.ContourData))) for found in structures.ROIContourSequence[0].ContourSequence
    )
    assert longest > 1 << 16
    counts = held_by_label(structures, sources_of(case))
    for number in range(3):
        np.testing.assert_array_equal(counts[3, f"1.2.826.0.1.1.1.{number + 1}"], (comb[number] == 3).astype(float))


@pytest.mark.e2e
@pytest.mark.parametrize("geometry", [STACKS["axial"], STACKS["feet first"]], ids=["axial", "feet first"])
def test_plastimatch_fills_the_contours_to_the_same_voxels(geometry: Geometry, tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series(geometry))
    labels = label_image(case.image)
    structures = structure_set_of(case, labels)
    subprocess.run(
        ["plastimatch", "convert", "--input", structures.filename, "--fixed", case.volume,
         "--output-prefix", tmp_path / "masks", "--prefix-format", "nrrd"],
        check=True, capture_output=True,
    )  # fmt: skip
    for label in TABLE.labels[:2]:
        mask = sitk.ReadImage(str(tmp_path / "masks" / f"{label.name}.nrrd"))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(mask) > 0, sitk.GetArrayFromImage(labels) == label.value)
