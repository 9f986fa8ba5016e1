"""What a DICOM header says of one image plane: the form in which headers are grouped, sorted and decoded."""

from dataclasses import dataclass
from pathlib import Path

from clara_ops.contract.source import Vector


@dataclass(frozen=True)
class PixelFormat:
    """How the pixels of one file are stored: DICOM PS3.3 section C.7.6.3, Image Pixel Module.

    Attributes:
        offset: of the value of Pixel Data in the file, and its `length`; None where it has to be inflated first.
        extended_offsets: Extended Offset Table and its lengths (DICOM PS3.3 section C.7.6.3.1.8).
        keyword: PixelData, FloatPixelData or DoubleFloatPixelData; empty where the file has none.
        modality_lut: whether a Modality LUT Sequence replaces slope and intercept.
    """

    transfer_syntax_uid: str
    samples_per_pixel: int
    photometric_interpretation: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    pixel_representation: int
    number_of_frames: int
    keyword: str
    vr: str
    offset: int | None
    length: int | None
    extended_offsets: tuple[bytes, bytes] | None
    modality_lut: bool

    def stored_range(self) -> tuple[int, int]:
        """Smallest and largest value that Bits Stored can hold."""
        if self.pixel_representation == 1:
            return -(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1
        return 0, (1 << self.bits_stored) - 1


@dataclass(frozen=True)
class Frame:
    """One plane of an image.

    Attributes:
        path: the file; `number` is the 1-based frame of a multi-frame object, None of a single-frame one.
        position: Image Position (Patient), LPS mm.
        row_direction: along a row, and `column_direction` along a column, unit vectors in LPS.
        pixel_spacing: (between rows, between columns), mm; `imager_pixel_spacing` the same at the detector.
        traits: what makes it belong to a volume of its own (echo, b-value, image type, ...), keyword and value.
        moments: what may tell volumes apart where positions repeat (time point, acquisition, ...), keyword and value.
    """

    path: Path
    number: int | None
    sop_instance_uid: str
    sop_class_uid: str
    rows: int
    columns: int
    position: Vector | None
    row_direction: Vector | None
    column_direction: Vector | None
    pixel_spacing: tuple[float, float] | None
    imager_pixel_spacing: tuple[float, float] | None
    slope: float
    intercept: float
    image_type: tuple[str, ...]
    traits: tuple[tuple[str, str], ...]
    moments: tuple[tuple[str, str], ...]
    pixels: PixelFormat

    def __str__(self) -> str:
        """The file, and the frame in it, for a message."""
        return f"{self.path}{self._suffix}"

    @property
    def name(self) -> str:
        """The same without the folder."""
        return f"{self.path.name}{self._suffix}"

    @property
    def _suffix(self) -> str:
        return "" if self.number is None else f" frame {self.number}"


@dataclass(frozen=True)
class Instance:
    """One DICOM image object.

    Attributes:
        concatenation: Concatenation UID and how many instances it has; None for an object that is whole by itself.
        attributes: keyword and value of what series are selected by.
    """

    path: Path
    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    frame_of_reference_uid: str
    modality: str
    concatenation: tuple[str, int] | None
    attributes: tuple[tuple[str, str], ...]
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class SetAside:
    """A file that is no part of any volume, and why."""

    path: Path
    reason: str
