"""dicom-writer: results land on the very voxels they were made for, and are the same when they are made again."""

import shutil
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from clara_ops.contract.errors import BadInput
from clara_ops.imaging.errors import GridMismatch, LabelError, MissingGeometry, MissingSource
from tests.dicomgen.case import SERIES, STACKS, Case, make_case, manifest, plane_points, points_of, sources_of
from tests.dicomgen.phantom import assert_is_the_body
from tests.dicomgen.results import TABLE, label_at, label_image, write_labels
from tests.dicomgen.series import Array, Geometry, Identity, make_series, write_series
from tests.dicomgen.stage import read_volume, run_writer

KINDS = ("--structure-set", "--measurements", "--surfaces")


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return make_case(tmp_path, make_series())


def frame_points(segmentation: Dataset, index: int) -> Array:
    """Where the voxels of one frame of a segmentation are, by its functional groups alone."""
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    position = segmentation.PerFrameFunctionalGroupsSequence[index].PlanePositionSequence[0].ImagePositionPatient
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    return plane_points(segmentation.Rows, segmentation.Columns, position, orientation, spacing)


def assert_segments_are_the_labels(segmentation: Dataset, sources: dict[str, Dataset]) -> None:
    """Every frame holds its label exactly where the phantom has it, and lies on the source instance that it names."""
    values = {number: label.value for number, label in enumerate(TABLE.labels, start=1)}
    assert [segment.SegmentNumber for segment in segmentation.SegmentSequence] == list(values)
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    found = dict.fromkeys(values.values(), 0)
    for index, frame in enumerate(frames):
        own = segmentation.PerFrameFunctionalGroupsSequence[index]
        value = values[own.SegmentIdentificationSequence[0].ReferencedSegmentNumber]
        np.testing.assert_array_equal(frame == 1, label_at(frame_points(segmentation, index)) == value)
        found[value] += int(frame.sum())
        (source,) = own.DerivationImageSequence[0].SourceImageSequence
        instance = sources[source.ReferencedSOPInstanceUID]
        assert source.ReferencedSOPClassUID == instance.SOPClassUID
        np.testing.assert_allclose(
            [float(x) for x in own.PlanePositionSequence[0].ImagePositionPatient],
            [float(x) for x in instance.ImagePositionPatient],
            atol=1e-4,
        )
    whole = [label_at(points_of(image)) for image in sources.values()]
    assert found == {value: sum(int((plane == value).sum()) for plane in whole) for value in values.values()}
    assert found[3] > 0 and found[7] > 0


@pytest.mark.parametrize("geometry", STACKS.values(), ids=STACKS)
def test_a_segmentation_lies_on_its_source(geometry: Geometry, tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series(geometry))
    *_, segmentation = case.write(label_image(case.image))
    assert segmentation.SOPClassUID == SegmentationStorage
    assert segmentation.SegmentationType == "BINARY"
    assert_segments_are_the_labels(segmentation, sources_of(case))


TILTED = STACKS["tilted gantry"]
REGRIDDED = {
    "gaps resampled": (make_series(indices=[0, 1, 2, 4, 5]), ["--gaps", "resample"]),
    "gaps kept": (make_series(indices=[0, 1, 2, 4, 5]), ["--gaps", "keep"]),
    "tilt resampled": (make_series(TILTED), ["--tilt", "resample"]),
    "tilt resampled, gaps resampled": (
        make_series(TILTED, indices=[0, 1, 3, 4, 5]),
        ["--tilt", "resample", "--gaps", "resample"],
    ),
}


@pytest.mark.parametrize(("images", "arguments"), REGRIDDED.values(), ids=REGRIDDED)
def test_results_on_interpolated_volumes_come_back_to_the_planes(
    images: list[Dataset], arguments: list[str], tmp_path: Path
) -> None:
    case = make_case(tmp_path, images, *arguments)
    labels = label_image(case.image)
    if "keep" in arguments:
        planes = [label_at(points_of(image)) for image in images]
        labels = sitk.GetImageFromArray(np.stack(planes))
        labels.CopyInformation(case.image)
    *_, segmentation = case.write(labels)
    sources = sources_of(case)
    differing = total = 0
    for index, frame in enumerate(segmentation.pixel_array):
        own = segmentation.PerFrameFunctionalGroupsSequence[index]
        number = own.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        source = sources[own.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
        np.testing.assert_allclose(frame_points(segmentation, index), points_of(source), atol=1e-4)
        wanted = label_at(points_of(source)) == TABLE.labels[number - 1].value
        differing += int(((frame == 1) != wanted).sum())
        total += int(wanted.sum())
    assert differing <= (0 if "keep" in arguments else 0.15 * total)
    assert total > 100


@pytest.mark.parametrize("order", ["RAS", "LAS", "SPL", "ARI"])
def test_labels_in_another_axis_order_land_on_the_same_voxels(order: str, case: Case) -> None:
    *_, segmentation = case.write(sitk.DICOMOrient(label_image(case.image), order))
    assert_segments_are_the_labels(segmentation, sources_of(case))


def test_labels_on_a_finer_grid_are_resampled(case: Case) -> None:
    finer = sitk.Resample(
        case.image, [60, 70, 30], sitk.Transform(), sitk.sitkLinear, (-20.3, -30.6, -101.2), (0.15, 0.21, 0.5)
    )
    *_, segmentation = case.write(label_image(finer))
    frames = segmentation.pixel_array
    expected = sum(int((label_at(points_of(image)) > 0).sum()) for image in sources_of(case).values())
    assert int(frames.sum()) == pytest.approx(expected, rel=0.1)
    for index, frame in enumerate(frames):
        number = (
            segmentation.PerFrameFunctionalGroupsSequence[index]
            .SegmentIdentificationSequence[0]
            .ReferencedSegmentNumber
        )
        wanted = label_at(frame_points(segmentation, index)) == TABLE.labels[number - 1].value
        assert ((frame == 1) != wanted).mean() < 0.1


def test_labels_beside_their_source_are_refused(case: Case) -> None:
    labels = label_image(case.image)
    labels.SetOrigin((400.0, 0.0, 0.0))
    with pytest.raises(GridMismatch, match=r"lies outside of the series .*LPS millimetres"):
        case.write(labels)


def test_a_value_that_the_table_does_not_explain_is_refused(case: Case) -> None:
    labels = label_image(case.image)
    labels[2, 3, 1] = 5
    with pytest.raises(LabelError, match=r"holds value 5, which .*\.labels\.json does not explain"):
        case.write(labels)


def test_an_unexplained_value_is_refused_even_where_the_source_has_no_voxel(case: Case) -> None:
    labels = sitk.ConstantPad(label_image(case.image), (0, 0, 0), (2, 0, 0), 0)
    labels[13, 0, 0] = 5
    with pytest.raises(LabelError, match="holds value 5"):
        case.write(labels)


def test_labels_that_are_no_whole_numbers_are_refused(case: Case) -> None:
    with pytest.raises(LabelError, match="float32"):
        case.write(sitk.Cast(label_image(case.image), sitk.sitkFloat32))


def test_segments_say_what_they_are_and_who_made_them(case: Case) -> None:
    *_, segmentation = case.write(label_image(case.image))
    liver, kidney, spleen = segmentation.SegmentSequence
    assert [segment.SegmentNumber for segment in (liver, kidney, spleen)] == [1, 2, 3]
    assert liver.SegmentLabel == "Liver"
    assert liver.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "123037004"
    assert liver.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Liver"
    assert kidney.AnatomicRegionSequence[0].CodeMeaning == "Left"
    assert "AnatomicRegionSequence" not in liver
    for segment in (liver, kidney, spleen):
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("phantom-net", "1.2")
    color = highdicom.color.CIELabColor.from_dicom_value(liver.RecommendedDisplayCIELabValue)
    np.testing.assert_allclose(color.to_rgb(), (200, 60, 60), atol=1)


def test_an_empty_result_is_still_an_object(case: Case) -> None:
    objects = case.write(label_image(case.image) * 0)
    assert objects[-1].SOPClassUID == SegmentationStorage
    assert objects[-1].pixel_array.sum() == 0
    assert len(objects) == 6


def test_the_overlay_stacks_over_its_source_in_any_viewer(case: Case) -> None:
    images = make_series()
    for image in images:
        image.WindowCenter, image.WindowWidth = -400, 400
    write_series(images, case.dicom)
    *overlay, _ = case.write(label_image(case.image))

    assert [image.SOPClassUID for image in overlay] == [SecondaryCaptureImageStorage] * 5
    for number, image in enumerate(overlay):
        source = images[number]
        assert image.StudyInstanceUID == source.StudyInstanceUID
        assert image.SeriesInstanceUID != source.SeriesInstanceUID
        assert image.FrameOfReferenceUID == source.FrameOfReferenceUID
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            np.testing.assert_allclose(np.array(image[keyword].value, float), np.array(source[keyword].value, float))
        assert image.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert image.PatientOrientation == ["L", "P"]
        labels, picture = label_at(points_of(source)), image.pixel_array.astype(int)
        grey = picture[labels == 0]
        assert (grey == grey[:, :1]).all()
        values = np.frombuffer(source.PixelData, "<u2").reshape(10, 12)[labels == 0] - 1024.0
        np.testing.assert_allclose(grey[:, 0], np.clip((values + 600) / 400 * 255, 0, 255), atol=1.2)
        assert (np.argmax(picture[labels == 3], axis=1) == 0).all()
        assert (np.argmax(picture[labels == 7], axis=1) == 1).all()


def test_without_overlay_only_the_segmentation_is_written(case: Case) -> None:
    (segmentation,) = case.write(label_image(case.image), "--no-overlay")
    assert segmentation.Modality == "SEG"


def test_made_again_results_are_the_same_byte_for_byte(case: Case, tmp_path: Path) -> None:
    write_labels(case.volume, tmp_path / "labels", label_image(case.image))
    contents = []
    for attempt in ("first", "second"):
        run_writer(tmp_path / "labels", case.dicom, tmp_path / attempt, manifest=manifest(tmp_path))
        contents.append({path.name: path.read_bytes() for path in (tmp_path / attempt).glob("*.dcm")})
    assert len(contents[0]) == 6
    assert contents[0] == contents[1]


def test_dates_come_from_the_manifest_else_from_the_study(case: Case, tmp_path: Path) -> None:
    for found in case.write(label_image(case.image), *KINDS, manifest=manifest(tmp_path)):
        assert (found.SeriesDate, found.SeriesTime) == ("20260301", "040506")
        dates = {element.value for element in found.iterall() if element.VR == "DA" and element.value}
        assert dates <= {"20260301", "20240229"}
        assert (found.StudyDate, found.StudyTime) == ("20240229", "101112")
    shutil.rmtree(tmp_path / "results")
    for found in case.objects():
        assert (found.ContentDate, found.ContentTime) == ("20240229", "101112")


def test_another_run_and_another_content_make_other_objects(case: Case, tmp_path: Path) -> None:
    def uids(labels: sitk.Image, run_id: str) -> set[str]:
        shutil.rmtree(tmp_path / "results", ignore_errors=True)
        return {str(found.SOPInstanceUID) for found in case.write(labels, manifest=manifest(tmp_path, run_id))}

    labels = label_image(case.image)
    first = uids(labels, "ct-ai-0123456789abcdef0123-g1")
    assert first.isdisjoint(uids(labels, "ct-ai-0123456789abcdef0123-g2"))
    labels[2, 3, 1] = 9
    assert first.isdisjoint(uids(labels, "ct-ai-0123456789abcdef0123-g1"))


def test_a_volume_without_labels_becomes_a_series_like_its_source(case: Case, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    shutil.copy(case.volume.with_suffix(".source.json"), tmp_path / "labels")
    sitk.WriteImage(case.image, str(tmp_path / "labels" / case.volume.name))
    images = case.objects()

    assert [image.Modality for image in images] == ["CT"] * 5
    assert {image.ImageType[0] for image in images} == {"DERIVED"}
    assert {image.StudyInstanceUID for image in images} == {"1.2.826.0.1.1"}
    assert {image.SeriesInstanceUID for image in images}.isdisjoint({SERIES})
    assert_is_the_body(read_volume(tmp_path / "results", tmp_path / "again"))


def test_floats_are_scaled_to_16_bits(case: Case, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    shutil.copy(case.volume.with_suffix(".source.json"), tmp_path / "labels")
    values = sitk.Cast(case.image, sitk.sitkFloat32) / 7.0 + 0.123
    sitk.WriteImage(values, str(tmp_path / "labels" / case.volume.name))
    case.objects()
    again = read_volume(tmp_path / "results", tmp_path / "again")
    expected = sitk.GetArrayFromImage(values)
    step = (expected.max() - expected.min()) / 65535
    np.testing.assert_allclose(sitk.GetArrayFromImage(again), expected, atol=step)


def test_every_volume_of_every_input_folder_is_written(case: Case, tmp_path: Path) -> None:
    write_labels(case.volume, tmp_path / "labels" / "one", label_image(case.image))
    write_labels(case.volume, tmp_path / "labels" / "two", label_image(case.image), replace(TABLE, algorithm_name="b"))
    objects = case.objects("--no-overlay")
    assert [found.SOPClassUID for found in objects] == [SegmentationStorage] * 2
    assert len({found.SeriesInstanceUID for found in objects}) == 2


def test_without_a_source_map_the_series_is_found_by_its_uid(case: Case, tmp_path: Path) -> None:
    path = write_labels(case.volume, tmp_path / "labels", label_image(case.image))
    path.with_suffix(".source.json").unlink()
    *_, segmentation = case.objects()
    assert_segments_are_the_labels(segmentation, sources_of(case))


def test_a_source_that_cannot_be_found_is_named(case: Case, tmp_path: Path) -> None:
    write_labels(case.volume, tmp_path / "labels", label_image(case.image))
    with pytest.raises(MissingSource, match="--dicom"):
        run_writer(tmp_path / "labels", None, tmp_path / "results")
    (case.dicom / "2.dcm").unlink()
    with pytest.raises(MissingSource, match=r"2\.dcm: the source map names this file"):
        case.objects()
    shutil.copy(case.dicom / "1.dcm", case.dicom / "2.dcm")
    with pytest.raises(MissingSource, match=r"2\.dcm: is not instance"):
        case.objects()


def test_results_on_a_picture_without_a_place_are_refused(tmp_path: Path) -> None:
    identity = Identity(sop_class_uid=DigitalXRayImageStorageForPresentation, modality="DX")
    (image,) = make_series(identity=identity)[:1]
    del image.ImagePositionPatient, image.ImageOrientationPatient
    case = make_case(tmp_path, [image], "--planar")
    with pytest.raises(MissingGeometry, match=r"is a picture without position, .*; end the workflow with the volume"):
        case.write(case.image * 0)


def test_no_volume_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(BadInput, match="no volume"):
        run_writer(tmp_path / "in", None, tmp_path / "out")


NAMES = {
    "Latin": ("ISO_IR 100", "Müller^Jürgen"),
    "Cyrillic": ("ISO_IR 144", "Люкceмбypг"),
    "Arabic": ("ISO_IR 127", "قباني^لنزار"),
    "Greek": ("ISO_IR 126", "Διονυσιος"),
    "Hebrew": ("ISO_IR 138", "שרון^דבורה"),
    "Japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "Japanese, half width": (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    "Korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "Chinese": ("GB18030", "Wang^XiaoDong=王^小东"),
    "Unicode": ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
    "none": (None, "Doe^John"),
}


@pytest.mark.parametrize(("character_set", "name"), NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("own_text", ["Liver", "Végétation ő"])
def test_names_of_patients_survive(
    character_set: str | list[str] | None, name: str, own_text: str, tmp_path: Path
) -> None:
    images = make_series()
    for image in images:
        if character_set:
            image.SpecificCharacterSet = character_set
        image.PatientName = name
        image.ReferringPhysicianName = name
    case = make_case(tmp_path, images)
    table = replace(TABLE, labels=tuple(replace(label, name=own_text) for label in TABLE.labels))
    write_labels(case.volume, tmp_path / "labels", label_image(case.image), table)
    objects = case.objects(*KINDS)
    assert {found.Modality for found in objects} == {"SEG", "OT", "RTSTRUCT", "SR", "M3D"}
    for found in objects:
        assert str(found.PatientName) == name
        assert found.ReferringPhysicianName == name
        if found.Modality == "SEG":
            assert found.SegmentSequence[0].SegmentLabel == own_text
            if own_text.isascii():
                assert found.get("SpecificCharacterSet") == images[0].get("SpecificCharacterSet")


def test_patient_and_study_are_copied_and_private_attributes_are_not(tmp_path: Path) -> None:
    images = make_series()
    for image in images:
        image.PatientAge, image.PatientWeight, image.StudyDescription = "041Y", "70.5", "Follow-up"
        image.IssuerOfPatientID = "HOSPITAL"
        block = image.private_block(0x0011, "SECRETS", create=True)
        block.add_new(0x01, "LO", "hidden")
    case = make_case(tmp_path, images)
    shutil.copytree(case.volume.parent, tmp_path / "labels" / "grey")
    objects = case.write(label_image(case.image), *KINDS)
    assert {found.Modality for found in objects} == {"SEG", "OT", "CT", "RTSTRUCT", "SR", "M3D"}
    for found in objects:
        for keyword in ("PatientAge", "PatientWeight", "StudyDescription", "IssuerOfPatientID", "PatientID", "StudyID"):
            assert found[keyword].value == images[0][keyword].value
        assert not [element.tag for element in found.iterall() if element.tag.is_private]
        plain = ImplicitVRLittleEndian if found.Modality == "RTSTRUCT" else ExplicitVRLittleEndian
        assert found.file_meta.TransferSyntaxUID == plain
        assert found.filename and Path(found.filename).name == f"{found.SOPInstanceUID}.dcm"
