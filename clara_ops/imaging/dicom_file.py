"""DICOM files on disk (PS3.10): the same dataset gives the same bytes."""

from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RTStructureSetStorage

from clara_ops.imaging.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_TRANSFER_SYNTAXES = {RTStructureSetStorage: ImplicitVRLittleEndian}
"""Where not explicit VR little endian, which cannot hold contours of more than 65534 bytes (PS3.3 table C.8-42)."""


def save_dicom(dataset: Dataset, folder: Path, transfer_syntax_uid: UID | None = None) -> Path:
    """Write `<SOPInstanceUID>.dcm` into `folder`.

    Args:
        dataset: with SOP Class and SOP Instance UID; its Pixel Data already in the transfer syntax. Its file meta
            information is made anew.
        folder: has to exist.
        transfer_syntax_uid: by default explicit VR little endian, implicit for an RT Structure Set.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax_uid or _TRANSFER_SYNTAXES.get(dataset.SOPClassUID, ExplicitVRLittleEndian)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    dataset.file_meta = meta
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path
