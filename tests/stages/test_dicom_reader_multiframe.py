"""dicom-reader: enhanced multi-frame CT, MR and PET, legacy converted objects and concatenations."""

import random
from pathlib import Path

import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    LegacyConvertedEnhancedCTImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    RLELossless,
)

from clara_ops.imaging.errors import (
    AmbiguousSeries,
    BrokenFile,
    MissingGeometry,
    MissingSlices,
    MixedMatrix,
    MixedOrientation,
)
from clara_ops.imaging.source_map import read_source_map
from tests.dicomgen.multiframe import make_multiframe
from tests.dicomgen.phantom import assert_is_the_body
from tests.dicomgen.series import Geometry, Identity, Storage, make_series, write_file
from tests.dicomgen.stage import read_volume, read_volumes, run_reader

SERIES = "1.2.826.0.1.1.1"
OBLIQUE = Geometry(
    row_direction=(0.8, 0.36, -0.48), column_direction=(0.0, 0.8, 0.6), step=(0.6 * 3, -0.48 * 3, 0.64 * 3)
)
CLASSES = {
    "CT": EnhancedCTImageStorage,
    "MR": EnhancedMRImageStorage,
    "PT": EnhancedPETImageStorage,
}


def write(dataset: Dataset, folder: Path, syntax: UID = ExplicitVRLittleEndian, name: str = "object.dcm") -> None:
    folder.mkdir(exist_ok=True)
    write_file(dataset, folder / name, syntax)


@pytest.mark.parametrize("modality", CLASSES)
@pytest.mark.parametrize("shared", [(), ("orientation", "measures", "values")], ids=["per frame", "shared"])
@pytest.mark.parametrize("geometry", [Geometry(), OBLIQUE], ids=["axial", "oblique"])
def test_frames_are_sorted_by_their_positions(
    modality: str, shared: tuple[str, ...], geometry: Geometry, tmp_path: Path
) -> None:
    images = make_series(geometry, identity=Identity(modality=modality))
    random.Random(3).shuffle(images)
    write(make_multiframe(images, sop_class_uid=CLASSES[modality], shared=shared), tmp_path / "dicom")

    assert_is_the_body(read_volume(tmp_path / "dicom", tmp_path / "out"))
    source = read_source_map(tmp_path / "out" / f"{SERIES}.mhd")
    assert source is not None
    order = {f"{image.SOPInstanceUID}": number for number, image in enumerate(images, start=1)}
    assert [piece.frame for piece in source.slices] == [order[f"{SERIES}.{number}"] for number in (1, 2, 3, 4, 5)]
    assert {piece.file for piece in source.slices} == {"object.dcm"}


@pytest.mark.parametrize(
    "syntax", [ExplicitVRBigEndian, JPEG2000Lossless, RLELossless], ids=lambda syntax: syntax.keyword
)
def test_frames_in_other_transfer_syntaxes(syntax: UID, tmp_path: Path) -> None:
    images = make_series(Geometry(rows=40, columns=48, pixel_spacing=(0.5, 0.25)))
    write(make_multiframe(images), tmp_path / "dicom", syntax)
    assert_is_the_body(read_volume(tmp_path / "dicom", tmp_path / "out"))


def test_frames_found_by_an_extended_offset_table(tmp_path: Path) -> None:
    image = make_multiframe(make_series(Geometry(rows=40, columns=48, pixel_spacing=(0.5, 0.25))))
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.compress(RLELossless, encapsulate_ext=True, generate_instance_uid=False)
    assert len(image.ExtendedOffsetTable) == 40
    (tmp_path / "dicom").mkdir()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.save_as(tmp_path / "dicom" / "object.dcm", enforce_file_format=True)
    assert_is_the_body(read_volume(tmp_path / "dicom", tmp_path / "out"))


def test_a_rescale_of_its_own_for_every_frame(tmp_path: Path) -> None:
    images = []
    for index in range(5):
        storage = Storage(16, 16, signed=True, slope=0.1 + 0.02 * index, intercept=3.0 * index)
        images += make_series(storage=storage, identity=Identity(modality="PT"), indices=[index], first=index + 1)
    write(make_multiframe(images, sop_class_uid=EnhancedPETImageStorage), tmp_path / "dicom")
    volume = read_volume(tmp_path / "dicom", tmp_path / "out")
    assert volume.GetPixelID() == sitk.sitkFloat32
    assert_is_the_body(volume, tolerance=0.1)


def test_a_legacy_converted_object_is_read(tmp_path: Path) -> None:
    converted = make_multiframe(make_series(), sop_class_uid=LegacyConvertedEnhancedCTImageStorage, shared=())
    write(converted, tmp_path / "dicom")
    assert_is_the_body(read_volume(tmp_path / "dicom", tmp_path / "out"))


def concatenation(parts: int, tmp_path: Path) -> list[Dataset]:
    images = make_series(Geometry(count=6))
    size = 6 // parts
    objects = [make_multiframe(images[start : start + size]) for start in range(0, 6, size)]
    for number, part in enumerate(objects, start=1):
        part.ConcatenationUID, part.SOPInstanceUIDOfConcatenationSource = "1.2.3.4", "1.2.3.5"
        part.InConcatenationNumber, part.InConcatenationTotalNumber = number, parts
    return objects


def test_the_parts_of_a_concatenation_are_one_volume(tmp_path: Path) -> None:
    for number, part in enumerate(concatenation(3, tmp_path)):
        write(part, tmp_path / "dicom", name=f"{9 - number}.dcm")
    assert_is_the_body(read_volume(tmp_path / "dicom", tmp_path / "out"))


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_part_of_a_concatenation_is_noticed(lost: int, tmp_path: Path) -> None:
    parts = concatenation(3, tmp_path)
    del parts[lost]
    for number, part in enumerate(parts):
        write(part, tmp_path / "dicom", name=f"{number}.dcm")
    with pytest.raises(MissingSlices, match="holds 2 of the 3 parts of a concatenation"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_stacks_echoes_and_time_points_are_volumes_of_their_own(tmp_path: Path) -> None:
    def echo(frame: Dataset, index: int) -> None:
        item = Dataset()
        item.EffectiveEchoTime = 4.6 if index < 5 else 9.2
        frame.MREchoSequence = [item]

    def time_point(frame: Dataset, index: int) -> None:
        frame.FrameContentSequence[0].TemporalPositionIndex = 1 + index // 5

    def stack(frame: Dataset, index: int) -> None:
        frame.FrameContentSequence[0].StackID = "AB"[index // 5]

    def diffusion(frame: Dataset, index: int) -> None:
        item = Dataset()
        item.DiffusionBValue = 0.0 if index < 5 else 1000.0
        frame.MRDiffusionSequence = [item]

    def phase(frame: Dataset, index: int) -> None:
        item = Dataset()
        item.NominalPercentageOfCardiacPhase = 30.0 if index < 5 else 70.0
        frame.CardiacSynchronizationSequence = [item]

    for describe in (echo, time_point, stack, diffusion, phase):
        folder = tmp_path / describe.__name__
        folder.mkdir()
        images = [*make_series(identity=Identity(modality="MR")), *make_series(identity=Identity(modality="MR"))]
        write(make_multiframe(images, sop_class_uid=EnhancedMRImageStorage, describe=describe), folder / "dicom")
        with pytest.raises(AmbiguousSeries, match=r"holds 2 volumes: .* \(5 slices\); .* \(5 slices\)"):
            run_reader(folder / "dicom", folder / "refused")
        volumes = read_volumes(folder / "dicom", folder / "out", "--split")
        assert len(volumes) == 2
        for volume in volumes.values():
            assert_is_the_body(volume)


def test_two_orientations_or_spacings_in_one_object_are_refused(tmp_path: Path) -> None:
    images = [*make_series(), *make_series(OBLIQUE)]
    write(make_multiframe(images, shared=()), tmp_path / "dicom")
    with pytest.raises(MixedOrientation):
        run_reader(tmp_path / "dicom", tmp_path / "out")
    images = [*make_series(), *make_series(Geometry(pixel_spacing=(2.0, 2.0)), indices=[5, 6])]
    write(make_multiframe(images, shared=()), tmp_path / "dicom")
    with pytest.raises(MixedMatrix):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_a_missing_frame_is_a_gap(tmp_path: Path) -> None:
    write(make_multiframe(make_series(indices=[0, 1, 2, 4, 5])), tmp_path / "dicom")
    with pytest.raises(MissingSlices, match=r"5\.00 mm between object\.dcm frame 3 and object\.dcm frame 4"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_frames_without_functional_groups_do_not_say_where_they_are(tmp_path: Path) -> None:
    capture = make_multiframe(make_series(), sop_class_uid=MultiFrameGrayscaleWordSecondaryCaptureImageStorage)
    del capture.SharedFunctionalGroupsSequence, capture.PerFrameFunctionalGroupsSequence
    write(capture, tmp_path / "dicom")
    with pytest.raises(MissingGeometry, match=r"object\.dcm frame 1: has no Image Position"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_fewer_functional_groups_than_frames_break_the_file(tmp_path: Path) -> None:
    image = make_multiframe(make_series())
    del image.PerFrameFunctionalGroupsSequence[-1]
    write(image, tmp_path / "dicom")
    with pytest.raises(BrokenFile, match="5 frames, but functional groups for 4"):
        run_reader(tmp_path / "dicom", tmp_path / "out")
