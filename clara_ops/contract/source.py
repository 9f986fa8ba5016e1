"""`<name>.source.json` beside a volume: which instance each slice came from, so that no later stage sorts again."""

from dataclasses import dataclass
from typing import ClassVar

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class SourceSlice:
    """One slice of the volume, in the volume's own order along the slice axis.

    Attributes:
        position: Image Position (Patient), mm, LPS: centre of the first voxel of the slice.
        file: name of the DICOM file, relative to the stage's input folder.
        frame: 1-based frame of an enhanced multi-frame object.
    """

    sop_instance_uid: str
    sop_class_uid: str
    position: Vector
    rescale_slope: float
    rescale_intercept: float
    file: str
    frame: int | None = None


@dataclass(frozen=True)
class SourceMap:
    """The DICOM series behind one volume.

    Attributes:
        row_direction: unit vector along a row (increasing column index), LPS: first half of Image Orientation
            (Patient).
        column_direction: unit vector along a column (increasing row index), LPS.
        pixel_spacing: (between rows, between columns) in mm, as the attribute Pixel Spacing has it.
        slice_spacing: distance of neighbouring slices along the normal, mm.
        shear: in-plane drift from slice to slice of a tilted gantry, mm, LPS; None for a right-angled grid.
        resampled: the volume was interpolated between the slices (gaps, tilted gantry) and has a grid of its own;
            `slices` are where the source's planes are, not the volume's.
        planar: one picture (CR, DX, ...) whose header gives it no place in the patient; the geometry is made up.
    """

    DOCUMENT_VERSION: ClassVar[int] = 1

    series_instance_uid: str
    study_instance_uid: str
    frame_of_reference_uid: str
    modality: str
    rows: int
    columns: int
    row_direction: Vector
    column_direction: Vector
    pixel_spacing: tuple[float, float]
    slice_spacing: float
    slices: tuple[SourceSlice, ...]
    shear: Vector | None = None
    resampled: bool = False
    planar: bool = False
