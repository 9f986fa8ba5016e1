"""Reading the headers of a folder of files, whatever they are called: images, and what is set aside."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, MediaStorageDirectoryStorage

from clara_ops.imaging import planes
from clara_ops.imaging.errors import BrokenFile, MissingCodec
from clara_ops.imaging.frames import Frame, Instance, PixelFormat, SetAside

UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom raises on a file that is damaged: it has no one error for that."""

SELECTABLE = (
    "BodyPartExamined",
    "ContrastBolusAgent",
    "ConvolutionKernel",
    "ImageType",
    "KVP",
    "MagneticFieldStrength",
    "Manufacturer",
    "ManufacturerModelName",
    "Modality",
    "PatientPosition",
    "ProtocolName",
    "ScanningSequence",
    "SequenceVariant",
    "SeriesDescription",
    "SeriesNumber",
    "SliceThickness",
    "StationName",
    "StudyDescription",
)
"""Attributes that rules for the selection of series may name; none of them identifies a patient."""

_KEYWORDS = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "ConcatenationUID",
    "InConcatenationTotalNumber",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "ModalityLUTSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    *planes.KEYWORDS,
    *SELECTABLE,
)
_PIXEL_KEYWORDS = {
    (0x7FE0, 0x0010): "PixelData",
    (0x7FE0, 0x0008): "FloatPixelData",
    (0x7FE0, 0x0009): "DoubleFloatPixelData",
}
_GROUPS_AT_THE_START = (0x0002, 0x0008)


@dataclass(frozen=True)
class Scan:
    """What a folder holds."""

    instances: tuple[Instance, ...]
    set_aside: tuple[SetAside, ...]


def scan_folder(folder: Path) -> Scan:
    """Read the header of every file below a folder; names say nothing, hidden files are left out.

    Raises:
        BrokenFile, MissingCodec: as `read_header` does.
    """
    instances, set_aside = [], []
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        found = read_header(path)
        if isinstance(found, Instance):
            instances.append(found)
        else:
            set_aside.append(found)
    return Scan(tuple(instances), tuple(set_aside))


def read_header(path: Path) -> Instance | SetAside:
    """Read the header of one file, up to its pixels.

    Raises:
        BrokenFile: it is DICOM, but its header cannot be read.
        MissingCodec: it is an image in a transfer syntax that nobody here knows.
    """
    with path.open("rb") as file:
        start = file.read(132)
        file.seek(0)
        is_part10 = start[128:] == b"DICM"
        if not is_part10 and not _may_be_bare_dataset(start):
            return SetAside(path, "not a DICOM file")
        try:
            dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(_KEYWORDS))
            return _instance(path, dataset, file)
        except UNREADABLE as error:
            if not is_part10:
                return SetAside(path, "not a DICOM file")
            raise BrokenFile(
                f"{path}: its DICOM header cannot be read ({type(error).__name__}: {error}); send the instance again"
            ) from error


def _may_be_bare_dataset(start: bytes) -> bool:
    """Whether a file without preamble begins with an element of a group that DICOM datasets begin with."""
    return len(start) >= 8 and int.from_bytes(start[:2], "little") in _GROUPS_AT_THE_START


def _instance(path: Path, dataset: Dataset, file: BinaryIO) -> Instance | SetAside:
    if dataset.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        return SetAside(path, "DICOMDIR")
    sop_class = UID(str(dataset.SOPClassUID))
    if not _is_image(sop_class, dataset):
        return SetAside(path, f"{sop_class.name} is no image")
    sop_instance_uid = str(dataset.SOPInstanceUID)
    pixels = _pixel_format(dataset, file)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if rows < 1 or columns < 1:
        raise ValueError(f"{rows} rows and {columns} columns")
    frames = tuple(
        Frame(
            path=path,
            sop_instance_uid=sop_instance_uid,
            sop_class_uid=str(sop_class),
            rows=rows,
            columns=columns,
            pixels=pixels,
            **vars(plane),
        )
        for plane in planes.planes(dataset)
    )
    return Instance(
        path=path,
        sop_instance_uid=sop_instance_uid,
        sop_class_uid=str(sop_class),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        study_instance_uid=str(dataset.StudyInstanceUID),
        frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID") or ""),
        modality=str(dataset.get("Modality") or ""),
        concatenation=_concatenation(dataset),
        attributes=tuple(
            (keyword, "\\".join(planes.values(dataset.get(keyword)))) for keyword in SELECTABLE if dataset.get(keyword)
        ),
        frames=frames,
    )


def _is_image(sop_class: UID, dataset: Dataset) -> bool:
    """By the name of the SOP class; a private class is an image when it has the attributes of one."""
    if sop_class.name == str(sop_class):
        return all(keyword in dataset for keyword in ("Rows", "Columns", "SamplesPerPixel"))
    return "Image Storage" in sop_class.name


def _concatenation(dataset: Dataset) -> tuple[str, int] | None:
    uid, total = dataset.get("ConcatenationUID"), dataset.get("InConcatenationTotalNumber")
    return (str(uid), int(total)) if uid and total else None


def _pixel_format(dataset: Dataset, file: BinaryIO) -> PixelFormat:
    transfer_syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID") or ImplicitVRLittleEndian))
    if not transfer_syntax.is_transfer_syntax:
        raise MissingCodec(
            f"{file.name}: there is no decoder for transfer syntax {transfer_syntax}; send it uncompressed"
        )
    keyword, vr, offset, length = "PixelData", "OW", None, None
    if transfer_syntax != DeflatedExplicitVRLittleEndian:
        keyword, vr, offset, length = _pixel_element(file, transfer_syntax)
    is_integer = keyword == "PixelData"
    bits_allocated = int(dataset.BitsAllocated)
    bits_stored = int(dataset.BitsStored) if is_integer else bits_allocated
    return PixelFormat(
        transfer_syntax_uid=str(transfer_syntax),
        samples_per_pixel=int(dataset.SamplesPerPixel),
        photometric_interpretation=str(dataset.PhotometricInterpretation),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=int(dataset.get("HighBit", bits_stored - 1)),
        pixel_representation=int(dataset.PixelRepresentation) if is_integer else 1,
        number_of_frames=int(dataset.get("NumberOfFrames") or 1),
        keyword=keyword,
        vr=vr,
        offset=offset,
        length=length,
        extended_offsets=_extended_offsets(dataset),
        modality_lut=bool(dataset.get("ModalityLUTSequence")),
    )


def _extended_offsets(dataset: Dataset) -> tuple[bytes, bytes] | None:
    offsets, lengths = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    return (offsets, lengths) if offsets and lengths else None


def _pixel_element(file: BinaryIO, transfer_syntax: UID) -> tuple[str, str, int, int]:
    """Keyword, VR, offset and length of the value at which the header ended (DICOM PS3.5 section 7.1)."""
    order = "<" if transfer_syntax.is_little_endian else ">"
    group, element = struct.unpack(f"{order}HH", file.read(4))
    vr = "OW" if transfer_syntax.is_implicit_VR else file.read(4)[:2].decode("ascii")
    (length,) = struct.unpack(f"{order}I", file.read(4))
    return _PIXEL_KEYWORDS[group, element], vr, file.tell(), length
