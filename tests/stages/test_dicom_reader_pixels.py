"""dicom-reader: pixel values, transfer syntaxes, and what is refused or set aside by a file's content."""

import base64
import io
from pathlib import Path

import numpy as np
import PIL.Image
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import (
    HTJ2K,
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    KeyObjectSelectionDocumentStorage,
    PositronEmissionTomographyImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    UltrasoundImageStorage,
)

from clara_ops.imaging.errors import (
    AmbiguousSeries,
    BrokenFile,
    BrokenPixels,
    MissingCodec,
    MissingGeometry,
    NoImages,
    TruncatedPixelData,
    UnsupportedPixels,
)
from clara_ops.imaging.source_map import read_source_map
from tests.dicomgen.phantom import assert_is_the_body
from tests.dicomgen.series import Geometry, Identity, Storage, make_series, set_pixels, write_file, write_series
from tests.dicomgen.stage import read_volume, read_volumes, run_reader

WHOLE = {
    "12 bits in 16, unsigned": Storage(),
    "16 bits, signed": Storage(16, 16, signed=True, intercept=0),
    "13 bits in 16, signed": Storage(16, 13, signed=True, intercept=0),
    "32 bits, unsigned": Storage(32, 32, intercept=-70000),
    "32 bits, signed": Storage(32, 20, signed=True, intercept=5),
}


@pytest.mark.parametrize("storage", WHOLE.values(), ids=WHOLE)
def test_whole_values_are_exact(storage: Storage, tmp_path: Path) -> None:
    write_series(make_series(storage=storage), tmp_path / "dicom")
    volume = read_volume(tmp_path / "dicom", tmp_path / "out")
    assert_is_the_body(volume)
    expected = sitk.sitkInt16 if storage.bits_allocated <= 16 else sitk.sitkFloat32
    assert volume.GetPixelID() == expected


def test_eight_bits(tmp_path: Path) -> None:
    images = make_series()
    for number, image in enumerate(images):
        set_pixels(image, np.full((10, 12), 200 + number), Storage(8, 8, intercept=0))
    write_series(images, tmp_path / "dicom")
    voxels = sitk.GetArrayFromImage(read_volume(tmp_path / "dicom", tmp_path / "out"))
    assert voxels[:, 3, 3].tolist() == [200, 201, 202, 203, 204]


def test_a_slope_of_its_own_for_every_slice_gives_float(tmp_path: Path) -> None:
    pet = Identity(sop_class_uid=PositronEmissionTomographyImageStorage, modality="PT")
    images = []
    for index in range(5):
        storage = Storage(16, 16, signed=True, slope=0.1 + 0.013 * index, intercept=0.25 * index)
        images += make_series(storage=storage, identity=pet, indices=[index], first=index + 1)
    write_series(images, tmp_path / "dicom")
    volume = read_volume(tmp_path / "dicom", tmp_path / "out")
    assert volume.GetPixelID() == sitk.sitkFloat32
    assert_is_the_body(volume, tolerance=0.08)


@pytest.mark.parametrize(("intercept", "pixel"), [(-40000, 7231), (0, 32768), (40000, 0), (0, 65535)])
def test_values_beyond_16_bits_are_neither_wrapped_nor_cut(intercept: int, pixel: int, tmp_path: Path) -> None:
    images = make_series(storage=Storage(16, 16, intercept=-32768))
    pixels = np.full((10, 12), pixel, "<u2")
    images[2].PixelData, images[2].RescaleIntercept = pixels.tobytes(), intercept
    write_series(images, tmp_path / "dicom")
    volume = read_volume(tmp_path / "dicom", tmp_path / "out")
    assert volume.GetPixelID() == sitk.sitkFloat32
    assert volume[7, 4, 2] == pixel + intercept


def test_values_at_the_ends_of_int16_stay_int16(tmp_path: Path) -> None:
    images = make_series(storage=Storage(16, 16, intercept=-32768))
    images[1].PixelData = np.array([0, 65535] * 60, "<u2").tobytes()
    write_series(images, tmp_path / "dicom")
    volume = read_volume(tmp_path / "dicom", tmp_path / "out")
    assert volume.GetPixelID() == sitk.sitkInt16
    assert (volume[0, 0, 1], volume[1, 0, 1]) == (-32768, 32767)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_beyond_bits_stored_say_nothing(signed: bool, tmp_path: Path) -> None:
    images = make_series(storage=Storage(16, 13, signed=signed, intercept=0 if signed else -1024))
    for image in images:
        pixels = np.frombuffer(image.PixelData, "<u2")
        image.PixelData = ((pixels & 0x1FFF) | (0xA000 if signed else 0x6000)).astype("<u2").tobytes()
    write_series(images, tmp_path / "dicom")
    assert_is_the_body(read_volume(tmp_path / "dicom", tmp_path / "out"))


def test_padding_outside_the_circle_keeps_its_value(tmp_path: Path) -> None:
    images = make_series(storage=Storage(16, 16, signed=True, intercept=-1024))
    for image in images:
        pixels = np.frombuffer(image.PixelData, "<i2").copy()
        pixels[:12] = image.PixelPaddingValue = -2000
        image["PixelPaddingValue"].VR = "SS"
        image.PixelData = pixels.tobytes()
    write_series(images, tmp_path / "dicom")
    voxels = sitk.GetArrayFromImage(read_volume(tmp_path / "dicom", tmp_path / "out"))
    assert (voxels[:, 0, :] == -3024).all()


def test_monochrome1_is_turned_round_as_gdcm_does(tmp_path: Path) -> None:
    images = make_series()
    for image in images:
        image.PhotometricInterpretation = "MONOCHROME1"
    paths = write_series(images, tmp_path / "dicom")
    found = read_volume(tmp_path / "dicom", tmp_path / "out")
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(sitk.ReadImage([str(path) for path in paths]))
    )
    stored = np.frombuffer(images[0].PixelData, "<u2").reshape(10, 12)
    assert found[4, 6, 0] == 4095 - int(stored[6, 4]) - 1024


def test_a_modality_lut_replaces_slope_and_intercept(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4, 0, 16]
    table.ModalityLUTType = "US"
    table.add_new("LUTData", "US", [100, 250, 7, 40000])
    images = make_series()
    for image in images:
        del image.RescaleSlope, image.RescaleIntercept
        image.PixelData = np.array([0, 1, 2, 3, 4, 3] * 20, "<u2").tobytes()
        image.ModalityLUTSequence = [table]
    write_series(images, tmp_path / "dicom")
    voxels = sitk.GetArrayFromImage(read_volume(tmp_path / "dicom", tmp_path / "out"))
    assert voxels[2, 5, :6].tolist() == [100, 250, 7, 40000, 40000, 40000]


LARGER = Geometry(rows=40, columns=48, pixel_spacing=(0.5, 0.25))
"""OpenJPEG does not encode images below 32 x 32."""
SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEG2000Lossless,
    JPEGLSLossless,
]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
@pytest.mark.parametrize("storage", [Storage(), Storage(16, 16, signed=True, intercept=0)], ids=["unsigned", "signed"])
def test_lossless_transfer_syntaxes(syntax: UID, storage: Storage, tmp_path: Path) -> None:
    write_series(make_series(LARGER, storage), tmp_path / "dicom", transfer_syntax=syntax)
    assert pydicom.dcmread(tmp_path / "dicom" / "0.dcm").file_meta.TransferSyntaxUID == syntax
    assert_is_the_body(read_volume(tmp_path / "dicom", tmp_path / "out"))


def test_jpeg_lossless_as_gdcm_writes_it(tmp_path: Path) -> None:
    images = make_series(storage=Storage(16, 16, signed=True, intercept=0))
    writer = sitk.ImageFileWriter()
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    for number, path in enumerate(write_series(images, tmp_path / "plain")):
        writer.Execute(sitk.ReadImage(str(path)), str(tmp_path / "gdcm.dcm"), True, 0)
        compressed, image = pydicom.dcmread(tmp_path / "gdcm.dcm"), images[number]
        assert compressed.file_meta.TransferSyntaxUID == JPEGLosslessSV1
        image.RescaleIntercept, image.PixelRepresentation = compressed.RescaleIntercept, compressed.PixelRepresentation
        image.BitsStored, image.HighBit = compressed.BitsStored, compressed.HighBit
        write_encoded(image, compressed["PixelData"].value, JPEGLosslessSV1, tmp_path / "dicom" / path.name)
    assert_is_the_body(read_volume(tmp_path / "dicom", tmp_path / "out"))


def test_baseline_jpeg_as_pillow_writes_it(tmp_path: Path) -> None:
    expected = []
    for number, image in enumerate(make_series(storage=Storage(8, 8, intercept=-1024, slope=8))):
        gradient = np.add.outer(np.arange(40), np.arange(48)).astype(np.uint8) + 20 * number
        encoded = io.BytesIO()
        PIL.Image.fromarray(gradient).save(encoded, "jpeg", quality=95)
        expected.append(gradient * 8.0 - 1024)
        image.Rows, image.Columns = gradient.shape
        image.LossyImageCompression = "01"
        write_encoded(image, encapsulate([encoded.getvalue()]), JPEGBaseline8Bit, tmp_path / "dicom" / f"{number}.dcm")
    voxels = sitk.GetArrayFromImage(read_volume(tmp_path / "dicom", tmp_path / "out"))
    np.testing.assert_allclose(voxels, np.stack(expected), atol=3 * 8)


HTJ2K_SLICES = (
    "/0//UQApQAAAAAAMAAAACgAAAAAAAAAAAAAADAAAAAoAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCIkJCQkJCQ"
    "kJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAGMAAf+TwAAm6fsFB3QAAMAAEsAAEoDkAAd0AO8AB3QAAMAAFTAA"
    "BIAgAfoIW5D9tgD4FBMAwAAmgABWQAAqQODcdPJ1AABd7QBL69PlC+HpADDMgtc50x23AP/Z",
    "/0//UQApQAAAAAAMAAAACgAAAAAAAAAAAAAADAAAAAoAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCIkJCQkJCQ"
    "kJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAF8AAf+TwAAm0fsFB3QAAMAAEsAAEoDkAAd0AO8AB3QAAMAAE8AA"
    "EgAI/IT+S3UA+BQTAMAAJoAAVcAAKgDg3HTydQAAa7sR+td/XYkYAAD8YqXFNeYA/9k=",
)
"""The first two slices of the phantom at intercept -1024, 16 bits, encoded by OpenJPH 0.26.3."""


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K], ids=lambda syntax: syntax.keyword)
def test_htj2k_as_openjph_writes_it(syntax: UID, tmp_path: Path) -> None:
    for number, image in enumerate(make_series(Geometry(count=2))):
        encoded = encapsulate([base64.b64decode(HTJ2K_SLICES[number])])
        write_encoded(image, encoded, syntax, tmp_path / "dicom" / f"{number}.dcm")
    assert_is_the_body(read_volume(tmp_path / "dicom", tmp_path / "out"))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.102", "1.2.3.4.5"])
def test_a_missing_codec_is_named(syntax: str, tmp_path: Path) -> None:
    for number, image in enumerate(make_series()):
        write_encoded(image, encapsulate([b"\0\0"]), UID(syntax), tmp_path / "dicom" / f"{number}.dcm")
    with pytest.raises(MissingCodec, match=rf"0\.dcm: there is no decoder for transfer syntax .*{syntax}"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
@pytest.mark.parametrize("kept", [0.95, 0.6, 0.05])
def test_a_file_that_ends_too_early_is_named(syntax: UID, kept: float, tmp_path: Path) -> None:
    paths = write_series(make_series(LARGER), tmp_path / "dicom", transfer_syntax=syntax)
    content = paths[3].read_bytes()
    header = len(content) - len(pydicom.dcmread(paths[3])["PixelData"].value)
    if syntax == DeflatedExplicitVRLittleEndian:
        header = len(content) // 2
    paths[3].write_bytes(content[: header + int((len(content) - header) * kept)])
    with pytest.raises((TruncatedPixelData, BrokenPixels, BrokenFile), match=r"3\.dcm: "):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_only_what_follows_the_pixels_may_be_missing(tmp_path: Path) -> None:
    paths = write_series(make_series(), tmp_path / "dicom", transfer_syntax=RLELossless)
    paths[3].write_bytes(paths[3].read_bytes()[:-8])
    assert_is_the_body(read_volume(tmp_path / "dicom", tmp_path / "out"))


def test_uncompressed_truncation_is_told_from_other_damage(tmp_path: Path) -> None:
    paths = write_series(make_series(), tmp_path / "dicom")
    paths[3].write_bytes(paths[3].read_bytes()[:-1])
    with pytest.raises(TruncatedPixelData, match=r"3\.dcm: holds 239 bytes of pixels instead of 240"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


@pytest.mark.parametrize("syntax", [s for s in SYNTAXES if not s.is_encapsulated], ids=lambda syntax: syntax.keyword)
@pytest.mark.parametrize("attribute", ["Rows", "Columns", "BitsAllocated"])
def test_pixels_that_are_more_than_the_header_says_are_refused(attribute: str, syntax: UID, tmp_path: Path) -> None:
    images = make_series(storage=Storage(8, 8, intercept=-1024, slope=8) if attribute == "BitsAllocated" else Storage())
    for image in images:
        image[attribute].value = image[attribute].value - 2 if attribute != "BitsAllocated" else 1
        image.BitsStored = min(image.BitsStored, image.BitsAllocated)
        image.HighBit = image.BitsStored - 1
    write_series(images, tmp_path / "dicom", transfer_syntax=syntax)
    with pytest.raises(
        BrokenPixels, match=r"0\.dcm: .*holds \d+ bytes of pixels, but its rows, columns and frames make"
    ):
        run_reader(tmp_path / "dicom", tmp_path / "out", "--workers", "1")


def test_a_codestream_without_its_end_is_truncated(tmp_path: Path) -> None:
    paths = write_series(make_series(LARGER), tmp_path / "plain", transfer_syntax=JPEG2000Lossless)
    for path in paths:
        image = pydicom.dcmread(path)
        frame = next(generate_frames(image.PixelData, number_of_frames=1))
        write_encoded(image, encapsulate([frame[:-30]]), JPEG2000Lossless, tmp_path / "dicom" / path.name)
    with pytest.raises(TruncatedPixelData, match="a compressed image without its end"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_an_image_without_pixels_is_named(tmp_path: Path) -> None:
    images = make_series()
    del images[1].PixelData
    write_series(images, tmp_path / "dicom")
    with pytest.raises(BrokenFile, match=r"1\.dcm: "):
        run_reader(tmp_path / "dicom", tmp_path / "out")


COLOURS = {"RGB": 3, "YBR_FULL": 3, "YBR_FULL_422": 3, "PALETTE COLOR": 1, "HSV": 3}


@pytest.mark.parametrize(("photometric", "samples"), COLOURS.items())
def test_colour_is_refused(photometric: str, samples: int, tmp_path: Path) -> None:
    images = make_series(storage=Storage(8, 8, intercept=-1024, slope=8))
    for image in images:
        image.PhotometricInterpretation, image.SamplesPerPixel, image.PlanarConfiguration = photometric, samples, 0
        image.PixelData = bytes(10 * 12 * samples)
    write_series(images, tmp_path / "dicom")
    with pytest.raises(UnsupportedPixels, match=f"pixels are {photometric} of {samples} values each"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_a_layout_of_bits_that_dicom_does_not_define_is_refused(tmp_path: Path) -> None:
    images = make_series()
    for image in images:
        image.HighBit = 15
    write_series(images, tmp_path / "dicom")
    with pytest.raises(UnsupportedPixels, match="12 stored, high bit 15"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_what_is_no_image_is_set_aside_and_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    folder = tmp_path / "dicom"
    write_series(make_series(), folder)
    (folder / "notes.txt").write_text("nothing of DICOM")
    (folder / "empty.dcm").write_bytes(b"")
    for number, sop_class in enumerate(
        (EncapsulatedPDFStorage, GrayscaleSoftcopyPresentationStateStorage, KeyObjectSelectionDocumentStorage)
    ):
        document = Dataset()
        document.SOPClassUID, document.SOPInstanceUID = sop_class, f"1.2.3.{number}"
        document.StudyInstanceUID, document.SeriesInstanceUID = "1.2.3", "1.2.4"
        write_file(document, folder / f"document{number}")
    (segmentation,) = make_series(indices=[0], first=90)
    segmentation.SOPClassUID = SegmentationStorage
    write_file(segmentation, folder / "segmentation")

    result = run_reader(folder, tmp_path / "out")

    assert result.reason == (
        "1 set aside: Encapsulated PDF Storage is no image; "
        "1 set aside: Grayscale Softcopy Presentation State Storage is no image; "
        "1 set aside: Key Object Selection Document Storage is no image; "
        "1 set aside: Segmentation Storage is no image; "
        "2 set aside: not a DICOM file"
    )
    assert result.facts == {"volumes": 1, "slices": 5}
    assert "set aside document0: Encapsulated PDF Storage is no image" in caplog.text


def test_a_folder_without_dicom_is_named(tmp_path: Path) -> None:
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "readme").write_text("DICOM? no")
    with pytest.raises(NoImages, match="1 set aside: not a DICOM file"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_a_file_without_preamble_and_meta_information_is_read(tmp_path: Path) -> None:
    for number, image in enumerate(make_series()):
        path = tmp_path / "dicom" / f"{number}"
        path.parent.mkdir(exist_ok=True)
        image.save_as(path, implicit_vr=True, little_endian=True)
    assert_is_the_body(read_volume(tmp_path / "dicom", tmp_path / "out"))


PLANAR = {
    "CR": ComputedRadiographyImageStorage,
    "DX": DigitalXRayImageStorageForPresentation,
    "US": UltrasoundImageStorage,
    "OT": SecondaryCaptureImageStorage,
}


@pytest.mark.parametrize(("modality", "sop_class"), PLANAR.items())
def test_pictures_without_a_place_are_refused(modality: str, sop_class: UID, tmp_path: Path) -> None:
    images = make_series(identity=Identity(modality=modality, sop_class_uid=sop_class))
    for image in images:
        del image.ImagePositionPatient, image.ImageOrientationPatient
    write_series(images, tmp_path / "dicom")
    with pytest.raises(MissingGeometry, match=r"0\.dcm: has no Image Position \(Patient\) and no Image Orientation"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def pictures(count: int, modality: str = "DX") -> list[Dataset]:
    images = make_series(identity=Identity(modality=modality, sop_class_uid=PLANAR[modality]))[:count]
    for image in images:
        del image.ImagePositionPatient, image.ImageOrientationPatient, image.PixelSpacing
        image.ImagerPixelSpacing = [0.2, 0.1]
    return images


@pytest.mark.parametrize("modality", ["CR", "DX", "OT"])
def test_a_picture_is_a_volume_of_one_slice_when_asked_for(modality: str, tmp_path: Path) -> None:
    (image,) = pictures(1, modality)
    write_series([image], tmp_path / "dicom")
    result = run_reader(tmp_path / "dicom", tmp_path / "out", "--planar")
    (path,) = (tmp_path / "out").glob("*.mhd")
    volume, source = sitk.ReadImage(str(path)), read_source_map(path)
    assert source is not None and source.planar
    assert (volume.GetSize(), volume.GetSpacing()) == ((12, 10, 1), (0.1, 0.2, 1.0))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(volume)[0], image.pixel_array.astype(int) - 1024)
    assert "its place is made up, its pixels are 0.2 x 0.1 mm by Imager Pixel Spacing" in (result.reason or "")


def test_pixel_spacing_comes_before_that_of_the_detector(tmp_path: Path) -> None:
    (image,) = pictures(1)
    image.PixelSpacing = [0.15, 0.07]
    write_series([image], tmp_path / "dicom")
    assert read_volume(tmp_path / "dicom", tmp_path / "out", "--planar").GetSpacing() == (0.07, 0.15, 1.0)


def test_several_pictures_are_refused_or_split(tmp_path: Path) -> None:
    images = pictures(2)
    write_series(images, tmp_path / "dicom")
    with pytest.raises(AmbiguousSeries, match=r"holds 2 pictures; .*--split"):
        run_reader(tmp_path / "dicom", tmp_path / "out", "--planar")
    volumes = read_volumes(tmp_path / "dicom", tmp_path / "split", "--planar", "--split")
    assert list(volumes) == [f"{images[0].SeriesInstanceUID}_1", f"{images[0].SeriesInstanceUID}_2"]


def test_a_picture_of_unknown_size_is_refused(tmp_path: Path) -> None:
    (image,) = pictures(1)
    del image.ImagerPixelSpacing
    write_series([image], tmp_path / "dicom")
    with pytest.raises(MissingGeometry, match="no Pixel Spacing and no Imager Pixel Spacing"):
        run_reader(tmp_path / "dicom", tmp_path / "out", "--planar")


def test_slices_and_ultrasound_without_a_place_stay_refused(tmp_path: Path) -> None:
    for modality, sop_class in (("CT", CTImageStorage), ("US", UltrasoundImageStorage)):
        image = make_series(identity=Identity(modality=modality, sop_class_uid=sop_class))[0]
        del image.ImagePositionPatient, image.ImageOrientationPatient
        write_series([image], tmp_path / modality)
        with pytest.raises(MissingGeometry, match="has no Image Position"):
            run_reader(tmp_path / modality, tmp_path / "out", "--planar")


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless], ids=lambda syntax: syntax.keyword)
def test_a_claim_of_too_many_pixels_is_refused_before_memory_is_taken(syntax: UID, tmp_path: Path) -> None:
    for path in write_series(make_series(LARGER), tmp_path / "dicom", transfer_syntax=syntax):
        image = pydicom.dcmread(path)
        image.Rows = image.Columns = 65535
        image.save_as(path)
    with pytest.raises(UnsupportedPixels, match=r"0\.dcm: 65535 rows x 65535 columns are more than any device makes"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_a_slope_of_zero_is_refused(tmp_path: Path) -> None:
    images = make_series()
    images[3].RescaleSlope = 0
    write_series(images, tmp_path / "dicom")
    with pytest.raises(UnsupportedPixels, match=r"3\.dcm: Rescale Slope is 0"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "Rows", "BitsAllocated", "SOPClassUID"])
def test_a_header_without_what_an_image_needs_names_the_file(keyword: str, tmp_path: Path) -> None:
    paths = write_series(make_series(), tmp_path / "dicom")
    image = pydicom.dcmread(paths[2])
    delattr(image, keyword)
    image.save_as(paths[2])
    with pytest.raises(BrokenFile, match=rf"2\.dcm: its DICOM header cannot be read .*{keyword}"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


@pytest.mark.parametrize("text", ["abc", "1\\2", "1e999", "nan"])
def test_a_position_that_is_no_position_names_the_file(text: str, tmp_path: Path) -> None:
    paths = write_series(make_series(), tmp_path / "dicom")
    image = pydicom.dcmread(paths[2])
    replaced = DataElement("ImagePositionPatient", "LO", text)
    image.add(replaced)
    image.save_as(paths[2])
    with pytest.raises(BrokenFile, match=r"2\.dcm: its DICOM header cannot be read"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def write_encoded(image: Dataset, encoded: bytes, syntax: UID, path: Path) -> None:
    """Write an image with pixel data that is already encoded in a compressed transfer syntax."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.add_new("PixelData", "OB", encoded)
    image["PixelData"].is_undefined_length = True
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = syntax
    with path.open("wb") as file:
        file.write(bytes(128) + b"DICM")
        explicit = DicomFileLike(file)
        explicit.is_implicit_VR, explicit.is_little_endian = False, True
        write_file_meta_info(explicit, image.file_meta)
        write_dataset(explicit, image)


@pytest.mark.parametrize("uid", ["../../evil", "1.2/3", "1.2.3\\4.5", "a.b", "1" * 65])
def test_a_uid_that_is_none_never_becomes_a_file_name(uid: str, tmp_path: Path) -> None:
    paths = write_series(make_series(), tmp_path / "dicom")
    image = pydicom.dcmread(paths[2])
    image.add(DataElement("SeriesInstanceUID", "LO", uid))
    image.save_as(paths[2])
    with pytest.raises(BrokenFile, match=r"2\.dcm: .*SeriesInstanceUID"):
        run_reader(tmp_path / "dicom", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
