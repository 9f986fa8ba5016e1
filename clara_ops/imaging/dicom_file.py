"""DICOM files on disk (PS3.10): the same dataset gives the same bytes."""

from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from clara_ops.imaging.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME


def save_dicom(dataset: Dataset, folder: Path, transfer_syntax_uid: UID | None = None) -> Path:
    """Write `<SOPInstanceUID>.dcm` into `folder`.

    Args:
        dataset: with SOP Class and SOP Instance UID; its Pixel Data already in the transfer syntax. Its file meta
            information is made anew.
        folder: has to exist.
        transfer_syntax_uid: by default what the dataset's file meta information says, else explicit VR little endian.
    """
    given = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax_uid or given or ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    dataset.file_meta = meta
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path
