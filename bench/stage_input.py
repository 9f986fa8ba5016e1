"""A CT of 300 x 512 x 512 and a result with 24 labels, made of abdomen_b: there and back again along its 20 slices."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from bench.series import ABDOMEN_B
from clara_ops.contract.labels import Code, Label, LabelTable
from clara_ops.imaging.label_table import write_label_table

SLICES, LABELS = 300, 24
_LABEL_SLICES = 101
"""Along how many slices each label reaches."""
_ORGAN, _TYPE = Code("91723000", "SCT", "Anatomical structure"), Code("10200004", "SCT", "Liver")


@dataclass(frozen=True)
class StageInput:
    """Folders: the series, uncompressed and as JPEG 2000, and the label volume for dicom-writer and for dcmqi."""

    plain: Path
    jpeg2000: Path
    labels: Path
    volume: Path
    dcmqi: Path


def stage_input(folder: Path) -> StageInput:
    """What is below a folder, made where it is missing: the labels on the grid that SimpleITK finds for the series."""
    plain, jpeg2000, labels = folder / "plain", folder / "jpeg2000", folder / "labels"
    dcmqi = folder / "dcmqi.json"
    if dcmqi.exists():
        (volume,) = labels.glob("*.mhd")
        return StageInput(plain, jpeg2000, labels, volume, dcmqi)
    for made in (plain, jpeg2000, labels):
        made.mkdir(parents=True)
    series_uid = _write_series(plain, jpeg2000)
    volume = labels / f"{series_uid}.mhd"
    _write_labels(plain, volume)
    table = tuple(Label(n, f"Organ {n}", (10 * n, 100, 250 - 10 * n), _ORGAN, _TYPE) for n in range(1, LABELS + 1))
    write_label_table(LabelTable("peer", "1", table), volume)
    dcmqi.write_text(json.dumps(_dcmqi_metadata()))
    return StageInput(plain, jpeg2000, labels, volume, dcmqi)


def _write_series(plain: Path, jpeg2000: Path) -> str:
    images = sorted(map(pydicom.dcmread, ABDOMEN_B.glob("*.dcm")), key=lambda one: float(one.ImagePositionPatient[2]))
    pixels = [image.pixel_array.astype("<u2").tobytes() for image in images]
    encoded = [image.PixelData for image in images]
    x, y, z = map(float, images[0].ImagePositionPatient)
    series_uid = str(images[0].SeriesInstanceUID)
    for number in range(SLICES):
        of = _there_and_back(number, len(images))
        image = images[of]
        image.ImagePositionPatient = [x, y, z + number * float(image.SliceThickness)]
        image.InstanceNumber = number + 1
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.{number + 1}")
        syntax = image.file_meta.TransferSyntaxUID
        name = f"{number * 7919 % SLICES:03}.dcm"
        _save(image, jpeg2000 / name, encoded[of], "OB")
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        _save(image, plain / name, pixels[of], "OW")
        image.file_meta.TransferSyntaxUID = syntax
    return series_uid


def _there_and_back(number: int, count: int) -> int:
    place = number % (2 * count)
    return min(place, 2 * count - 1 - place)


def _save(image: Dataset, path: Path, pixels: bytes, vr: str) -> None:
    image.PixelData = pixels
    image["PixelData"].VR = vr
    image["PixelData"].is_undefined_length = vr == "OB"
    image.save_as(path)


def _write_labels(plain: Path, path: Path) -> None:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(plain)))
    found = sitk.DICOMOrient(sitk.ReadImage(str(ABDOMEN_B / "labels.nii.gz")), "LPS")
    planes = _largest(sitk.GetArrayFromImage(found))
    labels = np.stack([planes[_there_and_back(number, len(planes))] for number in range(SLICES)])
    for label in range(1, LABELS + 1):
        first = (label - 1) * (SLICES - _LABEL_SLICES) // (LABELS - 1)
        for part in (labels[:first], labels[first + _LABEL_SLICES :]):
            part[part == label] = 0
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(reader.Execute())
    sitk.WriteImage(image, str(path))


def _largest(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The labels of most voxels as 1 to `LABELS`, in the order of their values."""
    values, counts = np.unique(labels[labels > 0], return_counts=True)
    chosen = np.sort(values[np.argsort(-counts)][:LABELS])
    numbers = np.zeros(256, np.uint8)
    numbers[chosen] = np.arange(1, LABELS + 1)
    return numbers[labels]


def _dcmqi_metadata() -> dict[str, object]:
    organ = {"CodeValue": _ORGAN.value, "CodingSchemeDesignator": _ORGAN.scheme, "CodeMeaning": _ORGAN.meaning}
    liver = {"CodeValue": _TYPE.value, "CodingSchemeDesignator": _TYPE.scheme, "CodeMeaning": _TYPE.meaning}
    segments = [
        {
            "labelID": number,
            "SegmentLabel": f"Organ {number}",
            "SegmentAlgorithmType": "AUTOMATIC",
            "SegmentAlgorithmName": "peer",
            "SegmentedPropertyCategoryCodeSequence": organ,
            "SegmentedPropertyTypeCodeSequence": liver,
            "recommendedDisplayRGBValue": [10 * number, 100, 250 - 10 * number],
        }
        for number in range(1, LABELS + 1)
    ]
    return {
        "ContentCreatorName": "Peer",
        "SeriesDescription": "Segmentation",
        "SeriesNumber": "1000",
        "InstanceNumber": "1",
        "segmentAttributes": [segments],
    }
