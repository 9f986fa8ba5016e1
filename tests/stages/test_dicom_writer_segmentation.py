"""Every encoding of a Segmentation holds the same voxels, for whoever reads it."""

import subprocess
import sys
from pathlib import Path

import highdicom
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, SegmentationStorage

from tests.dicomgen.case import STACKS, Case, make_case, points_of, sources_of
from tests.dicomgen.results import TABLE, label_at, label_image
from tests.dicomgen.series import Geometry, make_series

ENCODINGS = {
    "binary": (SegmentationStorage, ExplicitVRLittleEndian),
    "fractional": (SegmentationStorage, RLELossless),
    "labelmap": ("1.2.840.10008.5.1.4.1.1.66.7", RLELossless),
}


def segmentation_of(case: Case, labels: sitk.Image, *arguments: str) -> Dataset:
    (found,) = case.write(labels, "--no-overlay", *arguments)
    return found


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("empty_frames", [[], ["--keep-empty-frames"]], ids=["without empty frames", "with"])
@pytest.mark.parametrize("geometry", [STACKS["oblique"], STACKS["tilted gantry"]], ids=["oblique", "tilted gantry"])
def test_highdicom_reads_the_labels_of_every_source_instance(
    encoding: str, empty_frames: list[str], geometry: Geometry, tmp_path: Path
) -> None:
    case = make_case(tmp_path, make_series(geometry))
    written = segmentation_of(case, label_image(case.image), "--segmentation", encoding, *empty_frames)
    assert (written.SOPClassUID, written.file_meta.TransferSyntaxUID) == ENCODINGS[encoding]
    assert written.SegmentationType == encoding.upper()
    sources = sources_of(case)
    found = highdicom.seg.segread(written.filename)
    pixels = found.get_pixels_by_source_instance(list(sources), assert_missing_frames_are_empty=True)
    for planes, image in zip(pixels, sources.values(), strict=True):
        labels = label_at(points_of(image))
        for number, label in enumerate(TABLE.labels):
            np.testing.assert_array_equal(planes[..., number] > 0.5, labels == label.value)


def test_a_fractional_segmentation_is_all_or_nothing(tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series())
    written = segmentation_of(case, label_image(case.image), "--segmentation", "fractional")
    assert (written.SegmentationFractionalType, written.MaximumFractionalValue) == ("OCCUPANCY", 255)
    assert set(np.unique(written.pixel_array)) == {0, 255}


def test_a_label_map_holds_segment_numbers(tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series())
    written = segmentation_of(case, label_image(case.image), "--segmentation", "labelmap")
    assert [segment.SegmentNumber for segment in written.SegmentSequence] == [0, 1, 2, 3]
    assert [segment.SegmentLabel for segment in written.SegmentSequence[1:]] == ["Liver", "Left kidney", "Spleen"]
    sources = sources_of(case)
    for frame, group in zip(written.pixel_array, written.PerFrameFunctionalGroupsSequence, strict=True):
        (image,) = group.DerivationImageSequence[0].SourceImageSequence
        labels = label_at(points_of(sources[image.ReferencedSOPInstanceUID]))
        np.testing.assert_array_equal(frame, np.select([labels == 3, labels == 7], [1, 2]))


@pytest.mark.parametrize(("encoding", "frames"), [("binary", (3, 15)), ("fractional", (3, 15)), ("labelmap", (2, 5))])
def test_empty_frames_are_kept_when_asked_for(encoding: str, frames: tuple[int, int], tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series())
    array = np.zeros((5, 10, 12), np.uint8)
    array[1, 2:5, 2:5] = array[2, 2:5, 2:5] = 3
    array[2, 7:9, 2:5] = 7
    labels = sitk.GetImageFromArray(array)
    labels.CopyInformation(case.image)
    lean = segmentation_of(case, labels, "--segmentation", encoding)
    assert lean.NumberOfFrames == frames[0]
    Path(str(lean.filename)).unlink()
    full = segmentation_of(case, labels, "--segmentation", encoding, "--keep-empty-frames")
    assert full.NumberOfFrames == frames[1]
    assert full.SOPInstanceUID != lean.SOPInstanceUID
    assert full.pixel_array.sum() == lean.pixel_array.sum()


@pytest.mark.e2e
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_dcmqi_reads_the_same_voxels(encoding: str, tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series(STACKS["oblique"]))
    labels = label_image(case.image)
    written = segmentation_of(case, labels, "--segmentation", encoding)
    reader = Path(sys.executable).with_name("segimage2itkimage")
    (tmp_path / "out").mkdir()
    command = [reader, "--inputDICOM", written.filename, "--outputDirectory", tmp_path / "out", "--outputType", "nrrd"]
    subprocess.run(command, check=True, capture_output=True)
    found = np.zeros(sitk.GetArrayFromImage(labels).shape, int)
    for path in sorted((tmp_path / "out").glob("*.nrrd")):
        volume = sitk.Resample(sitk.ReadImage(str(path)), labels, sitk.Transform(), sitk.sitkNearestNeighbor)
        values = sitk.GetArrayFromImage(volume)
        number = int(path.stem)
        found += values if encoding == "labelmap" else np.where(values > 0, number, 0)
    wanted = sitk.GetArrayFromImage(labels)
    np.testing.assert_array_equal(found, np.select([wanted == 3, wanted == 7], [1, 2]))
