"""The DICOM series that a result was made from: found again, checked, and opened for its headers and pixels."""

from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from clara_ops.contract.source import SourceMap, SourceSlice
from clara_ops.imaging.errors import BrokenFile, MissingGeometry, MissingSource
from clara_ops.imaging.geometry import Grid
from clara_ops.imaging.reading.frames import Frame, Instance
from clara_ops.imaging.reading.headers import read_header, scan_folder
from clara_ops.imaging.reading.raw_header import unreadable
from clara_ops.imaging.reading.series import by_series, make_series
from clara_ops.imaging.reading.volumes import stack_series
from clara_ops.imaging.source_map import map_source, source_grid


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """A series on disk, or the placeholder of one (`clara_ops.imaging.objects.new_study`).

    Attributes:
        map: its slices in the volume's order.
        frames: the plane of each slice, for decoding; none where the series is a placeholder.
        header: all attributes of the first slice's object, but its pixels.
    """

    map: SourceMap
    frames: tuple[Frame, ...]
    header: Dataset

    @property
    def grid(self) -> Grid:
        return source_grid(self.map)

    @property
    def is_placeholder(self) -> bool:
        """Whether no instance is behind it: nothing to refer to, and no grey values."""
        return not self.frames


def open_source(source: SourceMap, folder: Path) -> SourceSeries:
    """Open the series that a source map names.

    Args:
        source: its files are relative to `folder`.
        folder: of the DICOM files that the workflow started with.

    Raises:
        MissingGeometry: it is a picture without a place in the patient, where no result can be placed either.
        MissingSource: a file is not there, or holds another instance than the map says.
        BrokenFile: a header cannot be read.
    """
    if source.planar:
        raise MissingGeometry(
            f"series {source.series_instance_uid}: is a picture without position, which objects of results need; "
            "end the workflow with the volume"
        )
    instances: dict[str, Instance] = {}
    for file in dict.fromkeys(piece.file for piece in source.slices):
        instances[file] = _read_instance(folder / file)
    frames = tuple(_frame_of(piece, instances[piece.file]) for piece in source.slices)
    return SourceSeries(source, frames, _whole_header(frames[0].path))


def find_source(folder: Path, series_instance_uid: str) -> SourceSeries | None:
    """Find a series below a folder by its UID, where a volume has no source map; None where it is not there.

    Raises:
        ImagingError: the series is there and holds no volume, or several.
    """
    instances = by_series(scan_folder(folder).instances).get(series_instance_uid)
    if not instances:
        return None
    series = make_series(instances)
    (stack,) = stack_series(series)
    return open_source(map_source(series, stack, folder), folder)


def _whole_header(path: Path) -> Dataset:
    """All attributes but pixels, decoded here: pydicom decodes each only when it is asked for, and fails there."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        _decode(header)
    except unreadable() as error:
        raise BrokenFile(f"{path}: its header is damaged: {error}; have the series sent again") from error
    return header


def _decode(dataset: Dataset) -> None:
    """Decode what results may copy: private attributes are left behind, whatever they hold."""
    for tag in list(dataset.keys()):
        if not tag.is_private and dataset[tag].VR == "SQ":
            for item in dataset[tag].value:
                _decode(item)


def _read_instance(path: Path) -> Instance:
    if not path.is_file():
        raise MissingSource(
            f"{path}: the source map names this file, and it is not there; mount the workflow's DICOM input"
        )
    found = read_header(path)
    if not isinstance(found, Instance):
        raise MissingSource(f"{path}: the source map names this file as an image, but {found.reason}")
    return found


def _frame_of(piece: SourceSlice, instance: Instance) -> Frame:
    if instance.sop_instance_uid != piece.sop_instance_uid:
        raise MissingSource(
            f"{instance.path}: is not instance {piece.sop_instance_uid}, which the source map says it is; "
            "run the workflow again from its DICOM input"
        )
    return instance.frames[(piece.frame or 1) - 1]
