"""Enhanced multi-frame objects (DICOM PS3.3 section C.7.6.16) made of single-frame images of the phantom."""

from collections.abc import Callable, Sequence

from pydicom.dataset import Dataset
from pydicom.uid import UID, EnhancedCTImageStorage

PER_FRAME = ("position", "orientation", "measures", "values")
"""The functional groups that may differ from frame to frame."""

_FRAME_TYPE_SEQUENCES = {
    "CT": "CTImageFrameTypeSequence",
    "MR": "MRImageFrameTypeSequence",
    "PT": "PETFrameTypeSequence",
}


def make_multiframe(
    images: Sequence[Dataset],
    *,
    sop_class_uid: UID = EnhancedCTImageStorage,
    shared: Sequence[str] = ("orientation", "measures"),
    describe: Callable[[Dataset, int], None] | None = None,
) -> Dataset:
    """One object with a frame for each image, in the order given.

    Args:
        images: of one matrix and one pixel layout.
        sop_class_uid: an enhanced or a legacy converted class.
        shared: groups, of PER_FRAME, that are said once for all frames, as the first image has them.
        describe: adds to the functional groups of a frame, by its index.
    """
    first = images[0]
    result = Dataset()
    for keyword in (
        "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
        "AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator", "Manufacturer", "SeriesNumber",
        "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality", "BodyPartExamined", "Rows",
        "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
        "PixelRepresentation",
    ):  # fmt: skip
        result[keyword] = first[keyword]
    result.SOPClassUID, result.SOPInstanceUID = sop_class_uid, f"{first.SOPInstanceUID}.0"
    result.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    result.InstanceNumber, result.NumberOfFrames = 1, len(images)
    common = Dataset()
    for group in shared:
        _add_group(common, group, first)
    frame_type = Dataset()
    frame_type.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    setattr(common, _FRAME_TYPE_SEQUENCES[first.Modality], [frame_type])
    result.SharedFunctionalGroupsSequence = [common]
    frames = []
    for index, image in enumerate(images):
        frame = Dataset()
        content = Dataset()
        content.FrameAcquisitionNumber = 1
        frame.FrameContentSequence = [content]
        for group in PER_FRAME:
            if group not in shared:
                _add_group(frame, group, image)
        if describe:
            describe(frame, index)
        frames.append(frame)
    result.PerFrameFunctionalGroupsSequence = frames
    result.add_new("PixelData", "OW", b"".join(image.PixelData for image in images))
    return result


def _add_group(functional: Dataset, group: str, image: Dataset) -> None:
    item = Dataset()
    if group == "position":
        item.ImagePositionPatient = image.ImagePositionPatient
        functional.PlanePositionSequence = [item]
    elif group == "orientation":
        item.ImageOrientationPatient = image.ImageOrientationPatient
        functional.PlaneOrientationSequence = [item]
    elif group == "measures":
        item.PixelSpacing, item.SliceThickness = image.PixelSpacing, image.SliceThickness
        functional.PixelMeasuresSequence = [item]
    else:
        item.RescaleSlope, item.RescaleIntercept, item.RescaleType = image.RescaleSlope, image.RescaleIntercept, "US"
        functional.PixelValueTransformationSequence = [item]
