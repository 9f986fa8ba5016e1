"""`<name>.source.json` beside `<name>.mhd`: the DICOM series behind a volume, as a document and as a grid."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from clara_ops.contract.documents import read_document, write_document
from clara_ops.contract.source import SourceMap, SourceSlice
from clara_ops.imaging.geometry import Grid
from clara_ops.imaging.reading.frames import Frame
from clara_ops.imaging.reading.series import Series
from clara_ops.imaging.reading.stacks import Stack


def source_path(volume: Path) -> Path:
    """The source map that belongs to a volume (.mhd)."""
    return volume.with_suffix(".source.json")


def write_source_map(source: SourceMap, volume: Path) -> None:
    """Write the map beside its volume."""
    write_document(source, source_path(volume))


def read_source_map(volume: Path) -> SourceMap | None:
    """The map beside a volume; None where there is none.

    Raises:
        DocumentError: the file is not of the contract's form.
    """
    path = source_path(volume)
    return read_document(SourceMap, path) if path.is_file() else None


def map_source(series: Series, stack: Stack, folder: Path, *, resampled: bool = False) -> SourceMap:
    """The map of one volume.

    Args:
        series: that the stack belongs to.
        stack: the volume's planes.
        folder: of the DICOM files; the map names them relative to it.
        resampled: the volume was interpolated between the planes.
    """
    row_direction, column_direction, _ = stack.grid.axes
    between_columns, between_rows, _ = stack.grid.spacing
    return SourceMap(
        series_instance_uid=series.series_instance_uid,
        study_instance_uid=series.study_instance_uid,
        frame_of_reference_uid=series.frame_of_reference_uid,
        modality=series.modality,
        rows=stack.grid.size[1],
        columns=stack.grid.size[0],
        row_direction=row_direction,
        column_direction=column_direction,
        pixel_spacing=(between_rows, between_columns),
        slice_spacing=stack.slice_spacing,
        slices=tuple(_source_slice(frame, folder) for frame in stack.frames),
        shear=stack.shear,
        resampled=resampled,
        planar=stack.planar,
    )


def _source_slice(frame: Frame, folder: Path) -> SourceSlice:
    x, y, z = frame.position or (0.0, 0.0, 0.0)
    return SourceSlice(
        sop_instance_uid=frame.sop_instance_uid,
        sop_class_uid=frame.sop_class_uid,
        position=(x, y, z),
        rescale_slope=frame.slope,
        rescale_intercept=frame.intercept,
        file=frame.path.relative_to(folder).as_posix(),
        frame=frame.number,
    )


def plane_grids(source: SourceMap) -> tuple[Grid, ...]:
    """The grid of each slice by itself, LPS mm, at its own position."""
    grid = source_grid(source)
    columns, rows, _ = grid.size
    return tuple(replace(grid, size=(columns, rows, 1), origin=piece.position) for piece in source.slices)


def source_grid(source: SourceMap) -> Grid:
    """The grid of the series, LPS mm; its third axis leans where the gantry was tilted.

    Where slices are missing, the grid goes on from the first one as if they were not.
    """
    row, column = np.array(source.row_direction), np.array(source.column_direction)
    step = np.cross(row, column) * source.slice_spacing + np.array(source.shear or (0.0, 0.0, 0.0))
    distance = float(np.linalg.norm(step))
    third: list[float] = (step / distance).tolist()
    between_rows, between_columns = source.pixel_spacing
    return Grid(
        size=(source.columns, source.rows, len(source.slices)),
        spacing=(between_columns, between_rows, distance),
        origin=source.slices[0].position,
        axes=(source.row_direction, source.column_direction, (third[0], third[1], third[2])),
    )
