"""Reading the headers of a folder of files, whatever they are called: images, and what is set aside."""

import re
from dataclasses import dataclass
from pathlib import Path

from clara_ops.imaging.errors import BrokenFile, MissingCodec
from clara_ops.imaging.reading import planes
from clara_ops.imaging.reading.frames import Frame, Instance, PixelFormat, SetAside
from clara_ops.imaging.reading.header_keywords import SELECTABLE
from clara_ops.imaging.reading.header_tags import DEFLATED, ENCAPSULATED, IMAGES, MEDIA_STORAGE_DIRECTORY, NATIVE
from clara_ops.imaging.reading.raw_header import RawHeader, read_raw_header, unreadable

_GROUPS_AT_THE_START = (0x0002, 0x0008)
_UID = re.compile(r"[0-9][0-9.]{0,63}")


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
            return _instance(path, read_raw_header(file))
        except unreadable() as error:
            if not is_part10:
                return SetAside(path, "not a DICOM file")
            raise BrokenFile(
                f"{path}: its DICOM header cannot be read ({type(error).__name__}: {error}); send the instance again"
            ) from error


def _may_be_bare_dataset(start: bytes) -> bool:
    """Whether a file without preamble begins with an element of a group that DICOM datasets begin with."""
    return len(start) >= 8 and int.from_bytes(start[:2], "little") in _GROUPS_AT_THE_START


def _instance(path: Path, header: RawHeader) -> Instance | SetAside:
    if header.media_storage_sop_class_uid == MEDIA_STORAGE_DIRECTORY:
        return SetAside(path, "DICOMDIR")
    sop_class = str(header.required("SOPClassUID"))
    if sop_class not in IMAGES and (name := _name_of_no_image(sop_class, header)):
        return SetAside(path, f"{name} is no image")
    attributes = header.attributes
    sop_instance_uid = _uid(header, "SOPInstanceUID")
    pixels = _pixel_format(path, header)
    rows, columns = int(header.required("Rows")), int(header.required("Columns"))
    if rows < 1 or columns < 1:
        raise ValueError(f"{rows} rows and {columns} columns")
    frames = tuple(
        Frame(
            path=path,
            sop_instance_uid=sop_instance_uid,
            sop_class_uid=sop_class,
            rows=rows,
            columns=columns,
            pixels=pixels,
            **vars(plane),
        )
        for plane in planes.planes(attributes)
    )
    selectable = ((keyword, planes.values(attributes.get(keyword))) for keyword in SELECTABLE)
    return Instance(
        path=path,
        sop_instance_uid=sop_instance_uid,
        sop_class_uid=sop_class,
        series_instance_uid=_uid(header, "SeriesInstanceUID"),
        study_instance_uid=_uid(header, "StudyInstanceUID"),
        frame_of_reference_uid=str(attributes.get("FrameOfReferenceUID") or ""),
        modality=str(attributes.get("Modality") or ""),
        concatenation=_concatenation(header),
        attributes=tuple((keyword, "\\".join(found)) for keyword, found in selectable if found),
        frames=frames,
    )


def _uid(header: RawHeader, keyword: str) -> str:
    """A UID of digits and dots, so that it is safe as a file name; leading zeros are let pass, scanners write them."""
    uid = str(header.required(keyword))
    if _UID.fullmatch(uid) is None:
        raise ValueError(f"{keyword} {uid!r} is no UID")
    return uid


def _name_of_no_image(sop_class_uid: str, header: RawHeader) -> str | None:
    """The SOP class's name, by which images are told; None for an image. A private one is judged by its attributes."""
    from pydicom.uid import UID  # here, because images of the usual classes do without pydicom

    name = UID(sop_class_uid).name
    if name == sop_class_uid:
        is_image = all(header.attributes.get(key) is not None for key in ("Rows", "Columns", "SamplesPerPixel"))
    else:
        is_image = "Image Storage" in name
    return None if is_image else name


def _concatenation(header: RawHeader) -> tuple[str, int] | None:
    uid, total = header.attributes.get("ConcatenationUID"), header.attributes.get("InConcatenationTotalNumber")
    return (str(uid), int(total)) if uid and total else None


def _pixel_format(path: Path, header: RawHeader) -> PixelFormat:
    syntax = header.transfer_syntax_uid
    if not _is_transfer_syntax(syntax):
        raise MissingCodec(f"{path}: there is no decoder for transfer syntax {syntax}; send it uncompressed")
    element = header.pixels
    if element is None and syntax != DEFLATED:
        raise ValueError("it has no Pixel Data")
    is_integer = element is None or element.keyword == "PixelData"
    bits_allocated = int(header.required("BitsAllocated"))
    bits_stored = int(header.required("BitsStored")) if is_integer else bits_allocated
    return PixelFormat(
        transfer_syntax_uid=syntax,
        samples_per_pixel=int(header.required("SamplesPerPixel")),
        photometric_interpretation=str(header.required("PhotometricInterpretation")),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=int(header.attributes.get("HighBit", bits_stored - 1)),
        pixel_representation=int(header.required("PixelRepresentation")) if is_integer else 1,
        number_of_frames=int(header.attributes.get("NumberOfFrames") or 1),
        keyword=element.keyword if element else "PixelData",
        vr=element.vr if element else "OW",
        offset=element.offset if element else None,
        length=element.length if element else None,
        extended_offsets=_extended_offsets(header),
        modality_lut=bool(header.attributes.get("ModalityLUTSequence")),
    )


def _is_transfer_syntax(uid: str) -> bool:
    if uid in NATIVE or uid in ENCAPSULATED:
        return True
    from pydicom.uid import UID

    return UID(uid).is_transfer_syntax


def _extended_offsets(header: RawHeader) -> tuple[bytes, bytes] | None:
    offsets, lengths = (header.attributes.get(f"ExtendedOffsetTable{part}") for part in ("", "Lengths"))
    return (offsets, lengths) if offsets and lengths else None
