"""Series of single-frame images of the phantom, written from the standard, so that every voxel has a known answer."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian

from tests.dicomgen.phantom import value_at

Array = npt.NDArray[np.float64]
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Geometry:
    """Where the slices are, LPS mm; `step` leads from one slice to the next and need not be along the normal."""

    rows: int = 10
    columns: int = 12
    count: int = 5
    row_direction: Triple = (1.0, 0.0, 0.0)
    column_direction: Triple = (0.0, 1.0, 0.0)
    origin: Triple = (-20.0, -30.0, -100.0)
    pixel_spacing: tuple[float, float] = (1.5, 0.75)
    step: Triple = (0.0, 0.0, 2.5)

    def position(self, index: float) -> Array:
        return np.array(self.origin) + index * np.array(self.step)

    def points(self, index: float) -> Array:
        """Centres of the voxels of one slice, (rows, columns, 3)."""
        between_rows, between_columns = self.pixel_spacing
        row, column = np.mgrid[: self.rows, : self.columns]
        across = column[..., None] * between_columns * np.array(self.row_direction)
        down = row[..., None] * between_rows * np.array(self.column_direction)
        points: Array = self.position(index) + across + down
        return points


@dataclass(frozen=True)
class Storage:
    """How values become pixels: value = slope x pixel + intercept."""

    bits_allocated: int = 16
    bits_stored: int = 12
    signed: bool = False
    slope: float = 1.0
    intercept: float = -1024.0


@dataclass(frozen=True)
class Identity:
    """Whose images these are, and of which study and series."""

    study_uid: str = "1.2.826.0.1.1"
    series_uid: str = "1.2.826.0.1.1.1"
    frame_of_reference_uid: str = "1.2.826.0.1.1.9"
    sop_class_uid: UID = CTImageStorage
    modality: str = "CT"
    patient_name: str = "Probe^Eins"
    patient_id: str = "PROBE-1"


GEOMETRY, STORAGE, IDENTITY = Geometry(), Storage(), Identity()


def make_series(
    geometry: Geometry = GEOMETRY,
    storage: Storage = STORAGE,
    identity: Identity = IDENTITY,
    *,
    indices: Iterable[float] | None = None,
    first: int = 1,
) -> list[Dataset]:
    """One dataset a slice, in the order of `indices` (by default all slices of the geometry), numbered from `first`."""
    chosen = range(geometry.count) if indices is None else indices
    return [_image(geometry, storage, identity, number, index) for number, index in enumerate(chosen, start=first)]


def _image(geometry: Geometry, storage: Storage, identity: Identity, number: int, index: float) -> Dataset:
    image = Dataset()
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.SOPClassUID = identity.sop_class_uid
    image.SOPInstanceUID = f"{identity.series_uid}.{number}"
    image.StudyInstanceUID, image.SeriesInstanceUID = identity.study_uid, identity.series_uid
    image.FrameOfReferenceUID, image.Modality = identity.frame_of_reference_uid, identity.modality
    image.PatientName, image.PatientID = identity.patient_name, identity.patient_id
    image.PatientBirthDate, image.PatientSex = "", "O"
    image.StudyDate, image.StudyTime, image.StudyID, image.AccessionNumber = "20240229", "101112", "S1", "A1"
    image.ReferringPhysicianName = image.PositionReferenceIndicator = image.Manufacturer = ""
    image.SeriesNumber, image.InstanceNumber = 7, number
    image.KVP = image.AcquisitionNumber = ""
    image.BodyPartExamined, image.PatientPosition = "ABDOMEN", "HFS"
    image.ImagePositionPatient = [f"{x:.8g}" for x in geometry.position(index)]
    image.ImageOrientationPatient = [f"{x:.8g}" for x in (*geometry.row_direction, *geometry.column_direction)]
    image.PixelSpacing = list(geometry.pixel_spacing)
    image.SliceThickness = "2.5"
    set_pixels(image, value_at(geometry.points(index)), storage)
    return image


def set_pixels(image: Dataset, values: Array, storage: Storage) -> None:
    """Give an image the pixels of `values` (rows, columns), rescale and all; a value that does not fit is an error."""
    pixels = np.rint((values - storage.intercept) / storage.slope).astype(np.int64)
    lowest = -(1 << (storage.bits_stored - 1)) if storage.signed else 0
    assert pixels.min() >= lowest and pixels.max() < lowest + (1 << storage.bits_stored), (pixels.min(), pixels.max())
    image.Rows, image.Columns = values.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored = storage.bits_allocated, storage.bits_stored
    image.HighBit = storage.bits_stored - 1
    image.PixelRepresentation = int(storage.signed)
    image.RescaleSlope, image.RescaleIntercept = f"{storage.slope:.10g}", f"{storage.intercept:.10g}"
    masked = pixels & ((1 << storage.bits_allocated) - 1)
    content = masked.astype(f"<u{storage.bits_allocated // 8}").tobytes()
    image.add_new("PixelData", "OW" if storage.bits_allocated > 8 else "OB", content + b"\0" * (len(content) % 2))


def write_series(
    images: Sequence[Dataset],
    folder: Path,
    *,
    transfer_syntax: UID = ExplicitVRLittleEndian,
    name: Callable[[int], str] = "{}.dcm".format,
) -> list[Path]:
    """Write each dataset to `folder / name(index)`, encoding its pixels in the transfer syntax."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, image in enumerate(images):
        path = folder / name(index)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(image, path, transfer_syntax)
        paths.append(path)
    return paths


def write_file(image: Dataset, path: Path, transfer_syntax: UID = ExplicitVRLittleEndian) -> None:
    """Write one dataset as a DICOM file (PS3.10)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta = meta
    if transfer_syntax.is_encapsulated:
        image.compress(transfer_syntax, generate_instance_uid=False)
    elif transfer_syntax == ExplicitVRBigEndian and image.BitsAllocated > 8:
        width = image.BitsAllocated // 8
        image.PixelData = np.frombuffer(image.PixelData, f"<u{width}").astype(f">u{width}").tobytes()
    meta.TransferSyntaxUID = transfer_syntax
    image.save_as(path, enforce_file_format=True)
