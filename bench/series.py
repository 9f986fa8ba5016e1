"""Series to send: abdomen_b under UIDs of its own, so that each is new to the listener."""

from pathlib import Path

import pydicom
from pydicom.uid import generate_uid

from clara_ops.laptop.demo import Series, read_series
from clara_ops.laptop.setup import ROOT

ABDOMEN_B = ROOT / "tests" / "data" / "abdomen_b"


def new_series(folder: Path, *, slices: int | None = None, **changes: str) -> Series:
    """Write a copy of abdomen_b under new UIDs.

    Args:
        folder: where to, made if needed.
        slices: only the first so many.
        **changes: DICOM keyword to value, set in every instance.
    """
    folder.mkdir(parents=True)
    study_uid, series_uid = generate_uid(), generate_uid()
    for path in sorted(ABDOMEN_B.glob("*.dcm"))[:slices]:
        instance = pydicom.dcmread(path)
        instance.StudyInstanceUID, instance.SeriesInstanceUID = study_uid, series_uid
        instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        for keyword, value in changes.items():
            setattr(instance, keyword, value)
        instance.file_meta.MediaStorageSOPClassUID = instance.SOPClassUID
        instance.save_as(folder / path.name)
    return read_series(folder.name, folder)
