"""Pictures without a place in the patient (projection radiographs, secondary captures) as volumes of one slice."""

from collections.abc import Sequence

from clara_ops.imaging.errors import MissingGeometry
from clara_ops.imaging.geometry import Grid
from clara_ops.imaging.reading.frames import Frame
from clara_ops.imaging.reading.stacks import Stack

_SOP_CLASSES = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.1",
        "1.2.840.10008.5.1.4.1.1.1.1",
        "1.2.840.10008.5.1.4.1.1.1.1.1",
        "1.2.840.10008.5.1.4.1.1.1.2",
        "1.2.840.10008.5.1.4.1.1.1.2.1",
        "1.2.840.10008.5.1.4.1.1.1.3",
        "1.2.840.10008.5.1.4.1.1.1.3.1",
        "1.2.840.10008.5.1.4.1.1.7",
    )
)
"""CR; DX, mammography and intra-oral for presentation and for processing; secondary capture."""
_THICKNESS_MM = 1.0
_ORIGIN, _RIGHT, _DOWN, _THROUGH = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def are_pictures(frames: Sequence[Frame]) -> bool:
    """Whether all are of SOP classes of single pictures, and none says where in the patient it is."""
    return all(
        frame.sop_class_uid in _SOP_CLASSES and frame.position is None and frame.row_direction is None
        for frame in frames
    )


def picture_stack(frame: Frame) -> Stack:
    """One picture as a volume of one slice, 1 mm thick, at a place that is made up: rows along x, columns along y.

    Pixels are as large as Pixel Spacing says, else as Imager Pixel Spacing does, which is measured at the detector
    (DICOM PS3.3 section 10.7.1.3).

    Raises:
        MissingGeometry: it has neither.
    """
    spacing = frame.pixel_spacing or frame.imager_pixel_spacing
    if spacing is None or min(spacing) <= 0:
        raise MissingGeometry(
            f"{frame}: has no Pixel Spacing and no Imager Pixel Spacing: nobody can say how large its pixels are; "
            "leave this series out"
        )
    between_rows, between_columns = spacing
    return Stack(
        frames=(frame,),
        grid=Grid(
            size=(frame.columns, frame.rows, 1),
            spacing=(between_columns, between_rows, _THICKNESS_MM),
            origin=_ORIGIN,
            axes=(_RIGHT, _DOWN, _THROUGH),
        ),
        slice_spacing=_THICKNESS_MM,
        shear=None,
        distances=(0.0,),
        gaps=(),
        planar=True,
    )
