"""MetaImage files (.mhd with .raw beside it): the form in which volumes travel between stages."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from clara_ops.imaging.errors import VolumeError
from clara_ops.imaging.geometry import Grid

if TYPE_CHECKING:
    import SimpleITK as sitk

_ELEMENT_TYPES = {
    np.dtype(np.int8): "MET_CHAR",
    np.dtype(np.uint8): "MET_UCHAR",
    np.dtype(np.int16): "MET_SHORT",
    np.dtype(np.uint16): "MET_USHORT",
    np.dtype(np.int32): "MET_INT",
    np.dtype(np.uint32): "MET_UINT",
    np.dtype(np.float32): "MET_FLOAT",
    np.dtype(np.float64): "MET_DOUBLE",
}


def write_volume(path: Path, voxels: npt.NDArray[Any], grid: Grid) -> None:
    """Write `path` (.mhd) and the voxels beside it (.raw).

    Args:
        voxels: (slices, rows, columns).
        grid: LPS mm.
    """
    if voxels.shape != grid.size[::-1]:
        raise VolumeError(f"{path}: {voxels.shape} voxels do not fit a grid of {grid.size[::-1]}")
    raw_path(path).write_bytes(np.ascontiguousarray(voxels, voxels.dtype.newbyteorder("<")).data)
    write_header(path, grid, voxels.dtype)


def write_header(path: Path, grid: Grid, dtype: npt.DTypeLike) -> None:
    """Write the .mhd file of a volume whose voxels are, little endian, in `raw_path(path)`."""
    lines = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": _numbers(component for axis in grid.axes for component in axis),
        "Offset": _numbers(grid.origin),
        "CenterOfRotation": "0 0 0",
        "ElementSpacing": _numbers(grid.spacing),
        "DimSize": _numbers(grid.size),
        "ElementType": _ELEMENT_TYPES[np.dtype(dtype).newbyteorder("=")],
        "ElementDataFile": raw_path(path).name,
    }
    path.write_text("".join(f"{key} = {value}\n" for key, value in lines.items()), encoding="ascii")


def raw_path(path: Path) -> Path:
    """The file of the voxels that belongs to a .mhd file."""
    return path.with_suffix(".raw")


def read_volume(path: Path) -> "sitk.Image":
    """Read a volume of one grey value a voxel.

    Raises:
        VolumeError: it is not a MetaImage, its voxels are missing or too few, or it is not three-dimensional.
    """
    import SimpleITK as sitk  # here, because dicom-reader, which only writes, starts a third faster without it

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise VolumeError(f"{path}: cannot be read as a MetaImage ({reason}); write it and its voxels again") from error
    dimensions, components = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    if dimensions != 3 or components != 1:
        raise VolumeError(
            f"{path}: has {dimensions} dimensions and {components} values a voxel; "
            "write one three-dimensional volume with one value a voxel"
        )
    return image


def _numbers(values: Any) -> str:
    return " ".join(repr(value if isinstance(value, int) else float(value)) for value in values)
